"""Throughput: what is counted in the window, over which time."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.spans import covered_ns, share_inside
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

spans = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 60)), min_size=1, max_size=30)


def done(name: str, at: float | None, status: str = "ok", **more: Any) -> dict[str, Any]:
    """A request that was due at 0 and done then."""
    return {"id": name, "due": 0, "sent": 0, "done": at, "status": status, **more}


def test_tokens_count_where_they_arrived(make_trace: MakeTrace) -> None:
    """Tokens of the closed window count, of failed requests too; later ones do not."""
    tokens = [
        {"id": name, "at": at, "count": count}
        for name, at, count in [("a", 0, 1), ("a", 5, 3), ("b", 10, 2), ("a", 10.000000001, 50)]
    ]
    rows = [done("a", 11), done("b", 10, "failed")]
    found = measure(make_trace(10, requests=rows, tokens=tokens), None)
    assert found["tp.system"].value == pytest.approx(6 / 10)
    assert found["tp.system"].n == 6


def test_requests_and_samples_count_where_they_were_done(
    make_trace: MakeTrace, values: Values
) -> None:
    """Requests that are ok and done in the window count, whenever they were due."""
    rows = [
        done("early", 0.5, samples=4) | {"due": -1},
        done("a", 10, samples=4),
        done("b", 10.5, samples=4),
        done("c", 5, "failed", samples=4),
    ]
    found = values(make_trace(10, requests=rows))
    assert found["tp.requests"] == pytest.approx(0.2)
    assert found["tp.samples"] == pytest.approx(0.8)


def test_a_window_without_length_has_no_rates(make_trace: MakeTrace) -> None:
    """Nothing is divided by zero."""
    trace = make_trace(
        0,
        requests=[done("a", 0, samples=1, output_tokens=1)],
        tokens=[{"id": "a", "at": 0, "count": 1}],
    )
    found = measure(trace, None)
    for name in ("tp.requests", "tp.samples", "tp.system"):
        assert (found[name].value, found[name].reason) == (None, "the window has no length")
    assert found["e2e.response.mean"].value == 0


def test_untold_counts_make_no_sum(make_trace: MakeTrace) -> None:
    """One silent request or arrival leaves the whole sum absent."""
    rows = [done("a", 1, samples=4), done("b", 2)]
    tokens = [{"id": "a", "at": 1}, {"id": "a", "at": 2, "count": 1}]
    found = measure(make_trace(requests=rows, tokens=tokens), None)
    assert found["tp.samples"].reason == "1 of 2 completed requests do not tell their samples"
    assert found["tp.system"].value is None
    assert found["itl.gap.mean"].value == pytest.approx(1)


def test_tokens_without_arrivals_have_no_rate(make_trace: MakeTrace) -> None:
    """Token counts alone do not say what arrived in the window; no token at all is 0."""
    counted = measure(make_trace(requests=[done("a", 1, output_tokens=5)]), None)["tp.system"]
    assert counted.reason == "the trace tells how many tokens came, but not when"
    failed = done("a", None, "failed", output_tokens=0)
    assert measure(make_trace(requests=[failed]), None)["tp.system"].value == 0


def test_phases_that_overlap_share_their_time(make_trace: MakeTrace, values: Values) -> None:
    """Two requests decoded together take the union of their decode times once."""
    rows = [
        done("a", 3, output_tokens=30, input_tokens=8, queue_exit=0, prefill_end=1),
        done("b", 5, output_tokens=10, input_tokens=8, queue_exit=1, prefill_end=2),
    ]
    found = values(make_trace(requests=rows))
    assert found["tp.decode"] == pytest.approx(40 / 4)
    assert found["tp.prefill"] == pytest.approx(16 / 2)


def test_phase_rates_need_the_stamps_of_every_completed_request(make_trace: MakeTrace) -> None:
    """Tokens of a request that hides its phases cannot be set against any time."""
    rows = [
        done("a", 3, output_tokens=30, input_tokens=8, queue_exit=0, prefill_end=1),
        done("b", 5, output_tokens=10, input_tokens=8),
    ]
    found = measure(make_trace(requests=rows), None)
    for name in ("tp.decode", "tp.prefill"):
        assert found[name].reason == (
            "a completed request does not tell when its phase began and ended"
        )


@settings(deadline=None)
@given(spans)
def test_covered_time_is_the_measure_of_the_union(pairs: list[tuple[int, int]]) -> None:
    """Held against counting unit cells one by one."""
    start = np.array([float(s) for s, _ in pairs])
    end = np.array([float(s + length) for s, length in pairs])
    cells = {cell for s, length in pairs for cell in range(s, s + length)}
    assert covered_ns(start, end) == len(cells)


def test_the_share_of_a_span_inside_the_window() -> None:
    """Inside, cut at either end, around, outside, a point inside, a point outside, not told."""
    start = np.array([2.0, -2, 8, -10, 11, 10, 10.5, np.nan])
    end = np.array([4.0, 2, 12, 30, 12, 10, 10.5, 5])
    assert share_inside(start, end, 10).tolist() == [1, 0.5, 0.5, 0.25, 0, 1, 0, 0]
