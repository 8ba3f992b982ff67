"""Training to a target, quality on the test split, and peak memory."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Target, Trace

MakeTrace: TypeAlias = Callable[..., Trace]

TARGET = {"target": Target("accuracy", "test", 0.9)}


def evaluation(
    at: float, value: float | None, metric: str = "accuracy", split: str = "test", n: int = 100
) -> dict[str, Any]:
    """A row of `evals`."""
    return {"at": at, "metric": metric, "split": split, "value": value, "n": n}


def step(name: str, sent: float | None, done: float | None) -> dict[str, Any]:
    """A training step of 32 samples."""
    return {"id": name, "due": sent, "sent": sent, "done": done, "samples": 32, "status": "ok"}


def test_time_to_target_is_the_first_evaluation_that_met_it(make_trace: MakeTrace) -> None:
    """Reaching the target exactly counts; other metrics and splits do not."""
    rows = [
        evaluation(1, 0.95, split="train"),
        evaluation(2, 0.99, metric="f1"),
        evaluation(3, 0.85),
        evaluation(5, 0.9),
        evaluation(7, 0.97),
    ]
    found = measure(make_trace(10, TARGET, evals=rows), None)["train.time_to_target"]
    assert (found.value, found.n) == (pytest.approx(5), 2)


def test_a_target_never_met_tells_the_best_value(make_trace: MakeTrace) -> None:
    """An evaluation after the window does not count."""
    rows = [evaluation(3, 0.85), evaluation(5, 0.89), evaluation(6, 0.88), evaluation(11, 0.99)]
    found = measure(make_trace(10, TARGET, evals=rows), None)["train.time_to_target"]
    assert found.value is None
    assert found.reason == ("accuracy on split 'test' did not reach 0.9: best 0.89 of 3 evaluated")
    none = measure(make_trace(10, TARGET), None)["train.time_to_target"]
    assert none.reason == "accuracy on split 'test' was not evaluated in the window"


def test_steps_are_timed_without_the_evaluations_between(make_trace: MakeTrace) -> None:
    """Stepping has its own rate; samples over the whole window have another."""
    rows = [step("0.0", 0, 1), step("0.1", 1, 2), step("1.0", 5, 7)]
    found = measure(make_trace(8, TARGET, requests=rows), None)
    assert found["train.step.mean"].value == pytest.approx(4 / 3)
    assert found["train.step.p50"].value == pytest.approx(1)
    assert found["train.samples_per_s"].value == pytest.approx(96 / 4)
    assert found["tp.samples"].value == pytest.approx(96 / 8)


def test_a_training_trial_has_no_serving_metrics(make_trace: MakeTrace) -> None:
    """Its requests are steps: no end-to-end latency, no request rate, no energy per inference."""
    found = measure(make_trace(8, TARGET, requests=[step("0.0", 0, 1)]), None)
    stems = {name.split(".")[0] for name in found}
    assert {"train", "tp", "energy", "flops", "quality"} <= stems
    assert stems.isdisjoint({"e2e", "ttft", "itl", "goodput", "slo", "kv"})
    assert [name for name in found if name.startswith(("tp.", "energy."))] == [
        "energy.total",
        "tp.samples",
    ]


def test_a_trial_without_target_has_no_training_metrics(make_trace: MakeTrace) -> None:
    """Steps are steps only where there is something to reach."""
    found = measure(make_trace(8, requests=[step("0", 0, 1)]), None)
    assert not [name for name in found if name.startswith("train.")]


def test_quality_is_the_last_evaluation_on_the_test_split(make_trace: MakeTrace) -> None:
    """Of each metric, whenever it was made; it is often after the window."""
    rows = [
        evaluation(20, 0.91, n=360),
        evaluation(3, 0.85),
        evaluation(30, 0.99, split="train"),
        evaluation(4, 0.5, metric="f1"),
        evaluation(40, None),
        evaluation(4, 1.5, metric="exit.depth"),
    ]
    found = measure(make_trace(10, evals=rows), None)
    assert {name: item.value for name, item in found.items() if name.startswith("quality")} == {
        "quality.accuracy": 0.91,
        "quality.f1": 0.5,
    }
    assert (found["quality.accuracy"].n, found["quality.accuracy"].unit) == (360, "1")


def test_peak_memory_is_the_largest_reading(make_trace: MakeTrace) -> None:
    """Read at any time, as the peak covers the loading of the model; other counters do not count."""
    rows = [
        {"name": "rss_peak", "at": -1, "value": 5e6, "unit": "byte", "scope": "process"},
        {"name": "rss_peak", "at": 11, "value": 9e6, "unit": "byte", "scope": "process"},
        {"name": "page_faults", "at": 1, "value": 9e9, "unit": "1", "scope": "process"},
    ]
    assert measure(make_trace(10, counters=rows), None)["memory.peak"].value == 9e6
    assert "memory.peak" not in measure(make_trace(10, counters=rows[2:]), None)
    odd = [{**rows[0], "unit": "kB"}]
    assert measure(make_trace(10, counters=odd), None)["memory.peak"].reason == (
        "the counter rss_peak is not in byte"
    )
