"""Warm-up and steady state of a series of iteration times.

After E. Barrett et al., "Virtual machine warmup blows hot and cold", OOPSLA 2017: change
points cut the series into segments, segments no different from the last one are the steady
run, and the class follows from where that run starts and how fast it is. What differs, and why:

- Iterations of a server depend on one another, and change-point searches take dependence for
  change. The penalty, 15 ln n in the paper, is multiplied by how much dependence inflates the
  variance of a mean, 1 + 2 (sum of autocorrelations), estimated from medians of differences,
  which a few steps do not disturb. It is capped at 10, so that a trend is still seen.
- The paper calls means equal when they differ by less than the variance of the last segment or
  1 ms. Neither fits every unit; here they are equal within `tolerance` (relative), or within
  three standard errors.
- An outlier stands alone or among few: 5 or more in a row are a phase, and those at the very
  start are warm-up.

Stationary series called anything but flat, in 1,000 simulated series of 60 and of 500 iterations
and 200 of 2,000: independent normal and AR(1) 0.5 values none, AR(1) 0.9 at most 0.2 %, times in an
M/M/1 queue at 0.5 load 2.4 %, 1.1 % and 0.5 %. The price: where times vary as much as their mean, as
in that queue, a start three times as slow is mostly missed in fewer than 1,000 iterations; and of
40 iterations, a steady drift to twice the time is missed every other time.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from accelbench.harness.statistics.change_points import change_points
from accelbench.harness.statistics.intervals import Values

Kind: TypeAlias = Literal["flat", "warm-up", "slow-down", "no steady state", "too short"]
Array: TypeAlias = npt.NDArray[np.float64]

TOLERANCE = 0.05
FEWEST = 30  # iterations that can be judged

_WINDOW = 200  # iterations that an outlier is compared with
_HOP = 100
_BAND = 3.0  # times the distance from the 10th to the 90th percentile
_LEAST = 5  # points in a segment
_POINTS = 2000  # points that the search sees at most
_PENALTY = 15.0
_RESOLUTION = 1e-3  # of the mean: less spread than this is none
_LAGS = 30
_MOST_INFLATION = 10.0
_ERRORS = 3.0
_FINAL = 500  # iterations, or a quarter of all, that the steady run must cover


@dataclass(frozen=True)
class Segment:
    """Iterations between two changes, outliers among them.

    Attributes:
        start: Index of the first iteration.
        end: Index after the last one.
        mean: Mean of its values, in their unit.
        variance: Their variance (n - 1 in the denominator), in that unit squared.
    """

    start: int
    end: int
    mean: float
    variance: float


@dataclass(frozen=True)
class SteadyState:
    """Whether and from where a series is steady.

    Attributes:
        kind: "flat": steady from the first iteration. "warm-up": steady from `steady_from`, and
            nothing before was faster. "slow-down": steady, but something before was faster.
            "no steady state": still changing within the last 500 iterations (or, in shorter
            series, the last quarter). "too short": fewer than 30 iterations.
        segments: The segments in order, those of the steady run joined; none when too short.
        steady_from: Index of the first steady iteration, or None.
        outliers: Iterations kept out of the search, though not out of the segments.
    """

    kind: Kind
    segments: tuple[Segment, ...]
    steady_from: int | None
    outliers: int


@dataclass(frozen=True)
class _Level:
    """A segment of the points that the search saw."""

    mean: float
    variance: float
    n: int


def classify(values: Values, *, tolerance: float = TOLERANCE) -> SteadyState:
    """Whether a series of iteration times is flat, warms up, slows down or never settles.

    Nothing is dropped: the result only says where to cut. Change points are searched by PELT
    for mean and variance on at most 2,000 points; a longer series is averaged in equal blocks
    first, so its indices are as coarse as a block (1 in 2,000).

    Args:
        values: The time of each iteration in the order they were run, in any one unit.
        tolerance: Two segment means closer than this share of the last one are equal in
            practice.

    Raises:
        ValueError: A value is not finite, or the tolerance is negative.
    """
    series = np.asarray(values, dtype=np.float64)
    if not np.isfinite(series).all():
        raise ValueError("an iteration time is not finite")
    if tolerance < 0:
        raise ValueError(f"a tolerance is not negative, got {tolerance:g}")
    if series.size < FEWEST:
        return SteadyState("too short", (), None, 0)
    odd = _outliers(series)
    points, firsts = _blocks(series, np.flatnonzero(~odd))
    levels, cuts, inflation = _search(points)
    equal = [_equal(level, levels[-1], tolerance, inflation) for level in levels]
    steady = len(equal) - next((k for k, same in enumerate(equal[::-1]) if not same), len(equal))
    starts = [0, *(int(firsts[cut]) for cut in cuts)][: steady + 1]
    kind = _kind(levels, equal, starts[-1], series.size)
    ends = [*starts[1:], series.size]
    segments = tuple(_segment(series, a, b) for a, b in zip(starts, ends, strict=True))
    settled = None if kind == "no steady state" else starts[-1]
    return SteadyState(kind, segments, settled, int(odd.sum()))


def _kind(levels: list[_Level], equal: list[bool], steady_from: int, n: int) -> Kind:
    if steady_from == 0:
        return "flat"
    if steady_from > n - min(_FINAL, n // 4):
        return "no steady state"
    last = levels[-1].mean
    fastest = all(same or level.mean > last for level, same in zip(levels, equal, strict=True))
    return "warm-up" if fastest else "slow-down"


def _equal(level: _Level, last: _Level, tolerance: float, inflation: float) -> bool:
    error = math.sqrt(inflation * last.variance * (1 / level.n + 1 / last.n))
    return abs(level.mean - last.mean) <= max(tolerance * abs(last.mean), _ERRORS * error)


def _outliers(series: Array) -> npt.NDArray[np.bool_]:
    """Values far from those around them: median +- 3 (P90 - P10) of a window of 200.

    Windows slide by half their length, and each value is judged by the one in whose middle it
    lies. Runs of `_LEAST` and more, and a run at the very start, are no outliers.
    """
    n = series.size
    width = min(_WINDOW, n)
    starts = np.arange(0, n - width + 1, _HOP)
    if starts[-1] < n - width:
        starts = np.append(starts, n - width)
    windows = np.lib.stride_tricks.sliding_window_view(series, width)[starts]
    low, middle, high = np.percentile(windows, (10, 50, 90), axis=1)
    turns = np.append(starts[1:] + (width - _HOP) // 2, n)
    spans = np.diff(turns, prepend=0)
    far = np.abs(series - np.repeat(middle, spans)) > np.repeat(_BAND * (high - low), spans)
    edges = np.diff(far.astype(np.int8), prepend=0, append=0)
    first, after = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    few = (after - first < _LEAST) & (first > 0)
    steps = np.zeros(n + 1, dtype=np.int8)
    steps[first[few]], steps[after[few]] = 1, -1
    return np.cumsum(steps[:-1]).astype(np.bool_)


def _blocks(series: Array, kept: npt.NDArray[np.intp]) -> tuple[Array, npt.NDArray[np.intp]]:
    """Means of equal blocks of the kept values, and the index at which each block starts."""
    size = -(-kept.size // _POINTS)
    at = np.arange(kept.size // size) * size
    counts = np.diff(at, append=kept.size)
    return np.add.reduceat(series[kept], at) / counts, kept[at]


def _search(points: Array) -> tuple[list[_Level], tuple[int, ...], float]:
    """The segments of the points, where they are cut, and the inflation by dependence.

    A first search takes the points as independent; what is left within its segments tells how
    dependent they are, and a second search makes changes dearer by as much.
    """
    price = _PENALTY * math.log(points.size)
    spacing = _RESOLUTION * float(np.abs(points).mean()) or 1.0
    cuts = change_points(points, penalty=price, least=_LEAST, resolution=spacing)
    inflation = _inflation(np.split(points, cuts), spacing)
    if cuts and inflation > 1:
        price *= inflation
        cuts = change_points(points, penalty=price, least=_LEAST, resolution=spacing)
    return [_level(part) for part in np.split(points, cuts)], cuts, inflation


def _inflation(parts: list[Array], spacing: float) -> float:
    """How much dependence inflates the variance of a mean: 1 + 2 (sum of autocorrelations).

    Autocorrelations are of what is left about a straight line through each segment (about its
    mean, a trend would pass for dependence), in units of the segment's own spread; lags up to
    the first below twice the standard error of none are counted.
    """
    rest = np.concatenate([_about_line(part, spacing) for part in parts])
    power = float(rest @ rest)
    total = 1.0
    for lag in range(1, min(_LAGS, rest.size // 4)):
        share = float(rest[lag:] @ rest[:-lag]) / power if power > 0 else 0.0
        if share < 2 / math.sqrt(rest.size):
            break
        total += 2 * share
    return min(total, _MOST_INFLATION)


def _about_line(points: Array, spacing: float) -> Array:
    at = np.arange(points.size) - (points.size - 1) / 2
    rest: Array = points - points.mean() - at * (float(at @ points) / float(at @ at))
    rest /= max(float(rest.std()), spacing)
    return rest


def _level(points: Array) -> _Level:
    return _Level(float(points.mean()), float(points.var(ddof=1)), points.size)


def _segment(series: Array, start: int, end: int) -> Segment:
    part = series[start:end]
    return Segment(start, end, float(part.mean()), float(part.var(ddof=1)))
