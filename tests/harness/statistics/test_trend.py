"""The slope of a short series: what counts as a trend, and what is chance."""

import numpy as np
import pytest
from scipy import stats

from accelbench.harness.statistics.trend import slope, slope_of_level

SERIES = 1000


def leaves_out_zero(estimate) -> bool:
    """Whether the interval lies on one side of 0."""
    return not estimate.bounds.low <= 0 <= estimate.bounds.high


def alarms(kind, estimate) -> float:
    """How often an interval leaves 0 out, of series of ten parts of 30 values without a trend."""
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(SERIES, 300))
    values = noise if kind == "independent" else np.cumsum(noise, axis=1)
    parts = values.reshape(SERIES, 10, 30).mean(axis=2)
    return float(np.mean([leaves_out_zero(estimate(part)) for part in parts]))


def test_the_slope_is_that_of_least_squares_with_its_t_interval():
    """As a regression against the number of the part tells it."""
    values = np.random.default_rng(3).normal(size=10) + 0.3 * np.arange(10)
    found, theirs = slope(values), stats.linregress(np.arange(10), values)
    half = stats.t.ppf(0.975, 8) * theirs.stderr
    assert found.value == pytest.approx(theirs.slope)
    assert found.bounds.low == pytest.approx(theirs.slope - half)
    assert found.bounds.high == pytest.approx(theirs.slope + half)
    assert "independent parts about a straight line" in found.bounds.method


def test_a_level_has_the_same_slope_and_never_a_narrower_interval():
    """Only the interval takes wandering for possible."""
    rng = np.random.default_rng(4)
    for values in rng.normal(size=(50, 10)).cumsum(axis=1):
        plain, level = slope(values), slope_of_level(values)
        assert level.value == plain.value
        assert level.bounds.low <= plain.bounds.low
        assert level.bounds.high >= plain.bounds.high


def test_independent_values_pass_for_a_trend_one_time_in_twenty():
    """The nominal 5 %, within what a thousand series can tell; for a level hardly ever."""
    assert alarms("independent", slope) == pytest.approx(0.05, abs=0.02)
    assert alarms("independent", slope_of_level) < 0.005


def test_a_random_walk_passes_for_a_trend_with_least_squares_alone():
    """For which reason memory has an interval of its own: again 5 %."""
    assert alarms("walk", slope) > 0.4
    assert alarms("walk", slope_of_level) == pytest.approx(0.05, abs=0.02)


def test_a_rise_to_a_plateau_is_no_trend_of_a_level():
    """Memory that grows in the first tenth and then stays."""
    values = np.array([0.4, *[1.0] * 9])
    ramp = np.array([0.2, 0.5, 0.8, *[1.0] * 7])
    assert not leaves_out_zero(slope_of_level(values))
    assert leaves_out_zero(slope(ramp))
    assert not leaves_out_zero(slope_of_level(ramp))


def test_a_straight_line_is_sure_and_too_few_parts_are_not():
    """No scatter, no width; below four parts there is no interval, below two no slope."""
    found = slope_of_level([1.0, 3.0, 5.0, 7.0])
    assert [found.bounds.low, found.bounds.high] == pytest.approx([2.0, 2.0])
    for estimate in (slope, slope_of_level):
        few = estimate([1.0, 3.0, 5.0])
        assert (few.value, few.bounds) == (pytest.approx(2.0), None)
        assert few.reason == "an interval of a slope needs 4 parts, there are 3"
        with pytest.raises(ValueError, match="two values"):
            estimate([1.0])
