"""The inflation of a mean's variance, against processes whose inflation is known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from accelbench.harness.statistics.variance_inflation import inflation, slice_starts


def found(series):
    """The inflation of one series."""
    starts = slice_starts(series.size)
    counts = np.diff(starts, append=series.size).astype(float)
    return inflation(np.add.reduceat(series, starts)[np.newaxis], counts, np.array([series.var()]))


def autoregression(n, phi, seed=1):
    """A first-order autoregression."""
    return lfilter([1.0], [1.0, -phi], np.random.default_rng(seed).standard_normal(n))


@pytest.mark.parametrize("n", [1, 100, 1023, 1024, 1025, 2047, 5000, 10**6])
def test_slices_cover_the_series_and_are_equal_but_the_last(n):
    """About a thousand of them, or one a value where there are fewer."""
    lengths = np.diff(slice_starts(n), append=n)
    assert lengths.sum() == n
    assert (lengths[:-1] == lengths[0]).all()
    assert 0 < lengths[-1] <= lengths[0]
    assert min(n, 1024) <= lengths.size < 2048


@pytest.mark.parametrize("phi", [0.5, 0.9, 0.99])
def test_the_inflation_of_an_autoregression_is_that_of_the_formula(phi):
    """(1 + phi) / (1 - phi), on average over a hundred series."""
    seen = [found(autoregression(200_000, phi, seed)).seen for seed in range(100)]
    assert np.mean(seen) == pytest.approx((1 + phi) / (1 - phi), rel=0.08)


def test_independent_values_seldom_show_correlation_and_are_never_under_one():
    """1 in 20 by chance."""
    all_found = [found(np.random.default_rng(seed).random(2000)) for seed in range(400)]
    assert 0.02 < np.mean([one.significant for one in all_found]) < 0.09
    assert min(one.factor for one in all_found) == 1.0
    assert min(one.seen for one in all_found) < 0.8
    assert np.mean([one.dof == 32 for one in all_found]) > 0.9


def test_few_effective_values_are_judged_by_lower_frequencies():
    """A series short against its correlation gets fewer degrees of freedom, and no less factor."""
    short, long = (found(autoregression(n, 0.9)) for n in (5000, 100_000))
    assert (short.dof, long.dof) == (10, 32)
    assert short.factor >= short.seen
    assert long.factor == long.seen
    assert short.significant
    assert long.significant


def test_the_worst_of_several_sums_holds():
    """Rows are candidates for one quantity; the most inflated one counts."""
    starts = slice_starts(20_000)
    counts = np.diff(starts, append=20_000).astype(float)
    both = [autoregression(20_000, phi) for phi in (0.0, 0.9)]
    sums = np.stack([np.add.reduceat(series, starts) for series in both])
    worst = inflation(sums, counts, np.array([series.var() for series in both]))
    assert worst == found(both[1])


def test_values_that_never_vary_are_not_inflated():
    """No variance, no inflation, and no division by it."""
    assert found(np.ones(5000)).factor == 1.0


def test_the_effective_number_pays_for_the_inflation_and_for_estimating_it():
    """The number over the factor, over the squared ratio of Student's and the normal quantile."""
    one = found(autoregression(100_000, 0.9))
    assert one.effective(100_000, 0.95) == pytest.approx(
        100_000 / one.factor / (2.0369 / 1.9600) ** 2, rel=1e-4
    )
