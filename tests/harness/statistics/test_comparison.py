"""Comparison of two sets of trials: five verdicts, their levels, and what would decide."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from accelbench.harness.statistics.comparison import Comparison, compare, needed_trials

RUNS = 2000


def _verdicts(
    n: tuple[int, int], spread: tuple[float, float], ratio: float, seed: int
) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    found = Counter(
        compare(
            np.exp(spread[0] * rng.standard_normal(n[0])),
            ratio * np.exp(spread[1] * rng.standard_normal(n[1])),
            better="lower",
        ).verdict
        for _ in range(RUNS)
    )
    return {verdict: count / RUNS for verdict, count in found.items()}


@pytest.mark.parametrize(
    ("n", "spread"), [((3, 3), (0.1, 0.1)), ((5, 5), (0.02, 0.05)), ((20, 20), (0.05, 0.05))]
)
def test_equal_subjects_are_called_different_at_most_one_time_in_twenty(
    n: tuple[int, int], spread: tuple[float, float]
) -> None:
    """Better and worse together stay within 5 %, the simulation's own error allowed for."""
    found = _verdicts(n, spread, 1, n[0])
    assert found.get("better", 0) + found.get("worse", 0) <= 0.06


@pytest.mark.parametrize("spread", [0.01, 0.02, 0.03])
def test_a_difference_at_the_margin_is_called_equivalent_at_most_one_time_in_twenty(
    spread: float,
) -> None:
    """The two one-sided tests keep their level where the truth is just outside."""
    n = needed_trials(spread**2, spread**2)
    assert n is not None
    assert _verdicts((n, n), (spread, spread), 1.02, n).get("equivalent", 0) <= 0.065


@pytest.mark.parametrize("spread", [0.01, 0.02])
def test_the_needed_trials_decide(spread: float) -> None:
    """Equal subjects are then equivalent four times in five, twice the margin always found."""
    n = needed_trials(spread**2, spread**2)
    assert n is not None
    assert _verdicts((n, n), (spread, spread), 1, n)["equivalent"] >= 0.78
    assert _verdicts((n, n), (spread, spread), 1.04, n)["worse"] >= 0.95


def test_the_interval_is_welchs_on_logarithms() -> None:
    """Ratio, bounds and p-value agree with scipy's t test of unequal variances."""
    a, b = [1.0, 1.1, 1.3], [2.0, 2.5, 2.1, 2.2]
    found = compare(a, b, better="higher")
    expected = stats.ttest_ind(np.log(b), np.log(a), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.ratio == pytest.approx(stats.gmean(b) / stats.gmean(a))
    assert found.bounds is not None
    assert found.bounds.low == pytest.approx(math.exp(interval.low))
    assert found.bounds.high == pytest.approx(math.exp(interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.verdict == "better"
    assert compare(a, b, better="lower").verdict == "worse"


def test_a_small_certain_difference_is_equivalent() -> None:
    """The interval excludes 1 and yet lies within the margin."""
    found = compare([1, 1.0001, 0.9999], [1.01, 1.0101, 1.0099], better="lower")
    assert found.bounds is not None
    assert 1 < found.bounds.low < found.bounds.high < 1.02
    assert found.verdict == "equivalent"
    assert "within the margin of 0.02" in found.reason
    assert found.needed is None


def test_an_interval_that_crosses_the_margin_is_inconclusive_and_says_what_would_help() -> None:
    """The number of trials a side comes from the spread that was seen."""
    a, b = [1.0, 1.05, 0.95], [1.0, 1.06, 0.95]
    found = compare(a, b, better="lower")
    assert found.verdict == "inconclusive"
    assert found.reason.endswith("within the margin, but its interval is not")
    pooled = [float(np.var(np.log(side), ddof=1)) for side in (a, b)]
    assert found.needed == needed_trials(*pooled)
    assert found.needed is not None
    assert found.needed > 50


def test_a_large_uncertain_difference_is_inconclusive() -> None:
    """Beyond the margin, but the interval holds 1."""
    found = compare([1, 2, 3], [2, 3, 4], better="lower")
    assert found.verdict == "inconclusive"
    assert found.reason.endswith("beyond the margin, but its interval holds 1")


def test_a_ratio_at_the_margin_is_not_helped_by_more_trials() -> None:
    """Precise enough and still undecided: no number is promised."""
    rng = np.random.default_rng(1)
    noise = np.exp(0.005 * rng.standard_normal(20))
    found = compare(noise, noise * 1.019, better="lower")
    assert (found.verdict, found.needed) == ("inconclusive", None)
    assert found.reason.endswith("too near the margin for more trials to help")


@pytest.mark.parametrize("value", [1.0, 0.1, 3e-9])
def test_equal_constants_are_equivalent(value: float) -> None:
    """Simulated trials without spread: ratio exactly 1, bounds exactly 1."""
    found = compare([value] * 3, [value] * 7, better="lower")
    assert (found.verdict, found.ratio, found.p) == ("equivalent", 1, 1)
    assert found.bounds is not None
    assert (found.bounds.low, found.bounds.high) == (1, 1)
    assert found.bounds.method == "no spread on either side"


@pytest.mark.parametrize(
    ("new", "better", "verdict"),
    [
        (1.03, "lower", "worse"),
        (1.03, "higher", "better"),
        (0.97, "lower", "better"),
        (0.97, "higher", "worse"),
        (1.01, "higher", "equivalent"),
        (1.03, "neither", "incomparable"),
        (1.01, "neither", "equivalent"),
    ],
)
def test_constants_that_differ_are_decided_exactly(new: float, better, verdict: str) -> None:
    """Beyond the margin the direction decides, within it nothing does."""
    assert compare([1.0, 1.0], [new, new], better=better).verdict == verdict


def test_without_a_better_direction_a_certain_difference_is_incomparable() -> None:
    """Its ratio and interval are still given."""
    found = compare([1, 1.01, 1.02], [2, 2.01, 2.02], better="neither")
    assert (found.verdict, found.bounds is None) == ("incomparable", False)
    assert found.reason.endswith("neither direction is better")


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ([], [1.0], "the base side has no values"),
        ([1.0], [], "the new side has no values"),
        ([1.0, 0.0], [1.0, 1.0], "the base side has a value that is not finite and positive"),
        ([1.0, 1.0], [math.inf, 1], "the new side has a value that is not finite and positive"),
        ([1.0, 1.0], [math.nan, 1], "the new side has a value that is not finite and positive"),
    ],
)
def test_values_without_a_ratio_are_incomparable(a, b, says: str) -> None:
    """Nothing but the reason is given."""
    assert compare(a, b, better="lower") == Comparison("incomparable", None, None, says, None, None)


def test_one_trial_a_side_is_inconclusive() -> None:
    """The ratio stands, without an interval."""
    found = compare([1.0], [2.0, 2.0], better="lower")
    assert (found.verdict, found.bounds, found.reason) == (
        "inconclusive",
        None,
        "a spread needs 2 trials a side",
    )
    assert found.ratio == pytest.approx(2)


samples = st.lists(st.floats(0.01, 100), min_size=1, max_size=6)
TURNED = {"better": "worse", "worse": "better"}


@given(samples, samples)
@settings(max_examples=200, deadline=None)
def test_the_verdict_follows_the_reciprocal_and_the_swap(a: list[float], b: list[float]) -> None:
    """A time and its rate agree; swapping the sides turns better into worse."""
    found = compare(a, b, better="lower")
    rates = compare([1 / x for x in a], [1 / x for x in b], better="higher")
    swapped = compare(b, a, better="lower")
    assert rates.verdict == found.verdict
    assert swapped.verdict == TURNED.get(found.verdict, found.verdict)
    assert swapped.ratio == pytest.approx(1 / found.ratio)


def test_needed_trials_know_their_limits() -> None:
    """No spread needs two; a spread that a million trials do not settle gets no number."""
    assert needed_trials(0, 0) == 2
    assert needed_trials(100, 100, margin=0.001) is None
    for margin, level in ((0, 0.95), (0.02, 0.5), (0.02, 1)):
        with pytest.raises(ValueError, match="margin is positive"):
            compare([1.0], [1.0], margin=margin, better="lower", level=level)
