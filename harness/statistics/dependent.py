"""Means, percentiles and rates of a correlated series, with intervals that stay honest.

The series is stationary and in time order. Its correlation is measured, not assumed
(`variance_inflation`), and shrinks the number of values to an effective one, never above the
real one: no interval is narrower than independence would make it. How often these intervals
cover the truth is published in docs/interval-coverage.md.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrik, stdtrit

from accelbench.harness.statistics.intervals import (
    LEVEL,
    Bounds,
    Estimate,
    needed_for_percentile,
    percentile_of_ordered,
    there_are,
)
from accelbench.harness.statistics.variance_inflation import (
    Floats,
    Inflation,
    inflation,
    slice_starts,
)

FEWEST = 100
MARGIN = 1.25
WIDER = 3.0
SKEW_BATCHES = 64


def mean_interval(series: Floats, *, level: float = LEVEL, of: str = "requests") -> Estimate:
    """The mean of a series in time order, with an interval that corrects for correlation.

    Student's t at the inflated variance, with Hall's correction for skewness.

    Args:
        series: At least one value, in time order.
        level: Nominal confidence.
        of: What the values are, for the words of method and reason.

    Raises:
        ValueError: There is no value, or one is NaN.
    """
    _check(series)
    mean, n = float(series.mean()), series.size
    if math.isinf(mean):
        return Estimate(mean, n, None, "the mean is infinite")
    if n < FEWEST:
        return Estimate(mean, n, None, _too_few("a mean", FEWEST, of, n))
    starts = slice_starts(n)
    counts = np.diff(starts, append=n).astype(np.float64)
    sums = np.add.reduceat(series - mean, starts)
    variance = float(series.var(ddof=1)) if series.min() < series.max() else 0.0
    return _mean_estimate(mean, sums, counts, variance, level=level, of=of)


def mean_of_slices(
    sums: Floats, counts: Floats, variance: float, *, level: float = LEVEL, of: str = "requests"
) -> Estimate:
    """The mean of values too many to hold, from slices of time, as `mean_interval`.

    Args:
        sums: The sum of the values of each slice, in time order.
        counts: How many values each slice holds; at least one in all.
        variance: The variance of a single value.
        level: Nominal confidence.
        of: What the values are, for the words of method and reason.
    """
    n = round(float(counts.sum()))
    mean = float(sums.sum()) / n
    if n < FEWEST:
        return Estimate(mean, n, None, _too_few("a mean", FEWEST, of, n))
    if counts.size < FEWEST:
        return Estimate(mean, n, None, _too_few("a mean", FEWEST, "slices", counts.size))
    return _mean_estimate(mean, sums - mean * counts, counts, variance, level=level, of=of)


def _mean_estimate(
    mean: float, sums: Floats, counts: Floats, variance: float, *, level: float, of: str
) -> Estimate:
    """The mean with its interval, from the centred sums of slices."""
    n = round(float(counts.sum()))
    found = inflation(sums[np.newaxis], counts, np.array([variance]))
    needed = math.ceil(MARGIN * FEWEST * found.seen)
    if found.significant and n < needed:
        return Estimate(mean, n, None, _correlated("a mean", needed, of, n, found))
    error = math.sqrt(variance * found.factor / n)
    skewness = _skewness(sums)
    t = float(stdtrit(found.dof, (1 + level) / 2))
    low, high = (mean - error * _unskewed(end, skewness) for end in (t, -t))
    method = f"Student t at the long-run variance, corrected for skewness, stationary {of}"
    return Estimate(mean, n, Bounds(low, high, level, method), None)


def rate_interval(
    amounts: Floats, length_s: float, *, level: float = LEVEL, of: str = "time slices"
) -> Estimate:
    """A rate per second from what was counted in equal slices of time, as `mean_interval`.

    Args:
        amounts: What each slice holds, e.g. tokens, in time order; some hundreds or more.
        length_s: Length of a slice in seconds.
        level: Nominal confidence.
        of: What the slices are, for the words of method and reason.

    Raises:
        ValueError: There is no slice, or one holds NaN.
    """
    return mean_interval(amounts / length_s, level=level, of=of)


def percentile_interval(
    series: Floats,
    percent: float,
    *,
    level: float = LEVEL,
    of: str = "requests",
    ordered: Floats | None = None,
) -> Estimate:
    """A percentile of a series in time order, with an interval that corrects for correlation.

    Its ends are order statistics: the exact binomial interval at the effective number of values.

    Args:
        series: At least one value, in time order; may hold +infinity.
        percent: Strictly between 0 and 100.
        level: Nominal confidence.
        of: What the values are, for the words of method and reason.
        ordered: The same values in ascending order, for a caller that asks more than once.

    Raises:
        ValueError: There is no value, or one is NaN.
    """
    _check(series)
    ordered = np.sort(series) if ordered is None else ordered
    value, n = percentile_of_ordered(ordered, percent), series.size
    starts = slice_starts(n)
    wider = float(ordered[math.ceil((n - 1) * wider_percent(percent) / 100)])
    shares = share_interval(
        _at_or_below(series, value, starts),
        np.diff(starts, append=n).astype(np.float64),
        percent,
        wider=_at_or_below(series, wider, starts),
        level=level,
        of=of,
    )
    if shares.bounds is None:
        return Estimate(value, n, None, shares.reason)
    low = float(ordered[max(math.floor(n * shares.bounds.low), 1) - 1])
    high = float(ordered[min(math.ceil(n * shares.bounds.high), n) - 1])
    if math.isinf(high):
        reason = f"the upper end of the interval of p{percent:g} is infinite"
        return Estimate(value, n, None, reason)
    return Estimate(value, n, Bounds(low, high, level, shares.bounds.method), None)


def share_interval(
    hits: Floats,
    counts: Floats,
    percent: float,
    *,
    wider: Floats | None = None,
    level: float = LEVEL,
    of: str = "requests",
) -> Estimate:
    """Between which shares of the pooled values the true percentile lies.

    For values too many to hold: they are counted in slices of time, and whoever knows their
    quantiles reads the ends of the percentile's interval off at the two shares. The share of
    values at or below the true percentile varies as a binomial one of the effective number of
    values would. In a tail that number rests on few values, which come in clusters; a wider tail
    (`wider_percent`) is told more surely, and the larger inflation of the two holds.

    Args:
        hits: How many values of each slice, in time order, lie at or below the percentile of the
            pooled values; several rows (e.g. also: strictly below) count by the worst.
        counts: How many values each slice holds.
        percent: Strictly between 0 and 100.
        wider: As `hits`, for `wider_percent(percent)`.
        level: Nominal confidence.
        of: What the values are, for the words of method and reason.

    Returns:
        The share `percent / 100`, how many values there are, and the two shares.
    """
    share, n, told = percent / 100, round(float(counts.sum())), f"p{percent:g}"
    least = needed_for_percentile(percent, level)
    fewest = max(least, FEWEST)
    if n < fewest:
        return Estimate(share, n, None, _short(told, least, of, n))
    if counts.size < FEWEST:
        reason = f"an interval of {told} needs {FEWEST} slices, {there_are(counts.size)}"
        return Estimate(share, n, None, reason)
    own = _inflation_of_shares(np.atleast_2d(hits), counts)
    tail = own if wider is None else _inflation_of_shares(np.atleast_2d(wider), counts)
    worst = max(own, tail, key=lambda found: found.factor)
    needed = math.ceil(max(least * own.seen, MARGIN * fewest * tail.seen))
    if (own.significant or tail.significant) and n < needed:
        return Estimate(share, n, None, _correlated(told, needed, of, n, worst))
    effective = worst.effective(n, level)
    low = float(bdtrik((1 - level) / 2, effective, share)) / effective
    high = (float(bdtrik((1 + level) / 2, effective, share)) + 1) / effective
    method = f"order statistics (binomial at the effective number), stationary {of}"
    return Estimate(share, n, Bounds(low, min(high, 1.0), level, method), None)


def wider_percent(percent: float) -> float:
    """The percentile whose tail is three times as heavy, at most the median."""
    tail = min(WIDER * min(percent, 100 - percent), 50.0)
    return 100 - tail if percent >= 50 else tail  # noqa: PLR2004  (the median)


def _inflation_of_shares(hits: Floats, counts: Floats) -> Inflation:
    shares = hits.sum(axis=1) / counts.sum()
    return inflation(hits, counts, shares * (1 - shares))


def _at_or_below(series: Floats, value: float, starts: npt.NDArray[np.intp]) -> Floats:
    """How many values of each slice lie at or below `value`, and how many below: ties differ."""
    return np.stack(
        [
            np.add.reduceat(marks, starts, dtype=np.float64)
            for marks in (series <= value, series < value)
        ]
    )


def _skewness(sums: Floats) -> float:
    """Skewness of the mean, from sums over 64 batches of slices, already centred."""
    edges = np.linspace(0, sums.size, min(SKEW_BATCHES, sums.size), endpoint=False)
    batches = np.add.reduceat(sums, edges.astype(np.intp))
    square = float((batches**2).sum())
    return float((batches**3).sum()) / square**1.5 if square > 0 else 0.0


def _unskewed(quantile: float, skewness: float) -> float:
    """The quantile of a studentised mean whose estimate has this skewness.

    The inverse of Hall's cubic transformation (Hall, "On the Removal of Skewness by
    Transformation", Journal of the Royal Statistical Society B 54(1), 1992).
    """
    if abs(skewness) < 1e-9:  # noqa: PLR2004  (no skewness, and a division by it)
        return quantile
    return 3 / skewness * (math.cbrt(1 + skewness * (quantile - skewness / 6)) - 1)


def _too_few(told: str, needed: int, of: str, n: int) -> str:
    return f"an interval of {told} needs {needed} {of}, {there_are(n)}"


def _short(told: str, least: int, of: str, n: int) -> str:
    """Below what independent values would need, or below what tells whether they are."""
    if n >= least:
        return f"{_too_few(told, FEWEST, of, n)}, too few to tell whether they are independent"
    more = f" ({FEWEST} to tell whether they are independent)" if least < FEWEST else ""
    return f"an interval of {told} needs {least} {of}{more}, {there_are(n)}"


def _correlated(told: str, needed: int, of: str, n: int, found: Inflation) -> str:
    return (
        f"{_too_few(told, needed, of, n)}: neighbours are correlated, "
        f"which multiplies the variance by {found.factor:.3g}"
    )


def _check(series: Floats) -> None:
    if series.size == 0:
        raise ValueError("no statistic without values")
    if np.isnan(series).any():
        raise ValueError("a series holds NaN; leave out what was not measured")
