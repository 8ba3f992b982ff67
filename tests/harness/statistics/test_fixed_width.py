"""Stein's two-stage procedure keeps its level where peeking loses it."""

import math

import numpy as np
import pytest
from scipy.special import stdtrit

from accelbench.harness.statistics.fixed_width import planned_trials, stein_interval

RUNS = 3000
TRUE_MEAN = 10.0


def _series(runs: int, trials: int, seed: int) -> np.ndarray:
    return TRUE_MEAN + np.random.default_rng(seed).standard_normal((runs, trials))


def _stein_covers(row: np.ndarray, pilot: int) -> bool:
    plan = planned_trials(row[:pilot], 0.05)
    bounds = stein_interval(row[: plan.n], pilot).bounds
    assert bounds is not None
    assert (bounds.high - bounds.low) / 2 <= plan.half_width * (1 + 1e-9)
    return bounds.low <= TRUE_MEAN <= bounds.high


@pytest.mark.parametrize(("pilot", "trials"), [(4, 600), (6, 300), (10, 200)])
def test_two_stages_cover_what_they_claim(pilot: int, trials: int) -> None:
    """Nominal 95 % intervals hold the mean in 94 to 96 % of runs, at each pilot."""
    covered = np.mean([_stein_covers(row, pilot) for row in _series(RUNS, trials, pilot)])
    assert 0.94 <= covered <= 0.96


@pytest.mark.parametrize("first_look", [2, 3, 4])
def test_stopping_at_the_first_narrow_interval_covers_less(first_look: int) -> None:
    """Looking after each trial and stopping when narrow enough falls clearly below 95 %."""
    series = _series(RUNS, 300, first_look)
    n = np.arange(1, 301)
    means = np.cumsum(series, axis=1) / n
    squares = np.cumsum(series**2, axis=1) - n * means**2
    with np.errstate(invalid="ignore", divide="ignore"):
        halves = stdtrit(n - 1, 0.975) * np.sqrt(np.maximum(squares, 0) / (n - 1) / n)
    narrow = (halves <= 0.05 * np.abs(means)) & (n >= first_look)
    assert narrow.any(axis=1).all()
    stop = narrow.argmax(axis=1)
    runs = np.arange(RUNS)
    covered = (np.abs(means[runs, stop] - TRUE_MEAN) <= halves[runs, stop]).mean()
    assert covered < 0.92


def test_the_plan_is_steins_formula() -> None:
    """Pilot 9, 10, 11 at 5 %: t(2, 97.5 %) = 4.303, s = 1, d = 0.5, so 75 trials."""
    plan = planned_trials([9, 10, 11], 0.05)
    assert (plan.n, plan.pilot, plan.more) == (75, 3, 72)
    assert (plan.mean, plan.s, plan.half_width, plan.level) == (10, 1, 0.5, 0.95)
    assert math.ceil((4.302652729696142 / 0.5) ** 2) == 75


def test_a_pilot_that_is_precise_enough_is_all() -> None:
    """Where the pilot suffices nothing more is asked for; a constant needs only the pilot."""
    assert planned_trials([9.99, 10.0, 10.01], 0.05).more == 0
    constant = planned_trials([0.1] * 3, 0.001)
    assert (constant.n, constant.s) == (3, 0)


def test_the_interval_keeps_the_pilots_spread() -> None:
    """The half width uses the pilot's s and degrees of freedom and all N values' mean."""
    found = stein_interval([9, 10, 11, 30, 50], 3)
    half = 4.302652729696142 / math.sqrt(5)
    assert (found.value, found.n, found.reason) == (22, 5, None)
    assert found.bounds is not None
    assert found.bounds.low == pytest.approx(22 - half)
    assert found.bounds.high == pytest.approx(22 + half)
    assert found.bounds.method == "Stein two-stage, pilot of 3 independent normal trials"


def test_a_pilot_of_one_has_no_interval() -> None:
    """The mean stands alone, with the reason."""
    found = stein_interval([1.0, 2.0], 1)
    assert (found.value, found.bounds) == (1.5, None)
    assert found.reason == "a spread needs a pilot of 2 trials, it has 1"


def test_what_cannot_be_planned_is_refused() -> None:
    """One trial, a mean of 0, an infinite value, a width or level out of range."""
    with pytest.raises(ValueError, match="a pilot needs 2 trials, there is 1"):
        planned_trials([1.0], 0.05)
    with pytest.raises(ValueError, match="mean is 0"):
        planned_trials([-1.0, 1.0], 0.05)
    with pytest.raises(ValueError, match="not finite"):
        planned_trials([1.0, math.inf], 0.05)
    with pytest.raises(ValueError, match="positive"):
        planned_trials([1.0, 2.0], 0)
    with pytest.raises(ValueError, match="level"):
        planned_trials([1.0, 2.0], 0.05, level=1)
    with pytest.raises(ValueError, match="pilot of 3 among 2"):
        stein_interval([1.0, 2.0], 3)
