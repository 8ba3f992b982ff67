"""MLPerf's early stopping: the golden table, the rule behind it, and its order statistics."""

import math

import numpy as np
import pytest
from scipy import stats

from accelbench.harness.statistics.early_stopping import (
    early_stopping_estimate,
    least_h,
    needed_queries,
    order_statistic,
    passes,
    tightest_limit,
)

GOLDEN = [
    (percent, over, needed)
    for percent, row in {
        90: {0: 44, 1: 64, 2: 81, 5: 127, 10: 197},
        95: {0: 90, 1: 130, 2: 165, 5: 259, 10: 398},
        97: {0: 152, 1: 219, 2: 277, 5: 433, 10: 667},
        99: {0: 459, 1: 662, 2: 838, 5: 1307, 10: 2010},
        99.9: {0: 4603, 1: 6636},
    }.items()
    for over, needed in row.items()
]


@pytest.mark.parametrize(("percent", "over", "needed"), GOLDEN)
def test_a_percentile_needs_the_queries_of_the_golden_table(
    percent: float, over: int, needed: int
) -> None:
    """The published count passes with that many slow queries; one query fewer does not."""
    assert needed_queries(percent, over) == needed
    assert least_h(percent, over) == needed - over
    assert passes(needed, over, percent)
    assert not passes(needed - 1, over, percent)


@pytest.mark.parametrize(("percent", "over"), [(90, 3), (99, 40), (99.9, 2), (50, 0)])
def test_the_count_is_the_least_with_a_small_enough_binomial_tail(
    percent: float, over: int
) -> None:
    """P[Bin(n, 1 - p) <= t] is at most 1 % at the count and more just below it."""
    needed, slow = needed_queries(percent, over), 1 - percent / 100
    assert stats.binom.cdf(over, needed, slow) <= 0.01
    assert stats.binom.cdf(over, needed - 1, slow) > 0.01


def test_tolerance_and_confidence_move_the_count() -> None:
    """A tolerated shortfall asks for fewer queries, a higher confidence for more."""
    assert needed_queries(99, 1, tolerance=0.01) == needed_queries(98, 1) < 662
    assert needed_queries(99, 1, confidence=0.999) > 662


def test_a_false_claim_is_made_once_in_a_hundred() -> None:
    """Of runs whose share of slow queries is exactly at the bound, at most 1 % pass."""
    slow = np.random.default_rng(1).binomial(838, 0.01, 20_000)
    allowed = [t for t in range(30) if passes(838, t, 99)]
    assert allowed == [0, 1, 2]
    assert 0.006 <= np.isin(slow, allowed).mean() <= 0.011


@pytest.mark.parametrize(
    ("n", "discarded"), [(64, 0), (80, 0), (81, 1), (126, 3), (127, 4), (196, 8), (197, 9)]
)
def test_single_stream_reports_what_discarding_leaves(n: int, discarded: int) -> None:
    """With t slow queries allowed, the t-th slowest latency is the estimate."""
    latencies = np.random.default_rng(2).permutation(np.arange(1.0, n + 1))
    found = early_stopping_estimate(latencies, 90)
    assert (found.value, found.discarded) == (n - discarded, discarded)
    assert (found.n, found.needed, found.reason) == (n, 64, None)


def test_too_few_queries_give_no_estimate() -> None:
    """One query short of the count there is no value, and the reason says how many."""
    found = early_stopping_estimate(np.ones(661), 99)
    assert (found.value, found.discarded, found.needed) == (None, None, 662)
    assert found.reason == "early stopping at p99 needs 662 queries, there are 661"


def test_failed_queries_are_the_slowest() -> None:
    """Infinite latencies fill the discarded places first, then become the estimate."""
    latencies = np.append(np.ones(195), [math.inf, math.inf])
    assert early_stopping_estimate(latencies, 90).value == 1
    assert early_stopping_estimate([math.inf] * 64, 90).value == math.inf


@pytest.mark.parametrize(("n", "over"), [(459, 0), (661, 0), (662, 1), (838, 2), (2010, 10)])
def test_the_tightest_limit_lets_as_many_be_slow_as_pass(n: int, over: int) -> None:
    """A run passes with a limit exactly if the limit is no less; one over more fails."""
    latencies = np.random.default_rng(3).permutation(np.arange(1.0, n + 1))
    found = tightest_limit(latencies, 99)
    assert (found.value, found.discarded, found.needed) == (n - over, over, 459)
    assert passes(n, int((latencies > n - over).sum()), 99)
    assert not passes(n, int((latencies > n - over - 0.5).sum()), 99)


def test_a_limit_needs_fewer_queries_than_an_estimate() -> None:
    """Without a slow one 459 pass at p99, with one fewer no limit does."""
    found = tightest_limit(np.ones(458), 99)
    assert (found.value, found.needed) == (None, 459)
    assert found.reason == "early stopping at p99 needs 459 queries, there are 458"
    assert tightest_limit([1.0] * 458 + [math.inf], 99).value == math.inf


def test_a_million_queries_are_quick_and_near_the_percentile() -> None:
    """The estimate lies above the percentile, and the closer the more queries there are."""
    found = early_stopping_estimate(np.arange(1e6), 99)
    assert found.value is not None
    assert 990_000 < found.value < 990_300


def test_order_statistic_is_exact_where_floating_point_is_not() -> None:
    """The index floor(n p) is that of the decimal percent: 29 % of 100 is 29, not 28."""
    assert int(0.29 * 100) == 28
    assert order_statistic(np.arange(100.0), 29) == 29
    assert order_statistic(np.arange(1000.0)[::-1], 99.9) == 999
    assert order_statistic([5.0], 99) == 5


def test_order_statistic_is_biased_high() -> None:
    """Where n p is whole it takes the value above the nearest rank."""
    assert order_statistic(np.arange(1.0, 101), 90) == 91


@pytest.mark.parametrize("percent", [0.99, 49.9, 100])
def test_a_share_is_not_taken_for_a_percent(percent: float) -> None:
    """Percentiles run from 50 to below 100, so that 0.99 is refused."""
    with pytest.raises(ValueError, match="in percent"):
        needed_queries(percent, 1)


def test_what_makes_no_sense_is_refused() -> None:
    """Negative or too many slow queries, values that are no numbers, odd confidences."""
    with pytest.raises(ValueError, match="not negative"):
        least_h(99, -1)
    with pytest.raises(ValueError, match="over the bound"):
        passes(3, 4, 99)
    with pytest.raises(ValueError, match="confidence"):
        needed_queries(99, 1, confidence=1)
    with pytest.raises(ValueError, match="tolerance"):
        needed_queries(99, 1, tolerance=0.99)
    with pytest.raises(ValueError, match="not a number"):
        order_statistic([1.0, math.nan], 50)
    with pytest.raises(ValueError, match="without values"):
        order_statistic([], 50)
    with pytest.raises(ValueError, match="up to 100"):
        order_statistic([1.0], 100)
    assert not passes(0, 0, 99)
    assert not passes(5, 5, 99)
