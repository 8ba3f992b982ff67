"""Gaps between tokens, pooled over all requests: what a reader of the stream waits for.

A request's mean gap hides its stalls; the pooled gaps do not. They depend on one another, within
a request and between those that share a machine, so that their intervals are taken over equal
slices of the window.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelbench.harness.metrics.applies import streams
from accelbench.harness.metrics.distribution import PERCENTS, lacking, value_of
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import METRICS, Definition, Metric, Outcome, define
from accelbench.harness.metrics.streams import Gaps, Integers
from accelbench.harness.statistics.dependent import mean_of_slices, share_interval, wider_percent
from accelbench.harness.statistics.intervals import Bounds, Estimate
from accelbench.harness.units import NS_PER_S

STEM = "itl.gap"
_OVER = "over all gaps of completed requests due in the window, pooled"
_FORMULA = "arrival of token k+1 - arrival of token k; 0 within one arrival of several tokens"

for _statistic in ("mean", *(f"p{percent}" for percent in PERCENTS)):
    define(
        Definition(
            f"{STEM}.{_statistic}",
            "s",
            f"{_statistic.capitalize()} of gaps between successive tokens of a request, {_OVER}.",
            f"{_statistic}({_FORMULA}){'' if _statistic == 'mean' else ', numpy linear'}; {_OVER};"
            " interval over equal slices of the window",
            "eq. 4, section 6.2",
            "lower",
            version=2,
        )
    )


@dataclass(frozen=True)
class _Pool:
    """All gaps, sorted once."""

    gaps: Gaps

    @cached_property
    def ordered(self) -> npt.NDArray[Any]:
        """The gaps between arrivals, ascending; those of no length are counted, not held."""
        return np.sort(self.gaps.ns)

    @cached_property
    def zeros(self) -> int:
        """Gaps between tokens that arrived together."""
        return int(self.gaps.zeros.sum())

    @cached_property
    def in_slice(self) -> Integers:
        """Gaps by slice of the window."""
        return np.diff(self.gaps.ends, prepend=0) + self.gaps.zeros

    def at(self, rank: int) -> float:
        """The gap of this rank, from 0, in ns."""
        place = min(max(rank, 0), self.gaps.count - 1) - self.zeros
        return float(self.ordered[place]) if place >= 0 else 0.0

    def percentile(self, percent: float) -> float:
        """By linear interpolation between order statistics (numpy "linear"), ns."""
        position = (self.gaps.count - 1) * (percent / 100)
        below = int(position)
        low, high = self.at(below), self.at(below + 1)
        return low + (high - low) * (position - below)

    def hits(self, most_ns: float) -> npt.NDArray[np.float64]:
        """By slice, gaps of at most so many ns, and gaps below it: ties tell them apart."""
        zeros = self.gaps.zeros
        within = np.asarray([np.count_nonzero(part <= most_ns) for part in self._parts()])
        below, zeros_below = within, zeros if most_ns > 0 else 0 * zeros
        if self._holds(most_ns):
            below = np.asarray([np.count_nonzero(part < most_ns) for part in self._parts()])
        return np.stack([within + zeros, below + zeros_below]).astype(np.float64)

    def _holds(self, gap_ns: float) -> bool:
        """Whether a gap between arrivals is of just this length."""
        if not gap_ns.is_integer() or self.gaps.ns.size == 0:
            return False
        exact = self.ordered.dtype.type(gap_ns)
        place = int(np.searchsorted(self.ordered, exact))
        return place < self.ordered.size and bool(self.ordered[place] == exact)

    def sums(self) -> npt.NDArray[np.float64]:
        """By slice, the sum of its gaps, ns."""
        sums = [part.sum(dtype=np.uint64) for part in self._parts()]
        return np.asarray(sums, dtype=np.float64)

    def variance(self) -> float:
        """Variance of a single gap, ns squared."""
        mean = float(self.sums().sum()) / self.gaps.count
        squares = sum(float(np.square(part - mean).sum()) for part in self._parts())
        return (squares + self.zeros * mean**2) / max(self.gaps.count - 1, 1)

    def _parts(self) -> Iterator[npt.NDArray[Any]]:
        """The gaps between arrivals, slice by slice."""
        begin = 0
        for end in self.gaps.ends:
            yield self.gaps.ns[begin:end]
            begin = end


def _percentile(pool: _Pool, percent: int) -> Estimate:
    """A percentile; its interval is read off at the shares between which it truly lies."""
    value, n = pool.percentile(percent), pool.gaps.count
    wider = wider_percent(percent)
    share = share_interval(
        pool.hits(value),
        pool.in_slice.astype(np.float64),
        percent,
        wider=None if wider == percent else pool.hits(pool.percentile(wider)),
        of="gaps",
    )
    if share.bounds is None:
        return Estimate(value / NS_PER_S, n, None, share.reason)
    found = share.bounds
    low = pool.at(max(math.floor(n * found.low), 1) - 1)
    high = pool.at(min(math.ceil(n * found.high), n) - 1)
    bounds = Bounds(low / NS_PER_S, high / NS_PER_S, found.level, f"{found.method}, time slices")
    return Estimate(value / NS_PER_S, n, bounds, None)


def _mean(pool: _Pool) -> Estimate:
    counts, variance = pool.in_slice.astype(np.float64), pool.variance() / NS_PER_S**2
    found = mean_of_slices(pool.sums() / NS_PER_S, counts, variance, of="gaps")
    if found.bounds is None:
        return found
    bounds = replace(found.bounds, method=f"{found.bounds.method}, time slices")
    return replace(found, bounds=bounds)


def gaps(seen: Observation) -> Mapping[str, Outcome]:
    """Mean and percentiles of all gaps of all completed requests, seconds."""
    pool = _Pool(seen.streams.gaps)
    names = {f"{STEM}.p{percent}": percent for percent in PERCENTS}
    if pool.gaps.count == 0:
        reason = lacking(seen, "two tokens")
        return dict.fromkeys((f"{STEM}.mean", *names), reason)
    return {
        f"{STEM}.mean": value_of(_mean(pool), "samples"),
        **{name: value_of(_percentile(pool, p), "samples") for name, p in names.items()},
    }


METRICS[STEM] = Metric(STEM, streams, gaps)
