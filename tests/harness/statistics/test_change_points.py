"""Change points: the exact optimum, found by pruning, of mean and variance."""

import math

import numpy as np
import pytest

from accelbench.harness.statistics.change_points import change_points


def _cost(part: np.ndarray, resolution: float) -> float:
    spread = float(part.var()) / resolution**2
    fitted = max(spread, 1.0)
    return len(part) * (math.log(fitted) + spread / fitted)


def _exhaustive(
    values: np.ndarray, penalty: float, least: int, resolution: float
) -> tuple[int, ...]:
    """The same optimum by trying every last segment for every length."""
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (-penalty, ())}
    for end in range(least, len(values) + 1):
        best[end] = min(
            (cost + penalty + _cost(values[start:end], resolution), (*cuts, start))
            for start, (cost, cuts) in best.items()
            if end - start >= least
        )
    return best[len(values)][1][1:]


@pytest.mark.parametrize("seed", range(12))
def test_pruning_loses_nothing(seed: int) -> None:
    """On random steps of mean and spread the result is that of the full dynamic program."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 25, 6)
    values = np.concatenate(
        [rng.normal(rng.normal(0, 2), rng.choice([0.0, 0.1, 1.0]), n) for n in lengths]
    )
    least = int(rng.integers(2, 7))
    found = change_points(values, penalty=4, least=least, resolution=0.05)
    assert found == _exhaustive(values, 4, least, 0.05)


def test_a_change_of_mean_or_of_variance_is_found_where_it_is() -> None:
    """A step of five deviations at 100, and six times the spread from 200."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal(300)
    values[100:] += 5
    values[200:] = 5 + 6 * rng.standard_normal(100)
    first, second = change_points(values, penalty=15 * math.log(300), least=5, resolution=0.01)
    assert first == 100
    assert abs(second - 200) <= 3


def test_equal_values_are_one_segment_and_not_infinitely_likely() -> None:
    """Neither a constant series nor five equal readings within noise are a change."""
    assert change_points(np.full(100, 3.7), penalty=1, least=2, resolution=0.01) == ()
    values = 1 + 0.02 * np.random.default_rng(2).standard_normal(100)
    values[50:55] = 1
    price = 15 * math.log(100)
    assert change_points(values, penalty=price, least=5, resolution=0.001) == ()


def test_too_few_values_for_two_segments_have_no_change() -> None:
    """Nine values hold no two segments of five; ten do."""
    step = np.repeat([0.0, 9.0], 5)
    assert change_points(step[:9], penalty=1, least=5, resolution=0.1) == ()
    assert change_points(step, penalty=1, least=5, resolution=0.1) == (5,)


@pytest.mark.parametrize(("least", "resolution"), [(1, 0.1), (2, 0.0)])
def test_segments_without_a_spread_are_refused(least: int, resolution: float) -> None:
    """One value has no variance, and a resolution of 0 makes equal values infinitely likely."""
    with pytest.raises(ValueError, match="2 values or more"):
        change_points(np.zeros(10), penalty=1, least=least, resolution=resolution)
