"""Intervals of correlated series: what they promise on any one series."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from accelbench.harness.statistics.dependent import (
    mean_interval,
    mean_of_slices,
    percentile_interval,
    rate_interval,
    share_interval,
    wider_percent,
)
from accelbench.harness.statistics.intervals import mean_estimate, percentile_estimate

PERCENTS = (1, 50, 95, 99)


def independent(n, seed=1):
    """Independent exponential values."""
    return np.random.default_rng(seed).exponential(1.0, n)


def correlated(n, phi=0.9, seed=1):
    """A first-order autoregression."""
    return lfilter([1.0], [1.0, -phi], np.random.default_rng(seed).standard_normal(n))


def width(estimate):
    """Length of the interval."""
    return estimate.bounds.high - estimate.bounds.low


@pytest.mark.parametrize("percent", PERCENTS)
@pytest.mark.parametrize("n", [1, 2, 50, 2000, 5003])
def test_the_value_is_numpys_linear_percentile_whether_or_not_there_is_an_interval(n, percent):
    """The point value never depends on what n supports."""
    series = correlated(n)
    found = percentile_interval(series, percent)
    assert found.value == np.percentile(series, percent)
    assert found.n == n
    assert mean_interval(series).value == series.mean()


def test_the_same_series_gives_the_same_interval():
    """Nothing is drawn at random, and the series is left as it was."""
    series = correlated(5000)
    before = series.copy()
    ordered = np.sort(series)
    assert percentile_interval(series, 95) == percentile_interval(series, 95, ordered=ordered)
    assert mean_interval(series) == mean_interval(series)
    assert np.array_equal(series, before)


@given(st.integers(0, 10**6), st.sampled_from([400, 1000, 3001]), st.sampled_from(PERCENTS))
def test_no_percentile_interval_is_inside_that_of_independent_values(seed, n, percent):
    """Correlation can only widen: the exact binomial interval lies within ours."""
    series = independent(n, seed)
    found = percentile_interval(series, percent).bounds
    exact = percentile_estimate(series, percent).bounds
    if found is not None:
        assert found.low <= exact.low
        assert found.high >= exact.high


@given(st.integers(0, 10**6), st.sampled_from([100, 1000, 3001]))
def test_no_mean_interval_is_narrower_than_that_of_independent_values(seed, n):
    """Chance anticorrelation earns nothing."""
    series = independent(n, seed)
    if mean_interval(series).bounds is not None:
        assert width(mean_interval(series)) >= width(mean_estimate(series))


def test_anticorrelation_is_not_used():
    """A series that alternates is given no narrower interval than independent values."""
    series = correlated(10_000, phi=-0.9)
    assert width(mean_interval(series)) >= width(mean_estimate(series))


def test_the_interval_of_a_skewed_mean_reaches_further_up():
    """Hall's correction: where a few large values make the mean, more of them may be missing."""
    series = np.random.default_rng(1).lognormal(0.0, 1.5, 500)
    for values, sign in ((series, 1), (-series, -1)):
        found = mean_interval(values)
        above, below = found.bounds.high - found.value, found.value - found.bounds.low
        assert sign * (above - below) > 0.2 * min(above, below)


def test_a_tail_takes_the_inflation_of_a_wider_one_if_that_is_larger():
    """What lies above p99 may look scattered by chance where what lies above p97 is not."""
    series = correlated(50_000)
    counts = np.full(1000, 50.0)
    tail, wider = (
        (series <= np.percentile(series, percent)).reshape(1000, 50).sum(axis=1).astype(float)
        for percent in (99, 97)
    )
    alone, both = share_interval(tail, counts, 99), share_interval(tail, counts, 99, wider=wider)
    assert width(both) > 1.1 * width(alone)
    assert width(share_interval(wider, counts, 97, wider=tail)) == width(
        share_interval(wider, counts, 97)
    )


@pytest.mark.parametrize("statistic", [mean_interval, lambda s: percentile_interval(s, 50)])
def test_correlation_widens_and_shuffling_takes_that_away(statistic):
    """What counts is the order: the same values in random order have no correlation."""
    series = correlated(30_000)
    shuffled = np.random.default_rng(2).permutation(series)
    assert width(statistic(series)) > 2.5 * width(statistic(shuffled))


def test_below_the_binomial_minimum_the_reason_names_it():
    """A p99 needs 368 values, whatever they look like."""
    found = percentile_interval(independent(367), 99)
    assert found.bounds is None
    assert found.reason == "an interval of p99 needs 368 requests, there are 367"


@pytest.mark.parametrize("percent", [50, 95])
def test_below_a_hundred_values_correlation_cannot_be_told(percent):
    """The binomial minimum of a lesser percentile does not suffice for a series."""
    found = percentile_interval(independent(99), percent, of="gaps")
    assert found.reason == (
        f"an interval of p{percent} needs 100 gaps, there are 99,"
        " too few to tell whether they are independent"
    )
    assert percentile_interval(independent(71), 95).reason == (
        "an interval of p95 needs 72 requests (100 to tell whether they are independent),"
        " there are 71"
    )
    assert mean_interval(independent(99)).reason == (
        "an interval of a mean needs 100 requests, there are 99"
    )
    assert percentile_interval(independent(100), percent).bounds is not None


def test_a_series_too_short_for_its_correlation_is_refused_with_what_it_needs():
    """The needed number grows with the inflation, which the reason names."""
    series = correlated(3000, phi=0.99)
    for found in (mean_interval(series), percentile_interval(series, 50)):
        assert found.bounds is None
        needed = int(found.reason.split(" needs ")[1].split()[0])
        assert needed > 3000
        assert "neighbours are correlated, which multiplies the variance by" in found.reason
    assert mean_interval(correlated(300_000, phi=0.99)).bounds is not None


def test_a_single_outage_supports_no_p99():
    """One cluster that makes up the whole tail counts as one event, however many requests."""
    series = independent(10_000)
    series[4000:4100] += 100
    assert percentile_interval(series, 99).bounds is None
    assert percentile_interval(series, 50).bounds is not None


def test_a_trend_is_taken_for_correlation():
    """A series that drifts gets a far wider interval or none."""
    series = independent(5000) + np.linspace(0, 5, 5000)
    assert mean_interval(series).bounds is None


def test_failures_at_infinity_leave_the_percentiles_below_them():
    """Infinite values count, and only an end that falls on them is refused."""
    series = independent(10_000)
    series[::200] = math.inf
    low, high = (percentile_interval(series, percent) for percent in (95, 99.6))
    assert math.isfinite(low.bounds.high)
    assert high.value == math.inf
    assert high.bounds is None
    assert "infinite" in high.reason
    edge = percentile_interval(series, 99.45)
    assert math.isfinite(edge.value)
    assert edge.reason == "the upper end of the interval of p99.45 is infinite"
    assert mean_interval(series).reason == "the mean is infinite"


def test_a_constant_series_has_an_interval_without_width():
    """Nothing varies, so nothing is unsure."""
    series = np.full(1000, 0.1)
    for found in (mean_interval(series), percentile_interval(series, 95)):
        assert found.bounds.low == found.bounds.high == pytest.approx(0.1)


def test_ties_at_the_percentile_do_not_hide_correlation():
    """A coarse clock: all values lie at or below the percentile, those below come in clusters."""
    series = np.where(correlated(20_000) > -3, 2.0, 1.0)
    percent = 100 * float((series < 2).mean()) + 0.8
    clustered = percentile_interval(series, percent)
    shuffled = percentile_interval(np.random.default_rng(2).permutation(series), percent)
    assert clustered.value == shuffled.value == 2.0
    assert (clustered.bounds.low, clustered.bounds.high) == (1.0, 2.0)
    assert (shuffled.bounds.low, shuffled.bounds.high) == (2.0, 2.0)


@pytest.mark.parametrize("empty", [mean_interval, lambda series: percentile_interval(series, 50)])
def test_nothing_and_nan_are_refused(empty):
    """A series holds values; what was not measured is left out before."""
    with pytest.raises(ValueError, match="no statistic without values"):
        empty(np.array([]))
    with pytest.raises(ValueError, match="NaN"):
        empty(np.array([1.0, math.nan]))


def test_a_rate_is_the_mean_of_the_slices_over_their_length():
    """Value and interval scale with the length of a slice."""
    amounts = np.random.default_rng(3).poisson(50, 1000).astype(float)
    rate, mean = rate_interval(amounts, 0.5), mean_interval(amounts)
    assert rate.value == pytest.approx(2 * mean.value)
    assert rate.bounds.low == pytest.approx(2 * mean.bounds.low)
    assert rate.bounds.high == pytest.approx(2 * mean.bounds.high)
    assert rate.bounds.method.endswith("stationary time slices")


def test_slices_of_a_series_bracket_its_percentile_as_the_series_does():
    """Counting in slices of unequal size says what the series itself says."""
    series = correlated(200_000)
    ordered = np.sort(series)
    cuts = np.sort(np.random.default_rng(4).choice(np.arange(1, 200_000), 2000, replace=False))
    starts = np.concatenate([[0], cuts])
    counts = np.diff(starts, append=series.size).astype(float)

    def hits(percent):
        below = (series <= np.percentile(ordered, percent)).astype(float)
        return np.add.reduceat(below, starts)

    shares = share_interval(hits(99), counts, 99, wider=hits(wider_percent(99)))
    assert shares.value == 0.99
    assert shares.n == 200_000
    assert shares.bounds.low < 0.99 < shares.bounds.high
    whole = percentile_interval(series, 99, ordered=ordered)
    assert np.quantile(ordered, shares.bounds.low) == pytest.approx(whole.bounds.low, rel=0.02)
    assert np.quantile(ordered, shares.bounds.high) == pytest.approx(whole.bounds.high, rel=0.02)


def test_too_few_slices_are_refused():
    """However many values they hold, a handful of slices does not tell their correlation."""
    counts = np.full(50, 1e6)
    found = share_interval(0.99 * counts, counts, 99)
    assert found.reason == "an interval of p99 needs 100 slices, there are 50"


def test_the_wider_tail_is_three_times_as_heavy_up_to_the_median():
    """On either side of the median."""
    assert [wider_percent(percent) for percent in (99, 95, 80, 50, 1, 30)] == pytest.approx(
        [97, 85, 50, 50, 3, 50]
    )


@pytest.mark.parametrize(("n", "generate"), [(2000, independent), (10_000, correlated)])
def test_three_hundred_runs_cover_and_answer(n, generate):
    """Coverage of 95 % intervals, within what 300 runs can tell (the full table is slow)."""
    whole = generate(3_000_000, seed=5)
    truths = {"mean": 1.0 if generate is independent else 0.0, "p99": np.percentile(whole, 99)}
    held = dict.fromkeys(truths, 0)
    for seed in range(300):
        series = generate(n + 200, seed=seed)[200:]
        found = {"mean": mean_interval(series), "p99": percentile_interval(series, 99)}
        for name, estimate in found.items():
            bounds = estimate.bounds
            held[name] += bounds is not None and bounds.low <= truths[name] <= bounds.high
    assert all(count / 300 > 0.91 for count in held.values()), held


def test_a_mean_from_slices_is_that_of_the_series():
    """Sums, counts and one variance say as much as the values."""
    series = correlated(100_000)
    counts = np.full(1000, 100.0)
    sums = series.reshape(1000, 100).sum(axis=1)
    found = mean_of_slices(sums, counts, float(series.var(ddof=1)))
    whole = mean_interval(series)
    assert found.value == pytest.approx(whole.value)
    assert (found.n, found.bounds.method) == (whole.n, whole.bounds.method)
    assert width(found) == pytest.approx(width(whole), rel=0.1)
    few = mean_of_slices(sums[:50], counts[:50], 1.0)
    assert few.bounds is None
    assert few.reason == "an interval of a mean needs 100 slices, there are 50"
