"""The latency-throughput curve and the load that can be sustained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import catalogue, definition
from accelbench.harness.metrics.curve import (
    COLUMNS,
    SUSTAINABLE_USERS,
    LoadPoint,
    Objective,
    curve,
    objective,
    sustainable,
)
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.trace import ServiceLevel

P99 = "e2e.response.censored.p99"
WITHIN_A_SECOND = Objective({P99: 1.0})
SINGLE = " by values without an interval"


def point(
    load: float, p99: float | None, attainment: float = 1.0, half: float | None = 0.0
) -> LoadPoint:
    """A load with its censored p99, s, its interval, and the share of requests within the level."""
    interval = (
        None
        if p99 is None or half is None
        else Interval(p99 - half, p99 + half, 0.95, "a test", "trials")
    )
    late = Measurement(p99, "s", 9, interval, reason=None if p99 is not None else "infinite")
    return LoadPoint(
        load,
        {
            P99: late,
            "slo.attainment": Measurement(attainment, "1", 9),
            "tp.system": Measurement(100 * load, "token/s", 9, version=7),
        },
    )


def test_the_largest_load_below_the_first_that_fails() -> None:
    """A higher load that happens to pass does not count; the bracket is told."""
    points = [point(8, 0.9), point(2, 0.1), point(4, 0.5), point(6, 1.5)]
    found = sustainable(points, WITHIN_A_SECOND)
    load = found["sustainable.load"]
    assert (load.value, load.unit, load.n) == (4, "request/s", 4)
    assert load.reason == (
        f"met at 4, not at 6 request/s ({P99} is 1.5 s, 1.5 s to 1.5 s, at most 1 s is asked for);"
        " 4 loads tried"
    )
    tokens = found["sustainable.tokens"]
    assert (tokens.value, tokens.unit, tokens.version) == (400, "token/s", 1)


def test_none_passes() -> None:
    """The sustainable load is then 0, with the reason, and has no tokens."""
    found = sustainable([point(2, 1.1), point(4, 0.5)], WITHIN_A_SECOND)
    assert found["sustainable.load"].value == 0
    reason = f"not met at 2 request/s ({P99} is 1.1 s, 1.1 s to 1.1 s, at most 1 s is asked for)"
    assert found["sustainable.load"].reason == reason
    assert (found["sustainable.tokens"].value, found["sustainable.tokens"].reason) == (None, reason)


def test_all_pass() -> None:
    """The highest load tried is then a lower bound."""
    found = sustainable([point(2, 0.1), point(4, 0.5)], WITHIN_A_SECOND)["sustainable.load"]
    assert found.value == 4
    assert found.reason == "met at 4 request/s, the highest of 2 loads tried: a lower bound"


def test_nothing_was_tried() -> None:
    """Without a load there is neither a value nor a 0."""
    found = sustainable([], WITHIN_A_SECOND)
    assert [(item.value, item.reason) for item in found.values()] == [
        (None, "no load was tried")
    ] * 2


def test_a_load_tried_twice_must_pass_twice() -> None:
    """One pass of two is no pass."""
    points = [point(2, 0.1), point(4, 0.5), point(4, 1.5)]
    assert sustainable(points, WITHIN_A_SECOND)["sustainable.load"].value == 2


@pytest.mark.parametrize(
    ("p99", "half", "verdict"),
    [
        (0.8, 0.2, "met"),
        (0.8, 0.21, "undecided"),
        (1.2, 0.2, "undecided"),
        (1.2, 0.19, "not met"),
        (1.0, None, "met"),
        (1.01, None, "not met"),
    ],
)
def test_an_interval_decides_or_leaves_undecided(
    p99: float, half: float | None, verdict: str
) -> None:
    """Its ends at the limit are within it; without an interval the value decides."""
    judged = WITHIN_A_SECOND.judge(point(1, p99, half=half))
    assert judged.verdict == verdict
    assert bool(judged.why) == (half is None or verdict != "met")


def test_an_undecided_load_is_passed_over_and_told() -> None:
    """Neither it nor what lies between is claimed."""
    points = [point(2, 0.1), point(4, 0.95, half=0.1), point(6, 0.9), point(8, 2)]
    found = sustainable(points, WITHIN_A_SECOND)["sustainable.load"]
    assert found.value == 6
    assert found.reason is not None
    assert "met at 6, not at 8 request/s" in found.reason
    assert f"undecided at 4: {P99} is 950 ms, 850 ms to 1.05 s, at most 1 s" in found.reason


def test_the_highest_load_that_is_shown_to_meet_counts() -> None:
    """One that may meet, with nothing above it, does not; where none is shown there is no 0."""
    points = [point(2, 0.1), point(4, 0.95, half=0.1)]
    found = sustainable(points, WITHIN_A_SECOND)["sustainable.load"]
    assert found.value == 2
    assert str(found.reason).startswith(
        "met at 2 request/s, not shown to fail at any of 2 loads tried; undecided at 4: "
    )
    alone = sustainable(points[1:], WITHIN_A_SECOND)["sustainable.load"]
    assert alone.value is None
    assert str(alone.reason).startswith("no load tried is shown to meet the objective; undecided")
    above = sustainable([*points[1:], point(8, 3)], WITHIN_A_SECOND)["sustainable.load"]
    assert above.value is None
    assert "not met at 8 request/s" in str(above.reason)
    assert "and at no lower load shown to be met; undecided at 4" in str(above.reason)


def test_a_load_without_a_valid_trial_never_meets() -> None:
    """It is told, wherever it lies."""
    points = [LoadPoint(1, {}), point(2, 0.1), LoadPoint(4, {})]
    found = sustainable(points, WITHIN_A_SECOND)["sustainable.load"]
    assert found.value == 2
    told = "no valid trial at 1, 4, which counts as not shown to meet"
    assert told in str(found.reason)
    none = sustainable([LoadPoint(1, {})], WITHIN_A_SECOND)["sustainable.load"]
    assert (none.value, "no valid trial at 1" in str(none.reason)) == (None, True)


def test_values_without_an_interval_are_told() -> None:
    """A reader sees which loads a single trial decided."""
    points = [point(2, 0.1, half=None), point(4, 0.2)]
    found = sustainable(points, WITHIN_A_SECOND)["sustainable.load"]
    assert str(found.reason).endswith(f"at 2{SINGLE}")


@pytest.mark.parametrize(
    ("wanted", "met"),
    [
        (Objective({P99: 0.5}, 0.99), True),
        (Objective({P99: 0.4}, 0.99), False),
        (Objective({}, 0.99), True),
        (Objective({}, 0.999), False),
        (Objective({"ttft.response.p99": 9.0}), False),
    ],
)
def test_every_limit_of_an_objective_holds(wanted: Objective, met: bool) -> None:
    """Limits themselves are allowed; what was not measured is not met."""
    assert (wanted.judge(point(1, 0.5, 0.99)).verdict == "met") is met


def test_an_infinite_percentile_is_not_met() -> None:
    """A censored percentile that falls on a failure has no value, and its reason is told."""
    judged = WITHIN_A_SECOND.judge(point(1, None))
    assert (judged.verdict, judged.why) == ("not met", f"{P99}: infinite")


def test_an_objective_is_the_p99_of_each_threshold() -> None:
    """Failures count where the quantity can count them, and by the share of requests in any case."""
    assert objective(ServiceLevel(ttft_s=0.2, itl_s=0.05, e2e_s=2.0)) == Objective(
        {"ttft.response.censored.p99": 0.2, "itl.request.p99": 0.05, P99: 2.0}, 0.99
    )
    assert objective(ServiceLevel(e2e_s=2.0)).at_most == {P99: 2.0}
    assert all(definition(name) for name in objective(ServiceLevel(1, 1, 1)).at_most)


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2)), min_size=1, max_size=10))
def test_every_load_up_to_the_sustainable_one_passes(tried: list[tuple[int, float]]) -> None:
    """And the next one does not."""
    points = [point(offered, p99) for offered, p99 in tried]
    load = sustainable(points, WITHIN_A_SECOND)["sustainable.load"].value
    assert load is not None
    assert all(p99 <= 1 for offered, p99 in tried if offered <= load)
    above = [offered for offered, _ in tried if offered > load]
    assert not above or any(p99 > 1 for offered, p99 in tried if offered == min(above))


def test_users_of_a_closed_loop_are_no_rate() -> None:
    """They have a name and a unit of their own."""
    found = sustainable([point(2, 0.1), point(4, 1.5)], WITHIN_A_SECOND, SUSTAINABLE_USERS)
    assert set(found) == {"sustainable.concurrency", "sustainable.tokens"}
    users = found["sustainable.concurrency"]
    assert (users.value, users.unit) == (2, "1")
    assert "met at 2, not at 4 users" in str(users.reason)


def test_rows_of_the_curve_are_named_by_load() -> None:
    """From the lowest load up; each has the columns that some load has, and no others."""
    rows = curve([point(4, 0.5), point(0.5, 0.1), LoadPoint(16, {})])
    names = ("tp.system", "slo.attainment", P99)
    assert list(rows) == [f"curve.{name}.{load}" for load in ("0.5", "4", "16") for name in names]
    assert rows["curve.tp.system.4"].value == 400
    assert rows["curve.tp.system.4"].version == definition("curve.tp.system.4").version
    assert rows[f"curve.{P99}.4"].interval is not None
    assert rows["curve.tp.system.16"].reason == "there is no valid trial at this load"


def test_a_load_that_lacks_a_column_says_so() -> None:
    """A metric of one load alone does not look as if it had been forgotten."""
    lean = LoadPoint(2, {"tp.requests": Measurement(2.0, "request/s", 9)})
    rows = curve([lean, point(4, 0.5)])
    assert rows["curve.tp.system.2"].reason == "tp.system was not measured at this load"


def test_one_valid_load_is_no_curve() -> None:
    """A single operating point must not pass for one."""
    rows = curve([point(4, 0.5), LoadPoint(8, {})])
    assert {row.reason for row in rows.values()} == {
        "a curve needs 2 loads with a valid trial, there is 1"
    }
    none = curve([LoadPoint(4, {}), LoadPoint(8, {})])
    assert list(none) == ["curve.tp.requests.4", "curve.tp.requests.8"]
    assert all(row.value is None for row in none.values())


def test_the_columns_are_metrics_with_their_unit_and_direction() -> None:
    """A row of the curve is the same quantity under a longer name."""
    names = {item.name for item in catalogue()}
    for name, (unit, better) in COLUMNS.items():
        assert name in names
        assert (definition(name).unit, definition(name).better) == (unit, better)
        assert definition(f"curve.{name}.12.5").name == f"curve.{name}.<load>"
