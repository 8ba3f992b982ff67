"""A difference of means within groups that are not alike."""

import numpy as np
import pytest
from scipy.stats import ttest_ind

from accelbench.harness.statistics.stratified import Group, mean_difference


def test_of_one_group_it_is_welchs_difference() -> None:
    """Value and interval are those of the two-sample test with unequal variances."""
    draw = np.random.default_rng(1)
    treated, plain = draw.normal(2, 1, 30), draw.normal(1, 3, 50)
    found = mean_difference([Group(treated, plain)])
    expected = ttest_ind(treated, plain, equal_var=False).confidence_interval(0.95)
    assert found.bounds is not None
    assert (found.value, found.n) == (pytest.approx(treated.mean() - plain.mean()), 80)
    assert (found.bounds.low, found.bounds.high) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
    )


def test_groups_weigh_as_often_as_they_were_treated() -> None:
    """How often they were not makes no difference, nor do their own levels."""
    small = Group(np.array([11.0, 11.0]), np.full(100, 10.0))
    large = Group(np.full(6, 105.0), np.array([100.0, 100.0]))
    found = mean_difference([small, large])
    assert found.value == pytest.approx((2 * 1 + 6 * 5) / 8)
    assert found.bounds is not None
    assert (found.bounds.low, found.bounds.high) == (found.value, found.value)


def test_nineteen_intervals_of_twenty_hold_the_truth() -> None:
    """With groups of unequal levels, spreads and sizes, skewed values: 2000 draws."""
    draw, held, times = np.random.default_rng(2), 0, 2000
    for _ in range(times):
        groups = [
            Group(level + 1.0 + draw.exponential(spread, n), level + draw.exponential(spread, m))
            for level, spread, n, m in ((5.0, 1.0, 20, 60), (50.0, 3.0, 25, 20))
        ]
        bounds = mean_difference(groups).bounds
        assert bounds is not None
        held += bounds.low <= 1.0 <= bounds.high
    assert 0.93 < held / times < 0.97
