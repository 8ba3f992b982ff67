"""Means and percentiles: one definition, exact intervals, and the counts they need."""

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelbench.harness.statistics.intervals import (
    mean_estimate,
    nearest_rank,
    needed_for_percentile,
    percentile,
    percentile_estimate,
)

numbers = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@pytest.mark.parametrize(("percent", "needed"), [(99, 368), (95, 72), (50, 6), (5, 72)])
def test_a_percentile_interval_needs_a_known_count(percent: float, needed: int) -> None:
    """One value fewer gives no interval and says how many are needed; the count gives one."""
    assert needed_for_percentile(percent) == needed
    short = percentile_estimate(np.arange(needed - 1.0), percent, of="requests")
    assert short.bounds is None
    assert short.reason == (
        f"an interval of p{percent} needs {needed} requests, there are {needed - 1}"
    )
    assert short.value == pytest.approx(np.percentile(np.arange(needed - 1.0), percent))
    assert percentile_estimate(np.arange(float(needed)), percent).bounds is not None


@pytest.mark.parametrize(
    ("percent", "n"),
    [(50, 6), (50, 10), (50, 1001), (95, 72), (95, 100), (99, 368), (99, 1000), (99, 100_000)],
)
def test_order_statistics_are_the_narrowest_with_both_tails_covered(percent: float, n: int) -> None:
    """Each tail holds at most 2.5 %, and one order statistic further in would hold more."""
    bounds = percentile_estimate(np.arange(1.0, n + 1), percent).bounds
    assert bounds is not None
    low, high = int(bounds.low), int(bounds.high)
    binomial = stats.binom(n, percent / 100)
    assert binomial.cdf(low - 1) <= 0.025 < binomial.cdf(low)
    assert binomial.sf(high - 1) <= 0.025 < binomial.sf(high - 2)


def test_percentile_interval_covers_what_it_claims() -> None:
    """Over many draws of a skewed distribution the interval holds the true p95 95 % of times."""
    drawn = np.random.default_rng(1).exponential(size=(2000, 200))
    truth = -math.log(0.05)
    found = [percentile_estimate(row, 95).bounds for row in drawn]
    share = np.mean([b is not None and b.low <= truth <= b.high for b in found])
    assert 0.945 <= share <= 0.985


def test_mean_interval_is_students_t() -> None:
    """The textbook sample 1..5: mean 3, half-width t(4, 97.5 %) s / sqrt 5."""
    found = mean_estimate([1, 2, 3, 4, 5])
    half = 2.7764451051977987 * math.sqrt(2.5) / math.sqrt(5)
    assert (found.value, found.n, found.reason) == (3, 5, None)
    assert found.bounds is not None
    assert found.bounds.low == pytest.approx(3 - half)
    assert found.bounds.high == pytest.approx(3 + half)
    assert found.bounds.level == 0.95
    assert found.bounds.method == "Student t, independent trials"


def test_one_value_has_a_mean_and_no_interval() -> None:
    """A spread needs two values; with one, the reason says so."""
    found = mean_estimate([7.0])
    assert (found.value, found.n, found.bounds) == (7, 1, None)
    assert found.reason == "an interval of a mean needs 2 trials, there is 1"


def test_every_interval_says_what_it_assumes() -> None:
    """The method names the estimator and the independence of what varies."""
    bounds = percentile_estimate(np.arange(10.0), 50, of="requests").bounds
    assert bounds is not None
    assert bounds.method == "order statistics (exact binomial), independent requests"


def test_percentiles_of_infinite_values() -> None:
    """A percentile is infinite only where it falls on, or reaches towards, an infinite value."""
    values = [1.0, 2.0, 3.0, math.inf]
    assert percentile(values, 50) == 2.5
    assert percentile(values, 95) == math.inf
    assert percentile([1.0, 2.0, math.inf], 50) == 2
    assert math.isinf(percentile_estimate([*range(500), *[math.inf] * 6], 99).value)
    near = percentile_estimate([*range(500), math.inf], 99)
    assert math.isfinite(near.value)
    assert near.bounds is None
    assert near.reason == "the upper end of the interval of p99 is infinite"


def test_no_value_has_no_statistic() -> None:
    """Nothing is made up for an empty sample."""
    for statistic in (percentile, nearest_rank, percentile_estimate):
        with pytest.raises(ValueError, match="without values"):
            statistic([], 50)
    with pytest.raises(ValueError, match="without values"):
        mean_estimate([])


@settings(deadline=None)
@given(numbers, st.floats(0, 100), st.floats(0, 100))
def test_percentiles_are_monotone_and_within_the_sample(
    values: list[float], one: float, other: float
) -> None:
    """A higher percent never gives a lower value; both definitions stay inside the sample."""
    low, high = sorted((one, other))
    for statistic in (percentile, nearest_rank):
        assert statistic(values, low) <= statistic(values, high) + 1e-6
        assert min(values) - 1e-6 <= statistic(values, low) <= max(values) + 1e-6


@settings(deadline=None)
@given(numbers, st.randoms())
def test_order_does_not_matter(values: list[float], random: Random) -> None:
    """Shuffled values give bit for bit the same estimates."""
    shuffled = random.sample(values, len(values))
    assert mean_estimate(values) == mean_estimate(shuffled)
    assert percentile_estimate(values, 50) == percentile_estimate(shuffled, 50)
