"""What a neighbour did, and what others took, from the counters of a trial."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

REQUEST = {"id": "0", "due": 0, "sent": 0, "done": 1, "status": "ok"}


def read(**values: float) -> list[dict[str, Any]]:
    """Rows of `counters` after the window of 10 s."""
    return [
        {"name": (told := name.replace("__", ".")), "at": 10, "value": value,
         "unit": COUNTERS[told][0], "scope": "batch"}
        for name, value in values.items()
    ]  # fmt: skip


def test_a_neighbour_is_told_by_its_share_its_rate_and_its_pauses(
    make_trace: MakeTrace, values: Values
) -> None:
    """Processor time over the trial, completions over the window, which is shorter."""
    counters = read(
        neighbour__cpu_time=18.0, neighbour__time=12.0, neighbour__completed=250.0,
        neighbour__busy=0.97,
    )  # fmt: skip
    trace = make_trace(10.0, requests=[REQUEST], counters=counters)
    found = values(trace)
    assert found["neighbour.cpu_share"] == pytest.approx(1.5)
    assert found["neighbour.rate"] == pytest.approx(25.0)
    assert found["neighbour.busy"] == pytest.approx(0.97)
    assert measure(trace, None)["neighbour.rate"].n == 250


def test_a_trial_alone_has_no_neighbour(make_trace: MakeTrace, values: Values) -> None:
    """But what others took is measured wherever the machine was watched."""
    alone = values(make_trace(requests=[REQUEST], counters=read(cpu__foreign_share=0.03)))
    assert alone["cpu.foreign_share"] == pytest.approx(0.03)
    assert not [name for name in alone if name.startswith("neighbour.")]
    assert "cpu.foreign_share" not in values(make_trace(requests=[REQUEST]))


def test_what_the_system_does_not_tell_has_a_reason(make_trace: MakeTrace) -> None:
    """A share needs the time that it is of, a rate a window."""
    found = measure(make_trace(requests=[REQUEST], counters=read(neighbour__cpu_time=1.0)), None)
    assert found["neighbour.cpu_share"].reason == "the counter neighbour.time was not read"
    empty = measure(make_trace(0.0, counters=read(neighbour__completed=3.0)), None)
    assert empty["neighbour.rate"].reason == "the window has no length"
