"""Pooled gaps: exact percentiles, intervals over slices of the window."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.gaps import _Pool
from accelbench.harness.metrics.streams import SLICES, Gaps
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]


@settings(max_examples=100, deadline=None)
@given(
    ns=st.lists(st.integers(1, 10**6), max_size=50),
    zeros=st.integers(0, 20),
    percent=st.sampled_from([50, 95, 99]),
)
def test_percentiles_are_those_of_numpy(ns: list[int], zeros: int, percent: int) -> None:
    """Gaps of no length are counted, not held, and the percentile is that of all."""
    held = np.array(ns, np.uint32)
    by_slice = np.zeros(SLICES, np.int64)
    by_slice[3] = zeros
    pool = _Pool(Gaps(held, np.full(SLICES, held.size), by_slice))
    everything = [*ns, *([0] * zeros)]
    if everything:
        assert pool.percentile(percent) == pytest.approx(np.percentile(everything, percent))
        assert pool.hits(500_000.0)[0].sum() == sum(gap <= 500_000 for gap in everything)
        assert pool.hits(500_000.0)[1].sum() == sum(gap < 500_000 for gap in everything)
        assert pool.sums().sum() == sum(ns)
        if len(everything) > 1:
            assert pool.variance() == pytest.approx(np.var(everything, ddof=1))


def serving(make_trace: MakeTrace, tokens: int, *, stall: bool = False) -> Trace:
    """Four requests that stream evenly for 100 s, or stand still for the last tenth."""
    rows: list[dict[str, Any]] = []
    for k in range(4):
        gaps = np.full(tokens, 100 / tokens) * np.random.default_rng(k).uniform(0.9, 1.1, tokens)
        at = np.cumsum(gaps)
        at *= 99 / at[-1]
        if stall:
            at[at > 50] = 99
        rows += [{"id": str(k), "at": float(when), "count": 1} for when in at]
    requests = [{"id": str(k), "due": 0, "sent": 0, "done": 99.5, "status": "ok"} for k in range(4)]
    return make_trace(window_s=100.0, requests=requests, tokens=rows)


def test_an_even_stream_has_narrow_intervals(make_trace: MakeTrace) -> None:
    """Every statistic lies in its interval, whose words say that slices were taken."""
    found = measure(serving(make_trace, 1000), None)
    for statistic in ("mean", "p50", "p95", "p99"):
        item = found[f"itl.gap.{statistic}"]
        assert item.interval is not None, item.reason
        assert item.interval.over == "samples"
        assert item.interval.low <= item.value <= item.interval.high
        assert item.interval.high < 1.1 * item.value
        assert "slices" in item.interval.method


def test_few_gaps_have_no_interval(make_trace: MakeTrace) -> None:
    """The value is given, and the reason names what is missing."""
    found = measure(serving(make_trace, 10), None)["itl.gap.p99"]
    assert found.value is not None
    assert found.interval is None
    assert "p99" in found.reason
