"""A difference of means within groups that are not alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from accelbench.harness.statistics.intervals import LEVEL, Bounds, Estimate

METHOD = (
    "difference of means within each group, weighted by the values that were treated; Student t"
    " with Welch's degrees of freedom, independent values"
)


@dataclass(frozen=True)
class Group:
    """Values of one group, with and without a treatment.

    Attributes:
        treated: With it; at least two.
        plain: Without it; at least two.
    """

    treated: npt.NDArray[np.float64]
    plain: npt.NDArray[np.float64]


def mean_difference(groups: Sequence[Group], level: float = LEVEL) -> Estimate:
    """What a treatment adds to the mean of those that had it.

    Groups are compared within themselves, so that it makes no difference that one group has
    larger values and is treated more often. Variances of means add with the squares of the weights
    (Cochran, Sampling Techniques, section 5.3), and Welch's formula gives the degrees of freedom.

    Args:
        groups: At least one.
        level: Nominal confidence.
    """
    treated = sum(group.treated.size for group in groups)
    value, parts = 0.0, list[tuple[float, int]]()
    for group in groups:
        weight = group.treated.size / treated
        value += weight * float(group.treated.mean() - group.plain.mean())
        parts += [
            (weight**2 * float(values.var(ddof=1)) / values.size, values.size - 1)
            for values in (group.treated, group.plain)
        ]
    n = sum(group.treated.size + group.plain.size for group in groups)
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return Estimate(value, n, Bounds(value, value, level, "no spread in any group"), None)
    freedom = variance**2 / sum(part**2 / free for part, free in parts)
    half = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Estimate(value, n, Bounds(value - half, value + half, level, METHOD), None)
