"""The latency-throughput curve and the load that can be sustained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.curve import LoadPoint, Objective, curve, sustainable
from accelbench.harness.schema.measurement import Measurement

P99 = "e2e.response.censored.p99"
WITHIN_A_SECOND = Objective({P99: 1.0})


def point(offered: float, p99: float | None, attainment: float = 1.0) -> LoadPoint:
    """A load with its censored p99, s, and the share of requests that met their objective."""
    late = Measurement(p99, "s", 9, reason=None if p99 is not None else "infinite")
    return LoadPoint(
        offered,
        {
            P99: late,
            "slo.attainment": Measurement(attainment, "1", 9),
            "tp.system": Measurement(100 * offered, "token/s", 9, version=7),
        },
    )


def test_the_largest_load_below_the_first_that_fails() -> None:
    """A higher load that happens to pass does not count; the bracket is told."""
    points = [point(8, 0.9), point(2, 0.1), point(4, 0.5), point(6, 1.5)]
    found = sustainable(points, WITHIN_A_SECOND)
    load = found["sustainable.load"]
    assert (load.value, load.unit, load.n) == (4, "request/s", 4)
    assert load.reason == "met at 4, not at 6 request/s; 4 loads tried"
    tokens = found["sustainable.tokens"]
    assert (tokens.value, tokens.unit, tokens.version) == (400, "token/s", 1)


def test_none_passes() -> None:
    """The sustainable load is then 0, with the reason, and has no tokens."""
    found = sustainable([point(2, 1.1), point(4, 0.5)], WITHIN_A_SECOND)
    assert found["sustainable.load"].value == 0
    reason = "no load tried meets the objective, the lowest being 2 request/s"
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
    ("objective", "met"),
    [
        (Objective({P99: 0.5}, 0.99), True),
        (Objective({P99: 0.4}, 0.99), False),
        (Objective({}, 0.99), True),
        (Objective({}, 0.999), False),
        (Objective({"ttft.response.p99": 9.0}), False),
    ],
)
def test_every_limit_of_an_objective_holds(objective: Objective, met: bool) -> None:
    """Limits themselves are allowed; what was not measured is not met."""
    assert objective.met_by(point(1, 0.5, 0.99)) is met
    assert not objective.met_by(LoadPoint(1, {}))


def test_an_infinite_percentile_is_not_met() -> None:
    """A censored percentile that falls on a failure has no value."""
    assert not WITHIN_A_SECOND.met_by(point(1, None))


@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 2)), min_size=1, max_size=10))
def test_every_load_up_to_the_sustainable_one_passes(tried: list[tuple[int, float]]) -> None:
    """And the next one does not."""
    points = [point(offered, p99) for offered, p99 in tried]
    load = sustainable(points, WITHIN_A_SECOND)["sustainable.load"].value
    assert load is not None
    assert all(p99 <= 1 for offered, p99 in tried if offered <= load)
    above = [offered for offered, _ in tried if offered > load]
    assert not above or any(p99 > 1 for offered, p99 in tried if offered == min(above))


def test_rows_of_the_curve_are_by_load() -> None:
    """Each has the columns its cell has, and no others."""
    rows = curve([point(4, 0.5), point(2, 0.1)])
    assert [row.offered for row in rows] == [2, 4]
    assert set(rows[0].measurements) == {"tp.system", "slo.attainment"}
    assert rows[1].measurements["tp.system"].value == 400
