"""By how much correlation inflates the variance of a mean, from a few slices of the series.

The variance of the mean of a stationary series is set by its spectrum at frequency zero. It is
estimated from the slices' sums as the average of their lowest cosine coefficients (equally
weighted cosines: Lazarus, Lewis, Stock and Watson, "HAR Inference: Recommendations for Practice",
Journal of Business and Economic Statistics 36(4), 2018). Against plain batch means that has less
bias where the correlation is long, and its degrees of freedom are simply the number of cosines.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import dct
from scipy.special import chdtri, ndtri, stdtrit

Floats = npt.NDArray[np.float64]

SLICES = 1024
COSINES = 32
FEW_COSINES = 10
SLICES_PER_COSINE = 8
FEW_EFFECTIVE = 1000.0
CHANCE = 0.05


@dataclass(frozen=True)
class Inflation:
    """The variance of a mean as a multiple of what independent values would have.

    Attributes:
        factor: The multiple to build an interval with; at least 1.
        dof: Degrees of freedom of the factor.
        seen: The multiple as first estimated; may lie below 1.
        significant: Whether independent values would seldom show as much (1 in 20).
    """

    factor: float
    dof: int
    seen: float
    significant: bool

    def effective(self, n: int, level: float) -> float:
        """How many independent values of known variance would give an interval as wide.

        The quantile of Student's t over the normal one pays for estimating the factor.
        """
        tail = (1 + level) / 2
        widening = float(stdtrit(self.dof, tail)) / float(ndtri(tail))
        return n / self.factor / widening**2


def slice_starts(n: int) -> npt.NDArray[np.intp]:
    """Where the slices begin into which a series of n values is cut, all but the last equal."""
    return np.arange(0, n, max(1, n // SLICES))


def inflation(sums: Floats, counts: Floats, variances: Floats) -> Inflation:
    """The inflation of a sum over slices, the largest where several sums are given.

    Where correlation shows and few effective values are left, the estimate from fewer cosines,
    which look at lower frequencies, counts too if it is larger: a series that is short against
    its correlation hides part of it, and a chance low estimate does the greatest harm there.

    Args:
        sums: One row a quantity, one column a slice: the sum of its values in the slice.
        counts: How many values each slice holds.
        variances: The variance of a single value of each quantity.
    """
    n, slices = float(counts.sum()), counts.size
    residuals = sums - sums.sum(axis=1, keepdims=True) / n * counts
    power = dct(residuals, type=2, norm="ortho", axis=1)[:, 1:] ** 2 * slices
    single = np.where(variances > 0, variances, np.inf) * n
    many, few = (max(1, min(k, slices // SLICES_PER_COSINE)) for k in (COSINES, FEW_COSINES))
    seen, low = (float((power[:, :k].mean(axis=1) / single).max()) for k in (many, few))
    significant = seen > _chance_limit(many)
    shows = significant or low > _chance_limit(few)
    if shows and n / max(seen, 1.0) < FEW_EFFECTIVE:
        return Inflation(max(seen, low, 1.0), few, seen, significant)
    return Inflation(max(seen, 1.0), many, seen, significant)


def _chance_limit(cosines: int) -> float:
    """What independent values exceed in one of 20 series: chi-squared over its mean."""
    return float(chdtri(cosines, CHANCE)) / cosines
