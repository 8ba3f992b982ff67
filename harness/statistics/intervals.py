"""Means and percentiles with exact two-sided confidence intervals.

Nothing here corrects for dependence: each interval states in words what it assumes, and a
caller whose values depend on one another asks `dependent` instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import bdtrik, stdtrit

LEVEL = 0.95

Values: TypeAlias = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bounds:
    """A two-sided confidence interval.

    Attributes:
        low: Lower end.
        high: Upper end.
        level: Nominal confidence.
        method: The estimator and what it assumes, in words.
    """

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class Estimate:
    """A point estimate with its interval, or the reason why there is no interval.

    Attributes:
        value: The point estimate; +infinity where a percentile falls on such a value.
        n: How many values it rests on.
        bounds: Its interval, or None.
        reason: Why there is no interval, or None.
    """

    value: float
    n: int
    bounds: Bounds | None
    reason: str | None


def percentile(values: Values, percent: float) -> float:
    """The percentile by linear interpolation between order statistics (numpy "linear").

    This is the one definition that is stored. Values may hold +infinity.

    Args:
        values: At least one value.
        percent: From 0 to 100.

    Raises:
        ValueError: There is no value.
    """
    return percentile_of_ordered(_ordered(values), percent)


def nearest_rank(values: Values, percent: float) -> float:
    """The percentile by nearest rank: the ceil(n p / 100)-th smallest value.

    Raises:
        ValueError: There is no value.
    """
    ordered = _ordered(values)
    return float(ordered[max(math.ceil(ordered.size * percent / 100), 1) - 1])


def mean_estimate(values: Values, *, of: str = "trials", level: float = LEVEL) -> Estimate:
    """The mean with Student's t interval; two values are the fewest that support one.

    Args:
        values: At least one value.
        of: What the values are, for the words of the method.
        level: Nominal confidence.

    Raises:
        ValueError: There is no value.
    """
    found = _ordered(values)
    mean, n = float(found.mean()), found.size
    if n < 2:  # noqa: PLR2004  (a spread needs two)
        return Estimate(mean, n, None, f"an interval of a mean needs 2 {of}, there is 1")
    error = float(found.std(ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * error
    method = f"Student t, independent {of}"
    return Estimate(mean, n, Bounds(mean - half, mean + half, level, method), None)


def percentile_estimate(
    values: Values, percent: float, *, of: str = "samples", level: float = LEVEL
) -> Estimate:
    """A percentile with the exact binomial interval between two order statistics.

    The number of values at or below the true percentile is binomial, whatever their
    distribution; each tail gets half of what `level` leaves (David and Nagaraja, Order
    Statistics, section 7.1).

    Args:
        values: At least one value; may hold +infinity.
        percent: Strictly between 0 and 100.
        of: What the values are, for the words of the method.
        level: Nominal confidence.

    Raises:
        ValueError: There is no value.
    """
    ordered = _ordered(values)
    n, value = ordered.size, percentile_of_ordered(ordered, percent)
    needed = needed_for_percentile(percent, level)
    if n < needed:
        reason = f"an interval of p{percent:g} needs {needed} {of}, {there_are(n)}"
        return Estimate(value, n, None, reason)
    tail, share = (1 - level) / 2, percent / 100
    low = float(ordered[_binomial_quantile(tail, n, share) - 1])
    high = float(ordered[_binomial_quantile(1 - tail, n, share)])
    if math.isinf(high):
        return Estimate(
            value, n, None, f"the upper end of the interval of p{percent:g} is infinite"
        )
    method = f"order statistics (exact binomial), independent {of}"
    return Estimate(value, n, Bounds(low, high, level, method), None)


def needed_for_percentile(percent: float, level: float = LEVEL) -> int:
    """The fewest values that support a two-sided interval of a percentile.

    With fewer, even the largest (or smallest) value lies on the wrong side of the true
    percentile too often.
    """
    share = percent / 100
    return math.ceil(math.log((1 - level) / 2) / math.log(max(share, 1 - share)))


def _binomial_quantile(probability: float, n: int, share: float) -> int:
    """The smallest k whose cumulative binomial probability reaches `probability`."""
    return math.ceil(float(bdtrik(probability, n, share)))


def percentile_of_ordered(ordered: npt.NDArray[np.float64], percent: float) -> float:
    """As `percentile`, of at least one value already in ascending order."""
    position = (ordered.size - 1) * (percent / 100)
    upper = float(ordered[math.ceil(position)])
    if math.isinf(upper) or position.is_integer():
        return upper
    return float(np.percentile(ordered, percent))


def _ordered(values: Values) -> npt.NDArray[np.float64]:
    found = np.sort(np.asarray(values, dtype=np.float64))
    if found.size == 0:
        raise ValueError("no statistic without values")
    return found


def there_are(n: int) -> str:
    """How many there are, in words."""
    return "there is 1" if n == 1 else f"there are {n}"
