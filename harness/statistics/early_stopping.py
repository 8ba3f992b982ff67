"""MLPerf's early stopping: how many queries a claimed latency percentile needs.

A percentile is claimed when so few queries were slow that, were the percentile in truth
missed, this few would be seen in at most one run of a hundred. The rule is that of the MLPerf
inference rules (appendix on early stopping) and of LoadGen; the arithmetic is our own.

Percentiles are given in percent, from 50 up to but not including 100, so that a share such as
0.99 is refused instead of taken for a very low percentile.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
from scipy.special import betainc

from accelbench.harness.statistics.intervals import Values

CONFIDENCE = 0.99
TOLERANCE = 0.0


@dataclass(frozen=True)
class EarlyStopping:
    """A percentile that early stopping allows to be claimed, or why there is none.

    Attributes:
        value: The claimed latency, in the unit of the latencies; +infinity where it falls on
            a failed query; None when there are too few queries.
        n: How many queries were done.
        discarded: How many of the slowest queries lie beyond `value`; None with it.
        needed: The fewest queries that support an estimate of this percentile.
        reason: Why there is no value, or None.
    """

    value: float | None
    n: int
    discarded: int | None
    needed: int
    reason: str | None


def least_h(
    percent: float,
    over_latency: int,
    *,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
) -> int:
    """The fewest queries within the latency bound that outweigh those beyond it.

    The least h with P[Bin(h + t, 1 - p + d) <= t] <= 1 - c, where t queries were over the
    bound; that probability is the regularised incomplete beta function I_{p-d}(h, t + 1).

    Args:
        percent: The percentile p, from 50 up to but not including 100.
        over_latency: t, the queries over the bound.
        confidence: c.
        tolerance: d, how far the share within the bound may fall short of p.

    Raises:
        ValueError: An argument is out of its range.
    """
    share = _share(percent, confidence, tolerance)
    if over_latency < 0:
        raise ValueError(f"a count of queries is not negative, got {over_latency}")

    def outweighs(h: int) -> bool:
        return bool(betainc(h, over_latency + 1, share) <= 1 - confidence)

    top = 1
    while not outweighs(top):
        top *= 2
    return bisect_left(range(top), 1, lo=top // 2 + 1, key=outweighs) if top > 1 else 1


def needed_queries(
    percent: float,
    over_latency: int,
    *,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
) -> int:
    """The fewest queries in all, h + t, with which a run with t slow ones still passes.

    Args:
        percent: The percentile p, from 50 up to but not including 100.
        over_latency: t, the queries over the bound.
        confidence: c, as in `least_h`.
        tolerance: d, as in `least_h`.

    Raises:
        ValueError: An argument is out of its range.
    """
    fewest = least_h(percent, over_latency, confidence=confidence, tolerance=tolerance)
    return fewest + over_latency


def passes(
    n: int,
    over_latency: int,
    percent: float,
    *,
    confidence: float = CONFIDENCE,
    tolerance: float = TOLERANCE,
) -> bool:
    """Whether a run of n queries, t of them over the bound, may claim the percentile.

    Args:
        n: All queries, those that failed among the slow ones.
        over_latency: t, the queries over the bound.
        percent: The percentile p, from 50 up to but not including 100.
        confidence: c, as in `least_h`.
        tolerance: d, as in `least_h`.

    Raises:
        ValueError: An argument is out of its range.
    """
    if not 0 <= over_latency <= n:
        raise ValueError(f"{over_latency} of {n} queries cannot be over the bound")
    share = _share(percent, confidence, tolerance)
    return over_latency < n and bool(
        betainc(n - over_latency, over_latency + 1, share) <= 1 - confidence
    )


def early_stopping_estimate(latencies: Values, percent: float) -> EarlyStopping:
    """The latency that LoadGen reports for single and multi stream.

    With t the most slow queries that n queries may have and still pass, the t-th slowest
    latency is reported: t - 1 queries are discarded. It is an upper estimate, at a confidence
    of 99 %, of the percentile.

    Args:
        latencies: One value a query, in any unit; +infinity for one that failed.
        percent: The percentile, from 50 up to but not including 100.

    Raises:
        ValueError: A latency is not a number, or the percentile is out of its range.
    """
    return _left(latencies, percent, kept=1)


def tightest_limit(latencies: Values, percent: float) -> EarlyStopping:
    """The least latency limit with which a run passes early stopping, as of a server.

    With t the most slow queries that n queries may have and still pass, it is the (t + 1)-th
    slowest latency: t queries lie beyond it. A limit passes exactly if it is no less.

    Args:
        latencies: One value a query, in any unit; +infinity for one that failed.
        percent: The percentile, from 50 up to but not including 100.

    Raises:
        ValueError: A latency is not a number, or the percentile is out of its range.
    """
    return _left(latencies, percent, kept=0)


def _left(latencies: Values, percent: float, kept: int) -> EarlyStopping:
    """The slowest latency that is left when of those that may be slow all but `kept` are discarded."""
    ordered = _ordered(latencies)
    n, needed = ordered.size, needed_queries(percent, kept)
    if n < needed:
        reason = f"early stopping at p{percent:g} needs {needed} queries, there are {n}"
        return EarlyStopping(None, n, None, needed, reason)
    discarded = _most_over(n, percent) - kept
    return EarlyStopping(float(ordered[n - 1 - discarded]), n, discarded, needed, None)


def order_statistic(values: Values, percent: float) -> float:
    """MLPerf's percentile: the value at index floor(n p) of the sorted values.

    It lies one place above the nearest rank where n p is whole, so it is biased high. The
    index is exact: p counts as the decimal number it is written as (0.29 * 100 is 29).

    Args:
        values: At least one value; may hold +infinity.
        percent: From 0 up to but not including 100.

    Raises:
        ValueError: There is no value, one is not a number, or `percent` is out of range.
    """
    ordered = _ordered(values)
    if ordered.size == 0:
        raise ValueError("no percentile without values")
    if not 0 <= percent < 100:  # noqa: PLR2004  (percent)
        raise ValueError(f"a percentile lies from 0 up to 100, got {percent:g}")
    return float(ordered[math.floor(ordered.size * Fraction(str(percent)) / 100)])


def _most_over(n: int, percent: float) -> int:
    """The most slow queries with which n queries pass, of n that pass without one."""
    return bisect_left(range(n + 1), 1, lo=1, key=lambda t: not passes(n, t, percent)) - 1


def _share(percent: float, confidence: float, tolerance: float) -> float:
    """The share p - d, after the checks that keep the search finite."""
    if not 50 <= percent < 100:  # noqa: PLR2004  (percent)
        raise ValueError(f"a percentile is given in percent, 50 to below 100, got {percent:g}")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, got {confidence:g}")
    share = percent / 100
    if not 0 <= tolerance < share:
        raise ValueError(f"a tolerance lies from 0 up to the percentile, got {tolerance:g}")
    return share - tolerance


def _ordered(values: Values) -> npt.NDArray[np.float64]:
    found = np.sort(np.asarray(values, dtype=np.float64))
    if np.isnan(found).any():
        raise ValueError("a value is not a number")
    return found
