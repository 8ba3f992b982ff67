"""The cells of the suite `smoke` on PyTorch, from the suite to the metrics."""

from pathlib import Path

import pytest

from accelbench.cli.compose import compose_suite
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
    assert measured["quality.accuracy"].value >= 0.95
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


def test_a_generating_trial_has_its_metrics_and_no_accuracy(generated):
    """TTFT, TPOT and rates are measured; random weights say so and have no quality."""
    trace, facts = generated
    measured = measure(trace, None)
    for name in ("ttft.response.p50", "tpot.mean", "tp.prefill", "tp.decode", "flops.achieved"):
        assert measured[name].value > 0
    assert facts["weights"] == "random"
    assert facts["tokenizer"] == "UTF-8 bytes"
    assert measured["quality"].value is None
