"""The training loop: steps with their parts and losses, evaluations, and what is kept."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import drive
from accelbench.harness.load.training import WEIGHTS_FILE, train_to_target
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.trace import Trace
from accelbench.harness.schema.training import Mark, Step
from accelbench.suites.workloads.fake import FakeClassifier

MS = 1_000_000


class Loss:
    """A loss on a device: its value may be asked for when the window has closed."""

    def __init__(self, value: float, closed: Callable[[], bool]) -> None:
        self.value, self.closed = value, closed

    def __float__(self) -> float:
        assert self.closed(), "the loop waited for a loss inside the window"
        return self.value


class Run:
    """Two steps an epoch: 1 ms for the batch, 2 forward, 4 backward, 1 for the optimiser.

    Args:
        engine: Whose clock moves.
        metric: What is evaluated, on the test split.
        values: The figure of each epoch; an evaluation takes 10 ms.
    """

    def __init__(self, engine: "Engine", metric: str, values: Sequence[float]) -> None:
        self.engine, self.metric, self.values = engine, metric, list(values)
        self.steps = 0

    def batches(self, epoch: int) -> Iterator[int]:  # noqa: ARG002  (all alike)
        """Of four samples, then of two."""
        for size in (4, 2):
            self.engine.clock.advance_ns(MS)
            yield size

    def step(self, batch: int, mark: Mark) -> Step:
        """Two micro-batches, then the optimiser."""
        for _ in range(2):
            self.engine.clock.advance_ns(MS)
            mark("forward")
            self.engine.clock.advance_ns(2 * MS)
            mark("backward")
        self.engine.clock.advance_ns(MS)
        mark("optimizer")
        self.steps += 1
        return Step(batch, Loss(1 / self.steps, lambda: self.engine.waits == 2))

    def evaluate(self) -> Sequence[Quality]:
        """The next figure, and one of another split that is always good enough."""
        self.engine.clock.advance_ns(10 * MS)
        return [
            Quality(self.metric, "validation", 0.0 if self.metric == "loss" else 1.0, 5),
            Quality(self.metric, "test", self.values.pop(0), 7),
        ]

    def save(self, path: Path) -> None:
        """Leaves a file."""
        path.write_text("weights")

    def facts(self) -> Mapping[str, Plain]:
        """What it kept."""
        kept = {"gradients": 40, "optimizer_state": 80, "activations": 5}
        return {"optimizer": "of the run", "bytes": kept}


class Engine(HostEngine):
    """Trains on a virtual clock, and counts how often the loop waits for it."""

    def __init__(self, values: Sequence[float], metric: str = "accuracy") -> None:
        self.clock = VirtualClock()
        super().__init__(self.clock.now_ns)
        self.run = Run(self, metric, values)
        self.waits = 0
        self.asked: list[Any] = []

    def wait(self) -> None:
        """There is nothing to wait for."""
        self.waits += 1

    def train(self, batch_size: int, seed: int) -> Run:
        """The one run."""
        self.asked.append((batch_size, seed))
        return self.run


def trained(engine: Engine, folder: Path, target: float = 0.9) -> Trace:
    """The trace of a run of at most three epochs."""
    rules = Rules("r", "", 1, 0, "shared", 10.0, 7, Limits(), (), ())
    scenario = TrainToTarget("train_to_target", engine.run.metric, target, 4, 3)
    recorder = Recorder(engine.clock)
    train_to_target(engine, scenario, Work(scenario, rules, 7, folder), recorder)
    return recorder.freeze("simulated")


def rows(trace: Trace, table: str) -> list[dict[str, Any]]:
    """The rows of a table."""
    found: list[dict[str, Any]] = trace.table(table).to_pylist()
    return found


def test_a_step_lasts_from_the_asking_for_its_batch_to_its_last_part(tmp_path: Path) -> None:
    """Its parts have its name and make up its time; micro-batches have parts of their own."""
    trace = trained(Engine([0.95]), tmp_path)
    first, second = rows(trace, "requests")
    assert [one["done_ns"] - one["sent_ns"] for one in (first, second)] == [8 * MS] * 2
    assert (first["id"], first["samples"], second["id"], second["samples"]) == ("0.0", 4, "0.1", 2)
    assert first["sent_ns"] == first["due_ns"] == trace.head.window_ns[0]
    assert second["sent_ns"] == first["done_ns"]
    parts = [
        (row["kind"], (row["end_ns"] - row["start_ns"]) // MS)
        for row in rows(trace, "phases")
        if row["request"] == "0.1"
    ]
    assert parts == [
        ("input", 1),
        ("forward", 1),
        ("backward", 2),
        ("forward", 1),
        ("backward", 2),
        ("optimizer", 1),
    ]


def test_losses_are_known_at_the_end_of_their_step_and_asked_for_after_the_window(
    tmp_path: Path,
) -> None:
    """The loss curve is in the trace, and the loop did not wait for it."""
    engine = Engine([0.5, 0.95])
    trace = trained(engine, tmp_path)
    losses = [row for row in rows(trace, "evals") if row["split"] == "train"]
    assert [row["value"] for row in losses] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert [row["n"] for row in losses] == [4, 2, 4, 2]
    assert [row["at_ns"] for row in losses] == [row["done_ns"] for row in rows(trace, "requests")]
    assert engine.waits == 2


def test_it_ends_with_the_evaluation_that_meets_the_target(tmp_path: Path) -> None:
    """Inside the window, on the test split alone; further epochs are not begun."""
    trace = trained(Engine([0.5, 0.9, 0.99]), tmp_path)
    found = [row for row in rows(trace, "evals") if row["split"] == "test"]
    assert [row["value"] for row in found] == [0.5, 0.9]
    assert found[-1]["at_ns"] == trace.head.window_ns[1]
    assert measure(trace, None)["train.time_to_target"].value == pytest.approx(2 * 26e-3)
    (first, _) = [row for row in rows(trace, "phases") if row["name"] == "evaluate"]
    assert (first["kind"], first["end_ns"] - first["start_ns"]) == ("other", 10 * MS)


def test_a_loss_meets_its_target_from_above(tmp_path: Path) -> None:
    """Less is better, for the loop and for the metric."""
    trace = trained(Engine([0.9, 0.4, 0.1], metric="loss"), tmp_path, target=0.5)
    assert len([row for row in rows(trace, "evals") if row["split"] == "test"]) == 2
    assert measure(trace, None)["train.time_to_target"].value == pytest.approx(2 * 26e-3)


def test_no_more_epochs_than_asked_for(tmp_path: Path) -> None:
    """The target may be out of reach."""
    trace = trained(Engine([0.1, 0.2, 0.3, 0.99]), tmp_path)
    found = measure(trace, None)["train.time_to_target"]
    assert found.value is None
    assert "best 0.3 of 3" in str(found.reason)


def test_what_training_keeps_is_counted_after_the_window(tmp_path: Path) -> None:
    """Once each, as the run tells it; no step is done for that."""
    engine = Engine([0.95])
    trace = trained(engine, tmp_path)
    assert (tmp_path / WEIGHTS_FILE).read_text() == "weights"
    told = {row["name"]: row["value"] for row in rows(trace, "counters")}
    assert told == {"gradients": 40, "optimizer_state": 80, "activations": 5}
    assert (engine.run.steps, len(rows(trace, "requests"))) == (2, 2)
    assert engine.asked == [(4, 7)]


def test_the_trial_tells_what_workload_and_run_tell_of_training(tmp_path: Path) -> None:
    """What the run knows goes before what the workload says beforehand."""

    class Taught(FakeClassifier):
        """Says how it is trained."""

        def facts(self) -> Mapping[str, Plain]:
            """Of training alone."""
            return {"training": {"optimizer": "as planned", "schedule": "none"}}

    engine = Engine([0.95])
    scenario = TrainToTarget("train_to_target", "accuracy", 0.9, 4, 3)
    rules = Rules("r", "", 1, 0, "shared", 10.0, 7, Limits(), (), ())
    recorder = Recorder(engine.clock)
    work = Work(scenario, rules, 7, tmp_path)
    driven = drive(engine, Taught(), None, None, work, recorder)
    training: Any = driven.facts["training"]
    assert (training["optimizer"], training["schedule"]) == ("of the run", "none")
    assert training["done"] == {"epochs": 1, "steps": 2}
    assert driven.facts["regime"] == "training"
    assert driven.window_ns == recorder.window_ns
