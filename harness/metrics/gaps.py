"""Gaps between tokens, pooled over all requests: what a reader of the stream waits for.

A request's mean gap hides its stalls; the pooled gaps do not. They depend on one another, within
a request and between those that share a machine, so that their intervals are taken over equal
slices of the window.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from accelbench.harness.metrics.applies import streams
from accelbench.harness.metrics.distribution import PERCENTS, lacking, value_of
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import METRICS, Definition, Metric, Outcome, define
from accelbench.harness.metrics.streams import Gaps, Integers
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
            " interval over 64 equal slices of the window",
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

    def hits(self, most_ns: float) -> Integers:
        """By slice, gaps of at most so many ns."""
        begins = np.concatenate(([0], self.gaps.ends[:-1]))
        short = [
            np.count_nonzero(self.gaps.ns[begin:end] <= most_ns)
            for begin, end in zip(begins, self.gaps.ends, strict=True)
        ]
        return np.asarray(short, dtype=np.int64) + self.gaps.zeros

    def sums(self) -> npt.NDArray[np.float64]:
        """By slice, the sum of its gaps, ns."""
        begins = np.concatenate(([0], self.gaps.ends[:-1]))
        return np.asarray(
            [
                self.gaps.ns[begin:end].sum(dtype=np.uint64)
                for begin, end in zip(begins, self.gaps.ends, strict=True)
            ],
            dtype=np.float64,
        )


def _percentile(pool: _Pool, percent: int) -> Estimate:
    """A percentile; its interval is that of the share of gaps at or below it, turned round."""
    value = pool.percentile(percent)
    n = pool.gaps.count
    share = Estimate(0, n, None, f"{pool.hits(value).size} slices")
    if share.bounds is None:
        return Estimate(value / NS_PER_S, n, None, share.reason)
    found = share.bounds
    low, high = pool.at(int(found.low * n)), pool.at(int(np.ceil(found.high * n)))
    bounds = Bounds(
        min(low, value) / NS_PER_S, max(high, value) / NS_PER_S, found.level, found.method
    )
    return Estimate(value / NS_PER_S, n, bounds, None)


def _mean(pool: _Pool) -> Estimate:
    found = Estimate(float(pool.sums().sum() / pool.gaps.count / NS_PER_S), 0, None, "soon")
    return Estimate(found.value, pool.gaps.count, found.bounds, found.reason)


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
