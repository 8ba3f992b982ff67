"""A search for the largest level that passes, where passing ends somewhere as the level rises."""

import math
from collections.abc import Mapping

_DIGITS = 3
_FARTHEST = 2.0**10


def next_level(passed: Mapping[float, bool], first: float, resolution: float) -> float | None:
    """The level to try next: doubled or halved until it is bracketed, then the geometric mean.

    A level that passes above one that does not is passed over: the bracket is the lowest that
    does not pass and the highest that passes below it.

    Args:
        passed: Whether each level that was tried passes; undecided levels do not.
        first: The level to begin with, above 0.
        resolution: Where the search ends: the lowest that does not pass is at most this share
            above the highest that passes.

    Returns:
        The level, of three significant digits; None where the search has ended: the bracket is
        narrow enough, or 2^10 times above or below the first nothing changed.
    """
    if not passed:
        return first
    failing = min((level for level, good in passed.items() if not good), default=math.inf)
    passing = max((level for level, good in passed.items() if good and level < failing), default=0)
    if math.isinf(failing):
        following = _rounded(2 * passing)
        return following if following <= first * _FARTHEST else None
    if not passing:
        following = _rounded(failing / 2)
        return following if following >= first / _FARTHEST else None
    if failing <= passing * (1 + resolution):
        return None
    following = _rounded(math.sqrt(passing * failing))
    return following if passing < following < failing else None


def _rounded(level: float) -> float:
    return float(f"{level:.{_DIGITS}g}")
