"""Speed-up and parallel efficiency over devices or threads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.registry import Absent, Outcome, Value
from accelbench.harness.metrics.scaling import Pace, scaling, strong_scaling, weak_scaling
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Record, Status

points = st.dictionaries(
    st.integers(1, 64),
    st.lists(st.floats(0.01, 1e4), min_size=1, max_size=4).map(tuple),
    min_size=1,
    max_size=5,
)


def value(outcome: Outcome) -> float:
    """The value of an outcome that has one."""
    assert isinstance(outcome, Value)
    return outcome.value


def record(cell: str, repeat: int, rate: float | None, status: Status = "valid") -> Record:
    """A record with a sample rate, or with none."""
    measurements = {} if rate is None else {"tp.samples": Measurement(rate, "sample/s", 1)}
    return Record(
        schema="accelbench.record/1", cell=cell, cell_hash="0", repeat=repeat, round=0,
        session="s", workload="w", scenario="offline", adapter="a", platform="p",
        evidence="measured", clock="wall", status=status, reasons=(), measurements=measurements,
        engine={}, started_utc="", finished_utc="",
    )  # fmt: skip


@given(points, st.sampled_from(["time", "rate"]))
def test_efficiency_is_speedup_over_growth(times: dict[int, tuple[float, ...]], pace: Pace) -> None:
    """S(n) = n / n0 E(n) at every count, and both are 1 at the base."""
    found = scaling(times, pace)
    assert found.base == min(times)
    assert value(found.speedup[found.base]) == value(found.efficiency[found.base]) == 1
    for n in times:
        growth = n / found.base
        assert value(found.speedup[n]) == pytest.approx(growth * value(found.efficiency[n]))


@given(points)
def test_times_and_rates_agree(times: dict[int, tuple[float, ...]]) -> None:
    """With one trial each, the inverse of every time gives the same speed-ups."""
    single = {n: trials[:1] for n, trials in times.items()}
    rates = {n: (1 / time,) for n, (time,) in single.items()}
    one, other = scaling(single, "time"), scaling(rates, "rate")
    for n in times:
        assert value(one.speedup[n]) == pytest.approx(value(other.speedup[n]))


def test_more_than_n_times_as_fast_is_told_as_it_is() -> None:
    """Caches that begin to hold make it so; nothing is clipped."""
    assert value(scaling({1: (10.0,), 2: (4.0,)}, "time").efficiency[2]) == pytest.approx(1.25)


def test_strong_scaling_has_an_interval_and_names_its_base() -> None:
    """Every valid trial counts; the base is 1 without an interval."""
    found = strong_scaling(
        "threads",
        {
            2: [record("t2", 0, 18.0), record("t2", 1, 20.0), record("t2", 2, 9e9, "invalid")],
            1: [record("t1", 0, 9.0), record("t1", 1, 11.0)],
        },
        "tp.samples",
        "rate",
    )
    assert found.name == "strong_scaling.threads.from_1"
    assert found.inputs == ("t1/0", "t1/1", "t2/0", "t2/1")
    assert set(found.measurements) == {
        "speedup.1", "speedup.2", "parallel_efficiency.1", "parallel_efficiency.2",
    }  # fmt: skip
    two = found.measurements["parallel_efficiency.2"]
    assert two.value == pytest.approx(0.95)
    assert two.interval is not None
    assert two.interval.low < 0.95 < two.interval.high
    one = found.measurements["speedup.1"]
    assert (one.value, one.interval) == (1, None)
    assert one.reason == "1 by definition, so no interval"


def test_without_one_device_the_absolute_figures_are_absent() -> None:
    """The relative ones stand beside them, and the set names its base."""
    found = strong_scaling(
        "devices",
        {
            1: [record("d1", 0, None, "failed")],
            4: [record("d4", 0, 4.0)],
            8: [record("d8", 0, 6.0)],
        },
        "tp.samples",
        "rate",
    )
    assert found.name == "strong_scaling.devices.from_4"
    values = {name: item.value for name, item in found.measurements.items()}
    assert values["speedup.8"] is values["parallel_efficiency.8"] is None
    assert found.measurements["speedup.8"].reason == "no valid record at devices = 1"
    assert values["relative_speedup.8"] == pytest.approx(1.5)
    assert values["relative_efficiency.8"] == pytest.approx(0.75)
    assert values["relative_efficiency.1"] is None


def test_one_that_was_never_run_is_no_base_either() -> None:
    """A sweep from 2 upwards says that nothing was run on one."""
    found = scaling({2: (1.0,), 4: (2.0,)}, "rate", 1)
    assert found.speedup[4] == Absent("nothing was run on 1")


def test_no_valid_record_leaves_all_absent() -> None:
    """The set then names no base."""
    found = strong_scaling(
        "threads", {1: [record("a", 0, 1.0, "failed")], 2: [record("b", 0, None)]},
        "tp.samples", "rate",
    )  # fmt: skip
    assert found.name == "strong_scaling.threads"
    assert [item.value for item in found.measurements.values()] == [None] * 4


def test_weak_scaling_holds_work_in_proportion() -> None:
    """Twice the work on twice the threads in the same time is an efficiency of 1."""
    found = weak_scaling(
        "threads", {2: [record("t2", 0, 20.0)], 4: [record("t4", 0, 36.0)]}, "tp.samples"
    )
    assert found.name == "weak_scaling.threads.from_2"
    values = {name: item.value for name, item in found.measurements.items()}
    assert values == {
        "weak_speedup.2": 1, "weak_speedup.4": pytest.approx(1.8),
        "weak_efficiency.2": 1, "weak_efficiency.4": pytest.approx(0.9),
    }  # fmt: skip
