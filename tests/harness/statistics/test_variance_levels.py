"""Variance components of nested repetitions, and the cheapest plan from them."""

import math

import numpy as np
import pytest

from accelbench.harness.statistics.variance_levels import (
    Component,
    VarianceLevels,
    repetition_plan,
    variance_components,
)


def _nested(rng: np.random.Generator, sizes: list[list[int]], sds: tuple[float, ...]) -> list:
    """Sessions of trials of requests; `sizes` lists the requests of each trial of each session."""
    top, middle, low = sds
    return [
        [
            (100 + session + middle * rng.standard_normal() + low * rng.standard_normal(n)).tolist()
            for n in trials
        ]
        for trials, session in zip(sizes, top * rng.standard_normal(len(sizes)), strict=True)
    ]


def test_two_levels_by_hand() -> None:
    """Sessions (1, 3), (5, 7): S1^2 = 2, S2^2 = 8, so T1^2 = 2 and T2^2 = 8 - 2 / 2 = 7."""
    found = variance_components([[1, 3], [5, 7]])
    assert found.mean == 4
    assert [c.estimate for c in found.components] == pytest.approx([7, 2])
    assert [c.count for c in found.components] == [2, 2]
    assert not any(c.floored for c in found.components)


def test_three_levels_by_hand() -> None:
    """S1^2 = 2, S2^2 = 8, S3^2 = 50, so T^2 = 50 - 8 / 2, 8 - 2 / 2 and 2."""
    found = variance_components([[[1, 3], [5, 7]], [[11, 13], [15, 17]]])
    assert [c.estimate for c in found.components] == pytest.approx([46, 7, 2])


def test_unequal_repetitions_by_hand() -> None:
    """Means 2 and 5 of 3 and 1 values: T1^2 = 1, T2^2 = 4.5 - 1 (1 / 3 + 1) / 2."""
    found = variance_components([[1, 2, 3], [5]])
    assert [c.estimate for c in found.components] == pytest.approx([4.5 - 2 / 3, 1])
    assert found.components[1].count == 2


def test_a_negative_component_counts_as_zero_and_says_so() -> None:
    """Sessions more alike than their requests allow: the estimate is kept, the variance is 0."""
    top = variance_components([[1, 9], [9, 1.0]]).components[0]
    assert (top.estimate, top.variance, top.floored) == (-16, 0, True)


@pytest.mark.parametrize(
    "sizes",
    [[[4] * 3] * 5, [[2, 5], [3, 3, 1], [4], [6, 2, 2], [1, 1, 7, 3]]],
    ids=["balanced", "unbalanced"],
)
def test_components_are_unbiased(sizes: list[list[int]]) -> None:
    """Over many pilots the mean estimate of each component is its true value, balanced or not."""
    rng = np.random.default_rng(7)
    runs = [variance_components(_nested(rng, sizes, (3.0, 2.0, 1.0))) for _ in range(800)]
    estimates = np.array([[c.estimate for c in run.components] for run in runs])
    errors = estimates.std(axis=0) / math.sqrt(len(runs))
    assert (np.abs(estimates.mean(axis=0) - [9, 4, 1]) < 3.5 * errors).all()
    assert (errors < [0.4, 0.2, 0.06]).all()


def test_the_plan_is_kalibera_and_jones_formula() -> None:
    """T^2 = 4, 16, 9 at costs 100, 4, 1: ceil(sqrt(25 * 4)) trials, ceil(sqrt(4 * 9 / 16)) requests."""
    found = VarianceLevels(100.0, (Component(4, 3), Component(16, 3), Component(9, 3)))
    plan = repetition_plan(found, [100, 4, 1], 0.01)
    assert plan.counts[1:] == (10, 2)
    top = plan.counts[0]
    assert plan.cost == top * (100 + 10 * (4 + 2 * 1))
    assert plan.half_width <= 1
    spread = 4 + 16 / 10 + 9 / 20
    assert plan.half_width == pytest.approx(_t(top - 1) * math.sqrt(spread / top))
    assert _t(top - 2) * math.sqrt(spread / (top - 1)) > 1
    assert plan.notes == ()


def _t(freedom: int) -> float:
    from scipy import stats

    return float(stats.t.ppf(0.975, freedom))


def test_no_other_plan_of_like_precision_is_cheaper() -> None:
    """For a fine precision the plan's cost is within 2 % of the best found by trying all."""
    found = VarianceLevels(100.0, (Component(4, 3), Component(16, 3), Component(9, 3)))
    plan = repetition_plan(found, [100, 4, 1], 0.001)
    best = min(
        (4 + 16 / r + 9 / (r * q)) * (100 + r * (4 + q)) for r in range(1, 40) for q in range(1, 10)
    )
    assert plan.cost <= 1.02 * best * 1.96**2 / 0.1**2


def test_a_level_without_variance_is_done_once() -> None:
    """Its cost joins that of the level above, and the note names it when chance made it so."""
    found = VarianceLevels(100.0, (Component(4, 3), Component(-1, 3), Component(9, 3)))
    plan = repetition_plan(found, [60, 4, 1], 0.01)
    assert plan.counts[1:] == (1, math.ceil(math.sqrt(64 * 9 / 4)))
    assert plan.notes == (
        "the variance of level 2 (1 is the outermost) came out negative and counts as 0",
    )


def test_an_outermost_level_without_variance_keeps_the_pilots_count() -> None:
    """Nothing says how many requests a session should have, and the note says so."""
    found = VarianceLevels(100.0, (Component(0, 3), Component(9, 7.5)))
    plan = repetition_plan(found, [60, 1], 0.01)
    assert plan.counts[1] == 8
    assert "pilot's count" in plan.notes[0]


def test_no_variance_at_all_needs_two() -> None:
    """Two outermost repetitions are the fewest that support an interval."""
    plan = repetition_plan(variance_components([[5, 5], [5, 5.0]]), [1, 1], 0.01)
    assert (plan.counts, plan.half_width, plan.cost) == ((2, 1), 0, 4)


def test_planned_precision_is_reached_in_simulation() -> None:
    """An experiment run as planned has intervals of the wanted half width, near enough."""
    found = VarianceLevels(100.0, (Component(9, 3), Component(4, 3), Component(1, 3)))
    plan = repetition_plan(found, [10, 2, 1], 0.02)
    top, trials, requests = plan.counts
    rng = np.random.default_rng(3)
    means = [
        np.mean(_nested(rng, [[requests] * trials] * top, (3.0, 2.0, 1.0))) for _ in range(800)
    ]
    assert np.mean(np.abs(np.array(means) - 100) <= 2) == pytest.approx(0.96, abs=0.03)


@pytest.mark.parametrize(
    ("pilot", "says"),
    [
        ([1.0, 2.0], "two deep"),
        ([], "two deep"),
        ([[1.0], [2.0]], "level 2 of 2"),
        ([[1.0, 2.0]], "level 1 of 2"),
        ([[1.0, 2.0], []], "empty"),
        ([[1.0, 2.0], 3.0], "equally deep"),
        ([[1.0, 2.0], [math.nan, 1.0]], "finite"),
    ],
)
def test_a_pilot_that_cannot_tell_is_refused(pilot: list, says: str) -> None:
    """Each level must be repeated somewhere, with finite values, all equally deep."""
    with pytest.raises(ValueError, match=says):
        variance_components(pilot)


def test_a_plan_needs_costs_and_a_mean() -> None:
    """One positive cost a level, a mean that is not 0, a width and a level in range."""
    found = VarianceLevels(100.0, (Component(4, 3), Component(9, 3)))
    for costs in ([1.0], [1.0, 0.0], [math.inf, 1.0]):
        with pytest.raises(ValueError, match="2 positive costs"):
            repetition_plan(found, costs, 0.01)
    with pytest.raises(ValueError, match="half width is positive"):
        repetition_plan(found, [1, 1], 0)
    with pytest.raises(ValueError, match="out of reach"):
        repetition_plan(found, [1, 1], 1e-9)
    with pytest.raises(ValueError, match="mean is 0"):
        repetition_plan(VarianceLevels(0.0, found.components), [1, 1], 0.01)
