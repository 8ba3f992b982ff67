"""The time to first token in its parts."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


REQUEST = {
    "id": "a", "due": 0, "sent": 1, "queue_exit": 2, "prefill_end": 5, "done": 9, "status": "ok",
}  # fmt: skip


def prefill(name: str | None, start: float, end: float | None) -> dict[str, Any]:
    """A prefill phase of a request."""
    return {"name": "prefill", "kind": "prefill", "start": start, "end": end, "request": name}


def test_first_decode_is_what_follows_prefill(make_trace: MakeTrace, values: Values) -> None:
    """Queue, prefill and first decode add up to the time to first token."""
    found = values(make_trace(requests=[REQUEST], tokens=[{"id": "a", "at": 5.5, "count": 1}]))
    assert found["ttft.first_decode.mean"] == pytest.approx(0.5)
    parts = ("queue.time.mean", "prefill.time.mean", "ttft.first_decode.mean")
    assert sum(found[name] for name in parts) == pytest.approx(found["ttft.response.mean"])


def test_the_residual_is_prefill_time_spent_on_others(
    make_trace: MakeTrace, values: Values
) -> None:
    """Two chunks of prefill in three seconds leave one; phases of others do not count."""
    phases = [
        prefill("a", 2, 3),
        prefill("a", 4, 5),
        prefill("b", 3, 4),
        prefill(None, 3, 4),
        prefill("a", 4, None),
        {**prefill("a", 2, 5), "kind": "decode"},
    ]
    tokens = [{"id": "a", "at": 6, "count": 1}]
    found = values(make_trace(requests=[REQUEST], tokens=tokens, phases=phases))
    assert found["ttft.residual.mean"] == pytest.approx(1)


def test_a_request_without_prefill_phases_has_no_residual(make_trace: MakeTrace) -> None:
    """It is left out of the mean; where no request has any, so is the metric."""
    other = {**REQUEST, "id": "b"}
    tokens = [{"id": name, "at": 6, "count": 1} for name in ("a", "b")]
    phases = [prefill("a", 2, 5)]
    found = measure(make_trace(requests=[REQUEST, other], tokens=tokens, phases=phases), None)
    assert (found["ttft.residual.mean"].value, found["ttft.residual.mean"].n) == (0, 1)
    found = measure(
        make_trace(requests=[REQUEST], tokens=tokens[:1], phases=[prefill(None, 2, 5)]), None
    )
    assert not [name for name in found if name.startswith("ttft.residual")]
