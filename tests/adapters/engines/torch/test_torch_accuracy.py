"""Accuracy runs with PyTorch on the CPU: the same calls, all of the test set."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import ClosedLoop, SingleStream
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

TINY = Decoder(
    hidden=32, layers=2, heads=4, kv_heads=2, intermediate=48, prompt_tokens=12, output_tokens=5
)


def evaluated(task, builder, scenario, **options):
    """The evaluations of an accuracy run."""
    rules = Rules("test", "-", 1, 1, "shared", 60, 0, Limits(), (), (), accuracy="all")
    with TorchAdapter(threads=1, **options).open(task(builder)) as session:
        recorder = Recorder(session.clock)
        with TemporaryDirectory() as artifacts:
            session.execute(Work(scenario, rules, 4, Path(artifacts)), recorder)
    return recorder.freeze("measured").table("evals").to_pylist()


@pytest.mark.parametrize(
    ("scenario", "options"),
    [
        (SingleStream("single_stream", 4), {}),
        (ClosedLoop("closed_loop", 3, 6), {"max_batch": 3}),
    ],
)
def test_the_engine_agrees_with_its_own_model(task, scenario, options):
    """In float32 every answer is the reference, alone and in padded batches."""
    (found,) = evaluated(task, TINY, scenario, **options)
    assert (found["metric"], found["value"], found["n"]) == ("agreement", 1.0, scenario.requests)


def test_a_corrupted_answer_does_not_agree(task, monkeypatch):
    """A model whose last layer is another one after the first token answers otherwise."""
    made = Decoder.model

    def corrupted(self, weights, seed):
        """The same model with the rows of its last layer in another order."""
        model = made(self, weights, seed)
        with torch.no_grad():
            model.lm_head.weight.copy_(model.lm_head.weight.flip(0))
        return model

    whole = TINY.reference(TINY.prompts(4, 0))
    monkeypatch.setattr(Decoder, "model", corrupted)
    monkeypatch.setattr(Decoder, "reference", lambda *_: whole)
    (found,) = evaluated(task, TINY, SingleStream("single_stream", 4))
    assert found["value"] < 1
