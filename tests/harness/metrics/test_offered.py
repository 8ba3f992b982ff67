"""The load a trial was under: offered, sent, late, and in flight."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Arrivals, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

OPEN = {"arrivals": Arrivals("constant", 2.0)}


def request(
    name: str, due: float, sent: float | None, done: float | None, status: str = "ok"
) -> dict[str, Any]:
    """A row of `requests`."""
    return {"id": name, "due": due, "sent": sent, "done": done, "status": status}


def every_half_second(count: int, late: float = 0.0) -> list[dict[str, Any]]:
    """Requests due at 0, 0.5, 1, ... s and sent so much later."""
    return [request(str(k), k / 2, k / 2 + late, k / 2 + late + 0.25) for k in range(count)]


def test_a_rate_is_that_of_the_gaps(make_trace: MakeTrace, values: Values) -> None:
    """21 requests over 10 s have 20 gaps of half a second: two a second, not 2.1."""
    found = values(make_trace(10.0, OPEN, requests=every_half_second(21)))
    assert found["load.offered"] == pytest.approx(2.0)
    assert found["load.sent"] == pytest.approx(2.0)


def test_only_requests_due_in_the_window_are_offered(make_trace: MakeTrace, values: Values) -> None:
    """Warm-up and tail, ten times as dense, do not raise the rate."""
    outside = [request(f"w{k}", -1 + k / 20, -1 + k / 20, 0) for k in range(10)]
    tail = [request(f"t{k}", 10.05 + k / 20, 10.05 + k / 20, 11) for k in range(10)]
    rows = [*outside, *every_half_second(21), *tail]
    found = values(make_trace(10.0, OPEN, requests=rows))
    assert found["load.offered"] == pytest.approx(2.0)
    assert found["load.sent"] == pytest.approx(2.0)
    assert found["load.lateness.p99"] == pytest.approx(0.0)


def test_what_was_never_sent_lowers_the_rate_of_sends(make_trace: MakeTrace) -> None:
    """Every other request unsent: half the rate, and an infinite lateness that says so."""
    rows = [
        request(str(k), k / 2, None, None, "unsent") if k % 2 else request(str(k), k / 2, k / 2, 9)
        for k in range(21)
    ]
    found = measure(make_trace(10.0, OPEN, requests=rows), None)
    assert found["load.offered"].value == pytest.approx(2.0)
    assert found["load.sent"].value == pytest.approx(1.0)
    late = found["load.lateness.p99"]
    assert (late.value, late.n) == (None, 21)
    assert late.reason == "infinite: 10 of 21 requests were never sent"
    assert found["load.lateness.p50"].value == pytest.approx(0.0)


def test_lateness_is_from_due_to_sent(make_trace: MakeTrace) -> None:
    """A constant lateness is every percentile of it, with an interval where requests support it."""
    found = measure(make_trace(500.0, OPEN, requests=every_half_second(1000, 0.125)), None)
    for name in ("load.lateness.p50", "load.lateness.p99"):
        assert found[name].value == pytest.approx(0.125)
        assert found[name].unit == "s"
    interval = found["load.lateness.p50"].interval
    assert interval is not None
    assert interval.over == "requests"
    assert interval.low == pytest.approx(0.125)


def test_a_closed_loop_offers_no_rate(make_trace: MakeTrace, values: Values) -> None:
    """Without a schedule there is neither a rate nor lateness; concurrency there is."""
    found = values(make_trace(10.0, requests=every_half_second(21)))
    names = {name for name in found if name.startswith("load.")}
    assert names == {"load.in_flight.mean", "load.in_flight.max"}


@pytest.mark.parametrize(
    ("dues", "reason"),
    [
        ([1.0], "a rate needs 2 requests that were due, there are 1"),
        ([1.0, 1.0, 1.0], "all 3 requests were due at one instant"),
    ],
)
def test_a_rate_needs_two_instants(make_trace: MakeTrace, dues: list[float], reason: str) -> None:
    """One request, or all at once, have no gap."""
    rows = [request(str(k), due, due, due + 1) for k, due in enumerate(dues)]
    found = measure(make_trace(10.0, OPEN, requests=rows), None)["load.offered"]
    assert (found.value, found.reason) == (None, reason)


def test_requests_in_flight_are_averaged_over_time(make_trace: MakeTrace, values: Values) -> None:
    """5 s of one request and 2.5 s of another within 10 s; failures were in flight too."""
    rows = [
        request("before", -3, -2, 5),
        request("after", 7, 7.5, 30, "failed"),
        request("gone", -5, -4, -1),
        request("late", 10, 11, 12),
        request("never", 4, None, None, "unsent"),
    ]
    found = values(make_trace(10.0, requests=rows))
    assert found["load.in_flight.mean"] == pytest.approx(0.75)
    assert found["load.in_flight.max"] == 1


def test_the_most_in_flight_counts_who_leaves_first(make_trace: MakeTrace, values: Values) -> None:
    """Two users whose requests follow one another are never three at once."""
    rows = [request(f"{u}{k}", k, k, k + 1) for u in "ab" for k in range(10)]
    found = values(make_trace(10.0, requests=rows))
    assert found["load.in_flight.max"] == 2
    assert found["load.in_flight.mean"] == pytest.approx(2.0)


def test_a_request_without_an_end_leaves_the_concurrency_unknown(make_trace: MakeTrace) -> None:
    """It was sent, and nobody tells until when it was in flight."""
    rows = [request("a", 0, 0, 1), request("b", 1, 1, None, "failed")]
    found = measure(make_trace(10.0, requests=rows), None)
    for name in ("load.in_flight.mean", "load.in_flight.max"):
        assert found[name].reason == "1 requests that were sent do not tell when they ended"


def test_no_request_in_flight_is_none(make_trace: MakeTrace, values: Values) -> None:
    """All done before the window: 0, which was seen."""
    found = values(make_trace(10.0, requests=[request("a", -3, -3, -2)]))
    assert (found["load.in_flight.mean"], found["load.in_flight.max"]) == (0, 0)
