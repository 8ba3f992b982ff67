"""PyTorch sessions on the CPU, driven by the harness's loops on the wall clock."""

from pathlib import Path

import numpy as np
import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.errors import AccelbenchError
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.run import registry
from accelbench.harness.run.planner import resolve
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.trace import Trace

pytestmark = pytest.mark.torch

QUICK = ["scenario.samples=720", "scenario.requests=400", "tracker=none"]


@pytest.fixture(scope="module")
def cells():
    """The cells of the suite `smoke`."""
    return resolve(compose_suite("smoke", QUICK))


def _trial(cell, folder: Path, weights: Path | None = None) -> tuple[Trace, dict]:
    adapter = registry.adapter(cell.adapter)
    task = Task(registry.builder(cell.workload), cell.platform, weights, cell.rules.seed)
    with adapter.open(task) as session:
        recorder = Recorder(session.clock)
        session.execute(Work(cell.scenario, cell.rules, cell.rules.seed, folder), recorder)
        return recorder.freeze(adapter.evidence, precision=session.precision), session.facts()


@pytest.fixture(scope="module")
def trained(cells, tmp_path_factory) -> tuple[Trace, Path]:
    """A training trial and the weights it left."""
    folder = tmp_path_factory.mktemp("trained")
    trace, _ = _trial(cells["train"], folder)
    return trace, folder / "weights.safetensors"


def test_training_reaches_its_target_and_leaves_its_weights(trained):
    """Time to target is measured, and the weights are those that were evaluated."""
    trace, weights = trained
    measured = measure(trace, None)
    assert 0 < measured["train.time_to_target"].value < 120
    assert measured["quality.accuracy"].value >= 0.96
    assert weights.stat().st_size > 1000


def test_inference_reports_the_accuracy_of_the_trained_weights(cells, trained, tmp_path):
    """Offline and single stream score the same answers as the network asked by hand."""
    trace, weights = trained
    expected = measure(trace, None)["quality.accuracy"].value
    for name in ("offline-batch_size=64", "stream"):
        found, facts = _trial(cells[name], tmp_path, weights)
        quality = measure(found, None)["quality.accuracy"]
        assert quality.value == expected
        assert quality.n == 360
        assert facts["weights"] == "trained in this campaign"


def test_random_weights_never_carry_an_accuracy(cells, tmp_path):
    """Without weights the network is timed but not scored, and the facts say random."""
    found, facts = _trial(cells["stream"], tmp_path)
    assert found.table("evals").num_rows == 0
    assert facts["weights"] == "random"


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> tuple[Trace, dict]:
    """A trial of four requests to the decoder."""
    (cell,) = (
        cell
        for cell in resolve(
            compose_suite("smoke", ["scenario.requests=4", "tracker=none"])
        ).values()
        if cell.name == "generate"
    )
    return _trial(cell, tmp_path_factory.mktemp("generated"))


def test_prefill_and_decode_are_told_apart_by_stamps_of_tokens(generated):
    """Each request has its tokens, all after the end of its prefill and in order."""
    trace, _ = generated
    tokens = trace.table("tokens")
    stamps: dict[str, list[int]] = {}
    for row in tokens.to_pylist():
        stamps.setdefault(row["id"], []).append(row["at_ns"])
    requests = trace.table("requests").to_pylist()
    assert len(requests) == 4
    for row in requests:
        at = stamps[row["id"]]
        assert len(at) == row["output_tokens"] == 32
        assert row["sent_ns"] <= row["prefill_end_ns"] <= at[0]
        assert np.all(np.diff(at) > 0)
        assert at[-1] <= row["done_ns"]


def test_a_generating_trial_has_its_metrics_and_no_accuracy(generated):
    """TTFT, TPOT and rates are measured; random weights say so and have no quality."""
    trace, facts = generated
    measured = measure(trace, None)
    for name in ("ttft.response.p50", "tpot.mean", "tp.prefill", "tp.decode", "flops.achieved"):
        assert measured[name].value > 0
    assert facts["weights"] == "random"
    assert facts["tokenizer"] == "UTF-8 bytes"
    assert measured["quality"].value is None


def test_greedy_tokens_are_those_of_the_library(cells):
    """Our loop with the cache picks what `generate` of transformers picks."""
    import torch

    from accelbench.adapters.engines.torch.engine import TorchEngine

    cell = cells["generate"]
    builder = registry.builder(cell.workload)
    engine = TorchEngine(Task(builder, cell.platform, None, 1), torch.device("cpu"), torch.float32)
    model = builder.model(None, 1).eval()
    (prompt,) = builder.prompts(1, 1)
    ids = torch.tensor([prompt.tokens])
    expected = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=8, do_sample=False, eos_token_id=-1
    )[0, ids.shape[1] :]
    seen: list[int] = []
    argmax = torch.Tensor.argmax

    def noted(tensor, *args, **kwargs):
        """Stands in for the real `noted`."""
        chosen = argmax(tensor, *args, **kwargs)
        seen.append(int(chosen))
        return chosen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "argmax", noted)
        engine.generate(prompt, lambda: None, lambda: None)
    assert seen[:8] == expected.tolist()


def test_flops_of_the_graphs_are_those_of_torchs_own_counter(cells):
    """The recorded graph of the CNN agrees with FlopCounterMode, and doubles with the batch."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    builder = registry.builder(cells["stream"].workload)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        builder.model(None, 1)(torch.zeros(2, 1, 8, 8))
    graph = builder.lower("forward", 2, 1, 0)
    assert graph.flops == counter.get_total_flops()
    assert builder.lower("forward", 4, 1, 0).flops == 2 * graph.flops


@pytest.mark.parametrize("path", ["/no/such/folder", __file__])
def test_a_path_that_holds_no_model_is_one_line(cells, path):
    """What is wrong with `workload.path` is said before anything is loaded."""
    from dataclasses import replace

    workload = cells["generate"].workload
    wrong = replace(workload, options={**workload.options, "path": path})
    with pytest.raises(AccelbenchError) as caught:
        registry.builder(wrong).prompts(1, 1)
    assert "\n" not in str(caught.value)
