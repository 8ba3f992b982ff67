"""Trials of language workloads: counters of experts, perplexity, tuning from given weights."""

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.load.training import WEIGHTS_FILE
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.language.language_model import LanguageModel

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

SIZES = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48}
READER = LanguageModel(**SIZES, sequence_tokens=65, learning_rate=0.01)


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """Weights after one pass over the text, and the loss that they have."""
    training = READER.training(READER.model(None, 0), 8, 0, Practice())
    for batch in training.batches(0):
        training.step(batch, lambda _: None)
    path = tmp_path_factory.mktemp("weights") / WEIGHTS_FILE
    training.save(path)
    return path, training.evaluate()[0].value


def test_tokens_of_experts_are_those_of_the_window(task, run):
    """Each request of the window sends its tokens to two experts a layer; warm-up counts not."""
    workload = Decoder(**SIZES, experts=4, prompt_tokens=12, output_tokens=5)
    with TorchAdapter().open(task(workload)) as session:
        trace = run(session, SingleStream("single_stream", 3), warmup=2)
    counters = trace.table("counters").to_pylist()
    given = {row["scope"]: row["value"] for row in counters if row["name"] == "moe.expert_tokens"}
    assert len(given) == 2 * 4
    assert sum(given.values()) == 3 * (12 + 4) * 2 * 2
    assert [row["value"] for row in counters if row["name"] == "moe.dropped_tokens"] == [0]


def test_perplexity_is_evaluated_where_weights_mean_something(task, run, learned):
    """Trained weights have one; random ones have none."""
    path, _ = learned
    told = {}
    for weights in (None, path):
        with TorchAdapter().open(task(READER, weights)) as session:
            trace = run(session, Offline("offline", samples=16, batch_size=4))
        told[weights] = trace.table("evals").to_pylist()
    assert told[None] == []
    (row,) = told[path]
    assert (row["metric"], row["split"], row["n"]) == ("perplexity", "test", 16)
    assert 1 < row["value"] < 100


def test_training_goes_on_from_the_weights_of_another_cell(task, run, learned):
    """Its first loss is about that of the given weights, far below that of random ones."""
    path, loss = learned
    scenario = TrainToTarget(
        "train_to_target", metric="loss", target=0.1, batch_size=8, max_epochs=1
    )
    first = {}
    for weights in (None, path):
        with TorchAdapter().open(task(READER, weights)) as session:
            trace = run(session, scenario)
        rows = trace.table("evals").to_pylist()
        first[weights] = next(row["value"] for row in rows if row["split"] == "train")
    assert first[None] > 5
    assert first[path] == pytest.approx(loss, abs=0.4)
