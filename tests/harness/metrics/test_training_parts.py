"""Parts of a training step, its loss, and the memory that training takes."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Target, Trace

MakeTrace: TypeAlias = Callable[..., Trace]

TARGET = {"target": Target("accuracy", "test", 0.9)}


def step(name: str, sent: float | None, done: float) -> dict[str, Any]:
    """A training step."""
    return {"id": name, "due": sent, "sent": sent, "done": done, "samples": 32, "status": "ok"}


def part(kind: str, start: float, end: float, of: str | None) -> dict[str, Any]:
    """A part of a step."""
    return {"name": kind, "kind": kind, "start": start, "end": end, "request": of}


def loss(at: float, value: float | None, split: str = "train") -> dict[str, Any]:
    """The loss of a step."""
    return {"at": at, "metric": "loss", "split": split, "value": value, "n": 32}


def counter(name: str, value: float, unit: str = "byte") -> dict[str, Any]:
    """A counter after the window."""
    return {"name": name, "at": 20, "value": value, "unit": unit, "scope": "process"}


def test_shares_are_of_the_time_of_the_steps(make_trace: MakeTrace) -> None:
    """Of steps in the window alone; what belongs to no step is in no share."""
    parts = [
        part("input", 0, 1, "0"),
        part("forward", 1, 2, "0"),
        part("backward", 2, 4, "0"),
        part("optimizer", 4, 5, "0"),
        part("input", 5, 9, None),
        part("forward", 9, 10, "1"),
        part("backward", 10, 13, "1"),
        part("forward", 19, 21, "2"),
    ]
    trace = make_trace(
        20, TARGET, requests=[step("0", 0, 5), step("1", 9, 14), step("2", 18, 22)], phases=parts
    )
    found = measure(trace, None)
    shares = {
        name.removeprefix("train.share."): item.value
        for name, item in found.items()
        if name.startswith("train.share.")
    }
    assert shares == pytest.approx(
        {"input": 1 / 10, "forward": 2 / 10, "backward": 5 / 10, "optimizer": 1 / 10}
    )
    assert found["train.share.input"].n == 2


def test_there_are_no_shares_where_no_part_is_told(make_trace: MakeTrace) -> None:
    """Nor of anything that is no training."""
    whole = [step("0", 0, 5)]
    plain = measure(make_trace(20, TARGET, requests=whole), None)
    served = measure(make_trace(20, requests=whole, phases=[part("input", 0, 1, "0")]), None)
    assert not [name for name in (*plain, *served) if name.startswith("train.share.")]
    idle = make_trace(20, TARGET, requests=[step("0", 0, 30)], phases=[part("input", 0, 1, "0")])
    assert measure(idle, None)["train.share.input"].reason == (
        "no training step took time in the window"
    )


def test_the_first_step_is_that_which_was_sent_first(make_trace: MakeTrace) -> None:
    """What is done once shows in it."""
    found = measure(make_trace(20, TARGET, requests=[step("b", 7, 8), step("a", 0, 7)]), None)
    assert found["train.first_step"].value == pytest.approx(7)
    none = measure(make_trace(20, TARGET), None)["train.first_step"]
    assert none.reason == "no training step was completed in the window"
    untold = measure(make_trace(20, TARGET, requests=[step("a", None, 7)]), None)
    assert untold["train.first_step"].reason == "no step tells when it began"


def test_the_final_loss_is_the_mean_of_the_last_tenth(make_trace: MakeTrace) -> None:
    """Of twenty steps the last two; a loss on another split is none of training."""
    rows = [loss(k, 20 - k) for k in range(20)] + [loss(19.5, 99, "test"), loss(25, 0)]
    found = measure(make_trace(20, TARGET, evals=rows), None)["train.loss.final"]
    assert (found.value, found.n) == (1.5, 2)
    few = measure(make_trace(20, TARGET, evals=[loss(1, 3.0), loss(2, 2.0)]), None)
    assert few["train.loss.final"].value == 2.0
    assert "train.loss.final" not in measure(make_trace(20, TARGET, evals=rows[20:21]), None)
    late = measure(make_trace(20, TARGET, evals=rows[21:]), None)["train.loss.final"]
    assert late.reason == "no step of the window tells its loss"


def test_memory_of_training_is_held_against_the_rule(make_trace: MakeTrace) -> None:
    """Adam in float32: 4 + 4 + 8 bytes a parameter, as the rule's lower end has it."""
    rows = [
        counter("parameters", 100, "1"),
        counter("weights", 400),
        counter("gradients", 400),
        counter("optimizer_state", 800),
        counter("activations", 12),
    ]
    found = measure(make_trace(10, TARGET, counters=rows), None)
    assert found["memory.training.state"].value == found["memory.adam_low"].value == 1600
    assert found["memory.training.per_parameter"].value == 16
    assert found["memory.training.per_parameter"].unit == "byte/parameter"
    parts = ("weights", "gradients", "optimizer_state", "activations")
    assert [found[f"memory.training.{name}"].value for name in parts] == [400, 400, 800, 12]


def test_what_was_not_told_of_memory_is_left_out(make_trace: MakeTrace) -> None:
    """And inference has no memory of training."""
    rows = [counter("weights", 400), counter("gradients", 400)]
    found = measure(make_trace(10, TARGET, counters=rows), None)
    assert {name for name in found if name.startswith("memory.training.")} == {
        "memory.training.weights",
        "memory.training.gradients",
    }
    served = measure(make_trace(10, counters=rows), None)
    assert not [name for name in served if name.startswith("memory.training.")]
    odd = measure(make_trace(10, TARGET, counters=[counter("gradients", 1, "kB")]), None)
    assert odd["memory.training.gradients"].reason == "the counter gradients is not in byte"


def test_flops_are_told_part_by_part(make_trace: MakeTrace) -> None:
    """As far as phases lie in the window; none where they tell none, and why where some do not."""
    parts = [
        {**part("forward", 0, 1, "0"), "flops": 4e9},
        {**part("backward", 1, 3, "0"), "flops": 8e9},
        {**part("forward", 9, 11, "1"), "flops": 4e9},
        {**part("optimizer", 3, 4, "0"), "flops": None},
    ]
    found = measure(make_trace(10, TARGET, phases=parts), None)
    assert found["train.flops.forward"].value == pytest.approx(6e9)
    assert found["train.flops.backward"].value == pytest.approx(8e9)
    reason = found["train.flops.optimizer"].reason
    assert reason == "1 of 1 optimizer phases do not tell their FLOPs"
    silent = [{**one, "flops": None} for one in parts]
    plain = measure(make_trace(10, TARGET, phases=silent), None)
    assert not [name for name in plain if name.startswith("train.flops.")]
