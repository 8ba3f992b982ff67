"""Enough trials for a wanted precision, without peeking (Stein's two-stage procedure).

Looking at the interval after each trial and stopping once it is narrow enough stops most
often when the spread happens to look small, so that the final interval covers less than it
claims. Stein's way looks once: a pilot tells the spread, the spread tells how many trials to
run, and the interval over all of them keeps the pilot's spread and its degrees of freedom.

C. Stein, "A two-sample test for a linear hypothesis whose power is independent of the
variance", Annals of Mathematical Statistics 16 (1945).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from accelbench.harness.statistics.intervals import LEVEL, Bounds, Estimate, Values

_FEWEST = 2  # a spread needs two values


@dataclass(frozen=True)
class Plan:
    """How many trials a pilot asks for.

    Attributes:
        n: Trials in all, those of the pilot among them.
        pilot: Trials of the pilot.
        mean: Mean of the pilot, in the unit of the values.
        s: Standard deviation of the pilot (n - 1 in the denominator), in the same unit.
        half_width: The half width that the interval will not exceed, in the same unit.
        level: Nominal confidence.
    """

    n: int
    pilot: int
    mean: float
    s: float
    half_width: float
    level: float

    @property
    def more(self) -> int:
        """Trials still to run after the pilot."""
        return self.n - self.pilot


def planned_trials(pilot_values: Values, relative_half_width: float, level: float = LEVEL) -> Plan:
    """How many trials bring the mean's interval to a wanted half width.

    n = max(n0, ceil((t s / d)^2)), where t is Student's quantile at (1 + level) / 2 with
    n0 - 1 degrees of freedom, s the spread of the n0 pilot trials and d the half width, which
    is `relative_half_width` times the size of the pilot's mean. A short pilot pays for its
    ignorance: with 2 trials t is 12.7, with 5 it is 2.8, with 10 it is 2.3.

    Args:
        pilot_values: One value a trial, at least two.
        relative_half_width: The wanted half width over the mean, e.g. 0.02.
        level: Nominal confidence.

    Raises:
        ValueError: Fewer than two values, a value that is not finite, a mean of 0 (nothing is
            relative to it), or an argument out of range.
    """
    pilot = _finite(pilot_values)
    if pilot.size < _FEWEST:
        raise ValueError(f"a pilot needs {_FEWEST} trials, there {_are(pilot.size)}")
    if relative_half_width <= 0:
        raise ValueError(f"a half width is positive, got {relative_half_width:g}")
    mean, s = float(pilot.mean()), _spread(pilot)
    if mean == 0:
        raise ValueError("the pilot's mean is 0: no half width is relative to it")
    half_width = relative_half_width * abs(mean)
    asked = math.ceil((_quantile(pilot.size, level) * s / half_width) ** 2)
    return Plan(max(pilot.size, asked), pilot.size, mean, s, half_width, level)


def stein_interval(values: Values, pilot: int, level: float = LEVEL) -> Estimate:
    """The mean of all trials with the interval that a plan from the pilot promised.

    mean of all N values +- t s / sqrt(N), with s and the n0 - 1 degrees of freedom of the pilot
    alone. For independent normal values the level is exact for a half width that was fixed
    beforehand, and to within a tenth of a percent for one relative to the pilot's mean. It
    also holds when fewer trials than planned could be run; the interval is then wider.

    Args:
        values: One value a trial in the order they were run, the pilot first.
        pilot: How many of them are the pilot.
        level: Nominal confidence.

    Raises:
        ValueError: No value, one that is not finite, or a pilot longer than the values.
    """
    found = _finite(values)
    if not 1 <= pilot <= found.size:
        raise ValueError(f"a pilot of {pilot} among {found.size} trials")
    mean, n = float(found.mean()), found.size
    if pilot < _FEWEST:
        return Estimate(mean, n, None, f"a spread needs a pilot of {_FEWEST} trials, it has 1")
    half = _quantile(pilot, level) * _spread(found[:pilot]) / math.sqrt(n)
    method = f"Stein two-stage, pilot of {pilot} independent normal trials"
    return Estimate(mean, n, Bounds(mean - half, mean + half, level, method), None)


def _quantile(pilot: int, level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a level lies between 0 and 1, got {level:g}")
    return float(stdtrit(pilot - 1, (1 + level) / 2))


def _spread(values: npt.NDArray[np.float64]) -> float:
    """The standard deviation; exactly 0 for a constant, whatever the rounding of its mean."""
    return float(values.std(ddof=1)) if np.ptp(values) > 0 else 0.0


def _finite(values: Values) -> npt.NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a value is not finite")
    return found


def _are(n: int) -> str:
    return "is 1" if n == 1 else f"are {n}"
