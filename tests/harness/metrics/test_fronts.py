"""Choosing among settings by quality, speed and energy."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.fronts import (
    Setting,
    accuracy_front,
    effective_throughput,
    iso_accuracy,
    non_dominated,
)
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import (
    EnergyNote,
    Interval,
    Measurement,
    Uncertainty,
)

METER = EnergyNote("metered", "a sensor", "board", ("gpu",), Uncertainty(1.0, 4.0, 0.95))
WITHIN = Interval(1.0, 4.0, 0.95, "any", "trials")

clouds = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12).map(
    lambda points: {str(k): point for k, point in enumerate(points)}
)


def setting(
    quality: float | None, energy: float | None, rate: float = 1.0, note: EnergyNote = METER
) -> Setting:
    """A setting with these values."""
    return Setting(
        None if quality is None else Measurement(quality, "1", 100),
        None if energy is None else Measurement(energy, "J/inference", 3, WITHIN, energy=note),
        Measurement(rate, "sample/s", 3),
    )


def beats(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a point is nowhere worse and somewhere better."""
    return one != other and one[0] >= other[0] and one[1] >= other[1]


@given(clouds)
def test_the_front_holds_exactly_what_nothing_beats(points: dict[str, tuple[int, int]]) -> None:
    """Every point is on it or beaten by one that is."""
    front = non_dominated(points)
    for name, point in points.items():
        beaten = [other for other in front if beats(points[other], point)]
        assert (name in front) != bool(beaten)


@given(clouds)
def test_a_front_falls_on_one_axis_as_it_rises_on_the_other(
    points: dict[str, tuple[int, int]],
) -> None:
    """Ordered by one axis it never rises on the other; equal points stay together."""
    front = sorted({points[name] for name in non_dominated(points)})
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(front))
    kept = [name for name, point in points.items() if point in set(front)]
    assert list(non_dominated(points)) == kept


def test_the_cheapest_setting_that_is_good_enough() -> None:
    """A cheaper one below the target does not count."""
    found = iso_accuracy(
        {"int4": setting(0.90, 1.0), "int8": setting(0.95, 2.0), "fp16": setting(0.96, 4.0)},
        Gate("accuracy", 0.95),
    )
    assert set(found) == {"iso_accuracy.energy.int8"}
    best = found["iso_accuracy.energy.int8"]
    assert (best.value, best.unit, best.interval) == (2.0, "J/inference", WITHIN)
    assert best.energy == METER


def test_retraining_counts_where_it_is_told() -> None:
    """Its share for each inference may make another setting the cheapest."""
    tuned = Setting(Measurement(0.95, "1", 9), setting(0.95, 2.0).energy, None, 2.5)
    found = iso_accuracy({"tuned": tuned}, Gate("accuracy", 0.95))["iso_accuracy.energy.tuned"]
    assert found.value == 4.5
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (3.5, 6.5)
    assert found.energy is not None
    assert found.energy.uncertainty == Uncertainty(3.5, 6.5, 0.95)
    both = iso_accuracy({"tuned": tuned, "large": setting(0.97, 4.0)}, Gate("accuracy", 0.95))
    assert set(both) == {"iso_accuracy.energy.large"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"a": setting(0.9, 1.0)}, "no setting meets the target quality 0.95: the best is 0.9"),
        ({"a": setting(None, 1.0)}, "no setting meets the target quality 0.95: none was measured"),
        (
            {"a": setting(0.95, None)},
            "the energy per inference of no setting that meets the target quality 0.95 was measured",
        ),
    ],
)
def test_a_target_out_of_reach_is_told(settings: dict[str, Setting], reason: str) -> None:
    """The measurement then has no setting in its name, and no value."""
    found = iso_accuracy(settings, Gate("accuracy", 0.95))["iso_accuracy.energy"]
    assert (found.value, found.reason) == (None, reason)


def test_energies_of_different_boundaries_are_not_ranked() -> None:
    """A board's energy and a process's estimate cannot be told apart by size."""
    other = EnergyNote("estimated", "by load", "process", ("cpu",), net_of_idle=True)
    settings = {"a": setting(0.95, 1.0), "b": setting(0.96, 2.0, note=other)}
    reason = (
        "the settings' energies have different boundaries: metered, board (gpu);"
        " estimated, process (cpu), net of idle"
    )
    assert iso_accuracy(settings, Gate("accuracy", 0.9))["iso_accuracy.energy"].reason == reason
    assert {item.reason for item in accuracy_front(settings, "accuracy").values()} == {reason}


def test_effective_throughput_is_that_of_the_fastest_good_setting() -> None:
    """Raw speed below the target quality counts for nothing."""
    settings = {"fast": setting(0.5, 1.0, 9.0), "good": setting(0.95, 1.0, 3.0)}
    found = effective_throughput(settings, Gate("accuracy", 0.95))
    assert {name: item.value for name, item in found.items()} == {"effective_throughput.good": 3.0}
    assert found["effective_throughput.good"].unit == "inference/s"
    out = effective_throughput(settings, Gate("accuracy", 0.99))["effective_throughput"]
    assert out.reason == "no setting meets the target quality 0.99: the best is 0.95"


def test_the_front_of_quality_and_throughput_per_watt() -> None:
    """Ties stay; the others say what beats them or what they lack."""
    found = accuracy_front(
        {
            "int8": setting(0.94, 2.0),
            "fp16": setting(0.96, 4.0),
            "same": setting(0.96, 4.0),
            "fp32": setting(0.96, 8.0),
            "blind": setting(None, 1.0),
            "unmetered": setting(0.99, None),
            "failed": Setting(None, None, None),
        },
        "accuracy",
    )
    values = {name.rpartition(".")[2]: item.value for name, item in found.items()}
    assert values == {
        "int8": 0.5, "fp16": 0.25, "same": 0.25, "fp32": None, "blind": None,
        "unmetered": None, "failed": None,
    }  # fmt: skip
    reasons = {name.rpartition(".")[2]: item.reason for name, item in found.items()}
    assert reasons["fp32"] == "dominated by fp16, same"
    assert reasons["blind"] == "the setting has no quality"
    assert reasons["unmetered"] == "the setting has no energy per inference"
    assert reasons["failed"] == "the setting has no valid trial"
    best = found["accuracy_front.int8"]
    assert best.interval is not None
    assert (best.unit, best.interval.low, best.interval.high) == ("inference/J", 0.25, 1.0)
    assert best.energy is not None
    assert best.energy.uncertainty == Uncertainty(0.25, 1.0, 0.95)


def test_of_a_perplexity_less_is_better() -> None:
    """It meets a target from below, a lower one beats a higher one, and the least is the best."""
    settings = {"int4": setting(9.0, 1.0), "int8": setting(7.9, 2.0), "fp16": setting(7.8, 4.0)}
    gate = Gate("perplexity", 8.0)
    assert set(iso_accuracy(settings, gate)) == {"iso_accuracy.energy.int8"}
    unmet = iso_accuracy(settings, Gate("perplexity", 7.0))["iso_accuracy.energy"]
    assert unmet.reason == "no setting meets the target quality 7: the best is 7.8"
    front = accuracy_front({**settings, "slow": setting(7.9, 8.0)}, "perplexity")
    assert front["accuracy_front.slow"].reason == "dominated by int8, fp16"
    assert {name for name, one in front.items() if one.value is not None} == {
        f"accuracy_front.{name}" for name in settings
    }
