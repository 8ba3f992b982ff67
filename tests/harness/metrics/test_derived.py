"""What several trials say together."""

import math
from dataclasses import replace
from typing import Any

import pytest

from accelbench.harness.metrics.derived import batching_efficiency, over_trials
from accelbench.harness.schema.measurement import EnergyNote, Interval, Measurement
from accelbench.harness.schema.record import Record, Status

NOTE = EnergyNote("metered", "a sensor", "board", ("gpu",))
WITHIN = Interval(0.9, 1.1, 0.95, "order statistics", "requests")


def of(value: float | None, **more: Any) -> dict[str, Measurement]:
    """A measurement in seconds."""
    return {"x": Measurement(value, "s", 50, version=2, **more)}


def test_the_mean_over_trials_has_students_interval() -> None:
    """The interval varies over trials, whatever each trial's own interval was."""
    found = over_trials([of(1.0, interval=WITHIN), of(2.0, interval=WITHIN), of(3.0)])["x"]
    assert (found.value, found.n, found.unit, found.version) == (2, 3, "s", 2)
    assert found.interval is not None
    assert found.interval.over == "trials"
    assert found.interval.high - 2 == pytest.approx(4.302652729911275 / 3**0.5)
    assert found.interval.method == "Student t, independent trials"


def test_one_trial_keeps_its_own_interval() -> None:
    """Nothing is known of the spread over trials."""
    assert over_trials([of(1.0, interval=WITHIN)]) == of(1.0, interval=WITHIN)


def test_no_trial_says_nothing() -> None:
    """A cell without a valid trial has no measurements."""
    assert over_trials([]) == {}


def test_absent_in_some_trials_is_absent_in_the_cell() -> None:
    """A mean over the trials that happen to have it would pass for all of them."""
    lacking = {"x": Measurement(None, "s", 0, reason="never met")}
    found = over_trials([of(1.0), lacking, {}])["x"]
    assert (found.value, found.n) == (None, 1)
    assert found.reason == "absent in 2 of 3 trials: never met"
    assert over_trials([of(1.0), {}])["x"].reason == "absent in 1 of 2 trials"
    assert over_trials([lacking, lacking])["x"].reason == "never met"


def test_an_energy_note_is_kept_where_all_trials_agree() -> None:
    """Trials metered in different ways share no label."""
    same = over_trials([of(1.0, energy=NOTE), of(2.0, energy=NOTE)])["x"]
    assert same.energy == NOTE
    other = replace(NOTE, quality="estimated")
    assert over_trials([of(1.0, energy=NOTE), of(2.0, energy=other)])["x"].energy is None


def record(rate: float | None, status: Status = "valid", cell: str = "c") -> Record:
    """A record with a sample rate, or with none."""
    measurements = {} if rate is None else {"tp.samples": Measurement(rate, "sample/s", 1)}
    return Record(
        schema="accelbench.record/1", cell=cell, cell_hash="0", repeat=0, round=0, session="s",
        workload="w", scenario="offline", adapter="a", platform="p", evidence="measured",
        clock="wall", status=status, reasons=(), measurements=measurements, engine={},
        started_utc="", finished_utc="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({8: [record(1)]}, "there is no record at batch size 1"),
        ({1: [record(1, "invalid")], 8: [record(1)]}, "no valid record at batch size 1"),
        ({1: [record(0.0)], 8: [record(1)]}, "the throughput at batch size 1 is 0"),
        ({1: [record(1)], 8: []}, "no valid record at batch size 8"),
        (
            {1: [record(1)], 8: [record(None)]},
            "no tp.samples in every valid record at batch size 8",
        ),
    ],
)
def test_efficiency_without_its_parts_has_a_reason(
    records: dict[int, list[Record]], reason: str
) -> None:
    """Either point missing leaves the efficiency at 8 absent."""
    found = batching_efficiency(records).measurements["batch.efficiency.8"]
    assert (found.value, found.reason, found.unit) == (None, reason, "1")


def test_efficiency_above_one_is_told_as_it_is() -> None:
    """Another kernel at batch size 1 may make it so; nothing is clipped."""
    found = batching_efficiency({1: [record(1)], 2: [record(3.0)]})
    assert found.measurements["batch.efficiency.2"].value == pytest.approx(1.5)


def test_efficiency_has_an_interval_over_trials() -> None:
    """That of a ratio of two independent means; at batch size 1 it is 1 by definition."""
    found = batching_efficiency(
        {1: [record(0.9), record(1.1)], 8: [record(7.2), record(8.8)]}
    ).measurements
    eight, one = found["batch.efficiency.8"], found["batch.efficiency.1"]
    assert eight.value == pytest.approx(1)
    assert eight.interval is not None
    assert eight.interval.over == "trials"
    half = 4.302652729911275 * (2 * 0.01) ** 0.5
    assert math.log(eight.interval.high) == pytest.approx(half)
    assert math.log(eight.interval.low) == pytest.approx(-half)
    assert (one.value, one.interval) == (1, None)
    assert one.reason == "1 by definition, so no interval"


def test_a_single_trial_gives_no_interval_of_a_ratio() -> None:
    """The value stands, with the reason."""
    found = batching_efficiency({1: [record(1)], 8: [record(4.0)]}).measurements
    assert found["batch.efficiency.8"].interval is None
    assert found["batch.efficiency.8"].reason == "an interval of a ratio needs 2 trials of each"
