"""Ratios of means over independent trials, and how an interval follows its measurement."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from accelbench.harness.metrics.registry import Absent, Outcome, Value
from accelbench.harness.schema.measurement import Interval
from accelbench.harness.statistics.intervals import LEVEL

METHOD = (
    "delta method on the logarithm of a ratio of means, Student t with Welch's degrees of freedom,"
    " independent trials"
)

_FEWEST = 2


def ratio_of_means(top: Sequence[float], bottom: Sequence[float], level: float = LEVEL) -> Outcome:
    """The mean of one set of trials over the mean of another, with its interval.

    The variance of the logarithm of a mean is that of the mean over its square; the two add
    (Casella and Berger, Statistical Inference, section 5.5.4), and Welch's formula gives the
    degrees of freedom. The interval of the inverse ratio is the inverse of the interval.

    Args:
        top: One value a trial, none negative.
        bottom: The same for the other set.
        level: Nominal confidence.

    Returns:
        The ratio, counted over the trials of the smaller set; without an interval where one
        set has a single trial or the ratio is 0, absent where the mean below is 0.
    """
    above, below = float(np.mean(top)), float(np.mean(bottom))
    n = min(len(top), len(bottom))
    if below == 0:
        return Absent("the mean that it is taken over is 0", n)
    ratio = above / below
    if n < _FEWEST:
        return Value(ratio, n, reason=f"an interval of a ratio needs {_FEWEST} trials of each")
    if ratio == 0:
        return Value(ratio, n, reason="a ratio of 0 has no logarithm, so no interval")
    shares = [
        float(np.var(values, ddof=1)) / len(values) / mean**2
        for values, mean in ((top, above), (bottom, below))
    ]
    half = _half_width(shares, (len(top) - 1, len(bottom) - 1), level)
    low, high = ratio * math.exp(-half), ratio * math.exp(half)
    return Value(ratio, n, Interval(low, high, level, METHOD, "trials"))


def times(outcome: Outcome, factor: float) -> Outcome:
    """The outcome times a positive constant, its interval too."""
    if isinstance(outcome, Absent):
        return outcome
    return Value(
        outcome.value * factor,
        outcome.n,
        scaled(outcome.interval, factor),
        outcome.reason,
        outcome.energy,
    )


def scaled(interval: Interval | None, factor: float) -> Interval | None:
    """The interval of a quantity times a positive constant."""
    if interval is None:
        return None
    low, high = interval.low * factor, interval.high * factor
    return Interval(low, high, interval.level, interval.method, interval.over)


def inverted(interval: Interval | None, numerator: float = 1.0) -> Interval | None:
    """The interval of a positive constant over a quantity; None where it reaches 0."""
    if interval is None or interval.low <= 0:
        return None
    low, high = numerator / interval.high, numerator / interval.low
    return Interval(low, high, interval.level, interval.method, interval.over)


def _half_width(shares: Sequence[float], freedoms: Sequence[int], level: float) -> float:
    variance = sum(shares)
    if variance == 0:
        return 0.0
    freedom = variance**2 / sum(s**2 / f for s, f in zip(shares, freedoms, strict=True))
    return float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
