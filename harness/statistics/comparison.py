"""Whether one set of trials is better than, worse than or practically equal to another.

The effect is the ratio of the geometric means, new over base, with Welch's t interval on the
logarithms. Logarithms, because the noise of times and rates is multiplicative, because the
answer is then the same for a latency and for its reciprocal, and turns over when the sides are
swapped, and because the interval is always finite, which Fieller's for a ratio of means is not.
Where the spread is a few percent, geometric and arithmetic means differ by less than 0.1 %.

With M the margin, L the interval at `level` (95 %) and E the narrower one at 2 level - 1 (90 %):

| first row that holds                                            | verdict               |
|-----------------------------------------------------------------|-----------------------|
| a side has no values, or one that is not finite and positive    | incomparable          |
| a side has one value                                            | inconclusive          |
| E lies within [1 / (1 + M), 1 + M]                              | equivalent            |
| L excludes 1, and the ratio lies outside [1 / (1 + M), 1 + M]   | better or worse       |
| the same, where neither direction is better                     | incomparable          |
| anything else                                                   | inconclusive          |

The third row is the two one-sided tests at 1 - level each (Schuirmann 1987); a small effect
that is certainly there is still equivalent. The third and fourth row exclude each other.
"""

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from accelbench.harness.statistics.intervals import LEVEL, Bounds, Values

Better: TypeAlias = Literal["lower", "higher", "neither"]
Verdict: TypeAlias = Literal["better", "worse", "equivalent", "inconclusive", "incomparable"]

MARGIN = 0.02
POWER = 0.8

_MOST = 1_000_000  # trials a side beyond which advice is useless


@dataclass(frozen=True)
class Comparison:
    """How the new trials stand to the base.

    Attributes:
        verdict: See the table of this module.
        ratio: Geometric mean of the new values over that of the base, or None.
        bounds: Its interval at the asked level, or None.
        reason: What the verdict rests on, in words.
        p: Two-sided p-value of equal geometric means (Welch), or None.
        needed: When inconclusive: trials a side with which two equal subjects are found
            equivalent four times in five, or None where more trials are not known to help.
    """

    verdict: Verdict
    ratio: float | None
    bounds: Bounds | None
    reason: str
    p: float | None
    needed: int | None


@dataclass(frozen=True)
class _Effect:
    """A difference of mean logarithms, new minus base."""

    value: float
    error: float
    freedom: float

    def half(self, level: float) -> float:
        """Half the width of the two-sided interval; 0 where neither side varies."""
        return float(stdtrit(self.freedom, (1 + level) / 2)) * self.error if self.error else 0.0

    def p(self) -> float:
        """Two-sided p-value of no difference."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return 2 * float(stdtr(self.freedom, -abs(self.value) / self.error))


def compare(
    a: Values,
    b: Values,
    *,
    margin: float = MARGIN,
    better: Better,
    level: float = LEVEL,
) -> Comparison:
    """Compare two independent samples of trial values, one value a trial.

    Args:
        a: The base.
        b: The new one, in the same unit.
        margin: The ratio, less 1, that makes no difference in practice.
        better: Which direction is better, or "neither": then the verdict is never better or
            worse, and a certain difference is "incomparable".
        level: Nominal confidence of the interval; both one-sided tests use 1 - level.

    Returns:
        One of five verdicts. At 95 %, equal subjects come out better or worse in 2 to 5 % of
        comparisons with as many trials on both sides. Welch's approximation lets a little more
        through where a side has far fewer: 5.5 % of 6 against 3, 6.5 % of 10 against 3.

    Raises:
        ValueError: The margin is not positive, or the level not between 0.5 and 1.
    """
    if margin <= 0 or not 0.5 < level < 1:  # noqa: PLR2004  (2 level - 1 is a level)
        raise ValueError("a margin is positive and a level lies between 0.5 and 1")
    base, new = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    for values, side in ((base, "base"), (new, "new")):
        if values.size == 0:
            return _without(f"the {side} side has no values")
        if not (np.isfinite(values) & (values > 0)).all():
            return _without(f"the {side} side has a value that is not finite and positive")
    logs = np.log(base), np.log(new)
    ratio = math.exp(float(logs[1].mean() - logs[0].mean()))
    if min(base.size, new.size) < 2:  # noqa: PLR2004  (a spread needs two)
        reason = "a spread needs 2 trials a side"
        return Comparison("inconclusive", ratio, None, reason, None, None)
    variances = _variance(logs[0]), _variance(logs[1])
    effect = _effect(logs, variances)
    verdict, reason = _decide(effect, margin, better, level)
    needed = None
    if verdict == "inconclusive":
        needed = needed_trials(*variances, margin=margin, level=level)
        if needed is not None and needed <= min(base.size, new.size):
            needed, reason = None, f"{reason}; it is too near the margin for more trials to help"
    half = effect.half(level)
    bounds = Bounds(
        math.exp(effect.value - half),
        math.exp(effect.value + half),
        level,
        "Welch t on logarithms, independent trials" if effect.error else "no spread on either side",
    )
    return Comparison(verdict, math.exp(effect.value), bounds, reason, effect.p(), needed)


def needed_trials(
    variance_a: float, variance_b: float, *, margin: float = MARGIN, level: float = LEVEL
) -> int | None:
    """Trials a side with which two equal subjects are found equivalent four times in five.

    The least n with (t_{level} + t_{0.9}) sqrt((s_a^2 + s_b^2) / n) <= ln(1 + margin), t with
    2 n - 2 degrees of freedom (Chow, Shao and Wang, Sample Size Calculations in Clinical Research,
    section 3.2.3). A difference of twice the margin is then found more often still.

    Args:
        variance_a: Variance of the logarithms of the base.
        variance_b: Variance of the logarithms of the new one.
        margin: As in `compare`.
        level: As in `compare`.

    Returns:
        At least 2; None beyond a million.
    """
    edge = math.log1p(margin)

    def enough(n: int) -> bool:
        quantiles = stdtrit(2 * n - 2, (level, (1 + POWER) / 2))
        return float(quantiles.sum()) * math.sqrt((variance_a + variance_b) / n) <= edge

    found = bisect_left(range(_MOST + 1), 1, lo=2, key=enough)
    return found if found <= _MOST else None


def _decide(effect: _Effect, margin: float, better: Better, level: float) -> tuple[Verdict, str]:
    edge = math.log1p(margin)
    inner, outer = effect.half(2 * level - 1), effect.half(level)
    change = f"the ratio is {math.exp(effect.value):.4g}"
    if abs(effect.value) + inner <= edge:
        return "equivalent", f"{change} and its interval lies within the margin of {margin:.3g}"
    if abs(effect.value) <= edge:
        return "inconclusive", f"{change}, within the margin, but its interval is not"
    if abs(effect.value) <= outer:
        return "inconclusive", f"{change}, beyond the margin, but its interval holds 1"
    if better == "neither":
        return "incomparable", f"{change}: a certain difference, and neither direction is better"
    verdict: Verdict = "better" if (effect.value < 0) == (better == "lower") else "worse"
    return verdict, f"{change}, beyond the margin of {margin:.3g}, and its interval excludes 1"


def _effect(
    logs: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    variances: tuple[float, float],
) -> _Effect:
    """Welch's difference with the degrees of freedom of Satterthwaite."""
    sizes = logs[0].size, logs[1].size
    parts = [v / n for v, n in zip(variances, sizes, strict=True)]
    squared = sum(parts)
    value = float(logs[1].mean() - logs[0].mean())
    if squared == 0:
        return _Effect(float(logs[1][0] - logs[0][0]), 0.0, math.inf)
    freedom = squared**2 / sum(p**2 / (n - 1) for p, n in zip(parts, sizes, strict=True))
    return _Effect(value, math.sqrt(squared), freedom)


def _variance(logs: npt.NDArray[np.float64]) -> float:
    """The variance; exactly 0 for a constant, whatever the rounding of its mean."""
    return float(logs.var(ddof=1)) if np.ptp(logs) > 0 else 0.0


def _without(reason: str) -> Comparison:
    return Comparison("incomparable", None, None, reason, None, None)
