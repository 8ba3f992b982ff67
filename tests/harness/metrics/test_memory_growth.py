"""Memory over time: a leak that is found, none that is not, and what lies idle."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

BASE = 500e6


def held(
    values: Sequence[float], scope: str = "engine", every: float = 1.0
) -> list[dict[str, Any]]:
    """Readings of resident memory, one a period, from half a period on."""
    return [
        {
            "name": "memory.resident", "at": (k + 0.5) * every, "value": float(value),
            "unit": "byte", "scope": scope,
        }
        for k, value in enumerate(values)
    ]  # fmt: skip


def served(count: int, length_s: float) -> list[dict[str, Any]]:
    """Requests done evenly over the window."""
    return [
        {"id": str(k), "due": 0, "sent": 0, "done": (k + 0.5) * length_s / count, "status": "ok"}
        for k in range(count)
    ]


def gauge(name: str, *values: float) -> list[dict[str, Any]]:
    """Readings of a gauge, one a second."""
    return [
        {"name": name, "at": k, "value": value, "unit": "byte", "scope": "engine"}
        for k, value in enumerate(values)
    ]


def test_a_leak_is_found(make_trace: MakeTrace) -> None:
    """100 kbyte a second beneath the noise of an allocator; 50 kbyte for each of two requests."""
    noise = np.random.default_rng(1).uniform(0, 2e6, 120)
    trace = make_trace(
        120,
        counters=held(BASE + 1e5 * np.arange(120) + noise),
        requests=served(240, 120),
    )
    found = measure(trace, None)
    growth, each = found["memory.growth"], found["memory.growth.per_request"]
    assert growth.interval is not None
    assert growth.value == pytest.approx(1e5, rel=0.1)
    assert 0 < growth.interval.low < growth.value < growth.interval.high
    assert each.interval is not None
    assert each.value == pytest.approx(growth.value / 2)
    assert each.interval.low == pytest.approx(growth.interval.low / 2)
    assert (growth.unit, each.unit) == ("byte/s", "byte/request")


@pytest.mark.parametrize("kind", ["noise", "wander", "plateau"])
def test_memory_that_does_not_grow_is_no_leak(make_trace: MakeTrace, kind: str) -> None:
    """At most the nominal 5 % of trials raise an alarm, whichever way an allocator goes."""
    alarms = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = (
            BASE
            + {
                "noise": rng.normal(0, 1e6, 120),
                "wander": rng.normal(0, 1e6, 120).cumsum(),
                "plateau": 50e6 * (1 - np.exp(-np.arange(120) / 8)) + rng.normal(0, 1e5, 120),
            }[kind]
        )
        interval = measure(make_trace(120, counters=held(values)), None)["memory.growth"].interval
        assert interval is not None
        alarms += not interval.low <= 0 <= interval.high
    assert alarms <= 4


def test_what_is_held_is_read_in_the_window_and_of_the_engine_alone(
    make_trace: MakeTrace, values: Values
) -> None:
    """The load generator's memory, and what was held before and after, are other things."""
    rows = [
        *held([5.0, 9.0, 7.0]),
        *held([100.0, 200.0], "generator"),
        {"name": "memory.resident", "at": -1, "value": 50.0, "unit": "byte", "scope": "engine"},
        {"name": "memory.resident", "at": 11, "value": 60.0, "unit": "byte", "scope": "engine"},
    ]
    found = values(make_trace(10, counters=rows))
    assert found["memory.resident.last"] == 7
    assert found["memory.resident.max"] == 9
    client = values(make_trace(10, counters=held([1.0], "generator")))
    assert not {name for name in client if name.startswith(("memory.resident", "memory.growth"))}


def test_a_short_trial_says_what_length_would_do(make_trace: MakeTrace) -> None:
    """A minute at least, thirty readings, and some in each tenth."""

    def reason(length_s: float, rows: list[dict[str, Any]]) -> str | None:
        return measure(make_trace(length_s, counters=rows), None)["memory.growth"].reason

    assert reason(30, held([BASE] * 30)) == ("30 readings in 30 s: too few, about 60 s would do")
    assert reason(100, held([BASE] * 10, every=10)) == (
        "10 readings in 100 s: too few, about 300 s would do"
    )
    assert reason(100, held([BASE] * 50)) == "memory was not read in each tenth of the window"
    late = [{**held([BASE])[0], "at": 101}]
    assert reason(100, late) == "the counter memory.resident was not read in the window"
    other = [{**row, "unit": "kB"} for row in held([BASE] * 100)]
    assert reason(100, other) == "the counter memory.resident is not in byte"


def test_growth_without_requests_is_told_for_no_request(make_trace: MakeTrace) -> None:
    """Nothing is divided by zero."""
    found = measure(make_trace(100, counters=held([BASE] * 100)), None)
    assert found["memory.growth"].value == pytest.approx(0)
    assert found["memory.growth.per_request"].reason == "no request was completed in the window"


def test_fragmentation_is_what_lies_idle(make_trace: MakeTrace, values: Values) -> None:
    """A quarter of the heap at the end, a tenth more than at the start; a third of the device."""
    rows = [
        *gauge("heap.held", 100, 400),
        *gauge("heap.free", 15, 100),
        *gauge("device_memory.reserved", 90, 300),
        *gauge("device_memory.allocated", 90, 200),
    ]
    found = values(make_trace(10, counters=rows))
    assert found["heap.fragmentation"] == pytest.approx(0.25)
    assert found["heap.fragmentation.change"] == pytest.approx(0.10)
    assert found["device_memory.fragmentation"] == pytest.approx(1 / 3)


def test_an_empty_heap_and_a_single_reading_have_no_share(make_trace: MakeTrace) -> None:
    """Each says why."""
    once = measure(make_trace(10, counters=gauge("heap.held", 8) + gauge("heap.free", 2)), None)
    assert once["heap.fragmentation"].value == pytest.approx(0.25)
    assert once["heap.fragmentation.change"].reason == "the heap was read once only"
    begun = [*gauge("heap.held", 0, 8), *gauge("heap.free", 0, 2)]
    assert measure(make_trace(10, counters=begun), None)["heap.fragmentation.change"].reason == (
        "the heap was empty at its first reading"
    )
    empty = [*gauge("heap.held", 0), *gauge("heap.free", 0)]
    none = measure(make_trace(10, counters=empty), None)
    assert none["heap.fragmentation"].reason == "the heap is empty"
    assert none["heap.fragmentation.change"].reason == "the heap is empty"
