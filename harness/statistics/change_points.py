"""Change points of mean and variance: the best segmentation under a penalty (PELT).

R. Killick, P. Fearnhead and I. Eckley, "Optimal detection of changepoints with a linear
computational cost", Journal of the American Statistical Association 107 (2012).
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def change_points(
    values: Array, *, penalty: float, least: int, resolution: float
) -> tuple[int, ...]:
    """Where the mean or the variance of a series of normal values changes.

    Minimises the sum over segments of n ln(variance), twice the negative log likelihood, plus
    `penalty` for each change, exactly, by dynamic programming with pruning.

    Args:
        values: The series; some thousands at most, since the work can grow with the square.
        penalty: The price of one change, e.g. 15 ln n as Barrett et al. (OOPSLA 2017) use.
        least: The fewest values in a segment.
        resolution: A standard deviation below which spread is not told from none, so that
            a run of equal values is not infinitely likely.

    Returns:
        The first index of each segment but the first, rising.

    Raises:
        ValueError: `least` is under 2 or `resolution` is not positive.
    """
    if least < 2 or resolution <= 0:  # noqa: PLR2004  (a spread needs two)
        raise ValueError("a segment has 2 values or more, and a positive resolution")
    n = len(values)
    if n < 2 * least:
        return ()
    return _backwards(_best_starts(_scaled(values, resolution), penalty, least), n)


def _scaled(values: Array, resolution: float) -> Array:
    """The series about its mean in units of the resolution: keeps running sums exact enough."""
    scaled: Array = (values - values.mean()) / resolution
    return scaled


def _best_starts(scaled: Array, penalty: float, least: int) -> list[int]:
    """For each length, where the last segment of the best segmentation starts."""
    n = len(scaled)
    sums = np.concatenate(([0.0], np.cumsum(scaled)))
    squares = np.concatenate(([0.0], np.cumsum(scaled**2)))
    best = np.full(n + 1, math.inf)
    best[0] = -penalty
    starts = [0] * (n + 1)
    useless_from = np.full(n + 1, n + 1)
    candidates = np.zeros(1, dtype=np.intp)
    for end in range(least, n + 1):
        size = end - candidates
        mean = (sums[end] - sums[candidates]) / size
        spread = (squares[end] - squares[candidates]) / size - mean**2
        fitted = np.maximum(spread, 1.0)
        without = best[candidates] + size * (np.log(fitted) + spread / fitted)
        at = int(np.argmin(without))
        best[end] = without[at] + penalty
        starts[end] = int(candidates[at])
        # A start that loses to a change at `end` loses for good once a segment fits after it.
        losers = candidates[without > best[end]]
        useless_from[losers] = np.minimum(useless_from[losers], end + least)
        candidates = candidates[useless_from[candidates] > end + 1]
        if end + 1 >= 2 * least:
            candidates = np.append(candidates, end + 1 - least)
    return starts


def _backwards(starts: list[int], n: int) -> tuple[int, ...]:
    found: list[int] = []
    at = starts[n]
    while at > 0:
        found.append(at)
        at = starts[at]
    return tuple(reversed(found))
