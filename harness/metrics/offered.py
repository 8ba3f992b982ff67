"""The load that a trial was under: what was offered, how late it was sent, how much at once.

In an open loop the schedule is known before the run, so that what was offered does not depend on
how the server fared; what was sent does, and the difference is the generator's.
"""

import math

import numpy as np

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.distribution import value_of
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Absent,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
    metric,
)
from accelbench.harness.metrics.throughput import NO_LENGTH
from accelbench.harness.statistics.dependent import percentile_interval
from accelbench.harness.units import NS_PER_S

LATENESS = "load.lateness"
PERCENTS = (50, 99)

_RATE = "(n - 1) / (last - first), so that n instants, which have n - 1 gaps between them, give it"
_OVER = "requests due in the window, +infinity for each that was never sent"
_FLIGHT = "in flight from when it was sent to when it was done, however it ended"
_SOURCE = "sections 3.5.5 and 3.6.5"


def _open_loop(seen: Observation) -> bool:
    return serves(seen) and seen.trace.head.arrivals is not None


def _sends(seen: Observation) -> bool:
    return serves(seen) and seen.tells("requests", "sent_ns")


@metric(
    "load.offered",
    unit="request/s",
    summary="Rate at which requests were due in the window of an open loop.",
    formula=f"{_RATE}; over the due instants in the window",
    source=_SOURCE,
    better="neither",
    applies=_open_loop,
)
def offered(seen: Observation) -> Outcome:
    """Rate of the schedule, whatever came of it."""
    return _rate(seen.requests.due[seen.requests.due_inside], "due", "a schedule is known")


@metric(
    "load.sent",
    unit="request/s",
    summary="Rate at which the requests that were due in the window of an open loop were sent.",
    formula=f"{_RATE}; over the instants of sending of requests due in the window",
    source=_SOURCE,
    better="neither",
    applies=_open_loop,
)
def sent(seen: Observation) -> Outcome:
    """Rate of sends; what was never sent lowers it."""
    return _rate(seen.requests.sent[seen.requests.due_inside], "sent", "sends are counted")


@metric(
    "load.in_flight.mean",
    unit="1",
    summary="Mean number of requests in flight over the window.",
    formula=f"sum of each request's time in flight within the window / T_window; {_FLIGHT}",
    source=_SOURCE,
    better="neither",
    applies=_sends,
)
def mean_in_flight(seen: Observation) -> Outcome:
    """Concurrency as it was, averaged over time."""
    if seen.length_ns == 0:
        return NO_LENGTH
    found = _in_flight(seen)
    if isinstance(found, Absent):
        return found
    start, end = found
    inside = np.clip(end, 0, seen.length_ns) - np.clip(start, 0, seen.length_ns)
    reason = "requests in flight depend on one another: the interval is taken over trials"
    return Value(float(inside.sum()) / seen.length_ns, start.size, reason=reason)


@metric(
    "load.in_flight.max",
    unit="1",
    summary="Most requests in flight at one time in the window.",
    formula=f"maximum over the window of requests in flight; {_FLIGHT}; of two at one instant the"
    " one that is done leaves first",
    source=_SOURCE,
    better="neither",
    applies=_sends,
)
def most_in_flight(seen: Observation) -> Outcome:
    """Peak concurrency as the client saw it."""
    found = _in_flight(seen)
    if isinstance(found, Absent):
        return found
    start, end = found
    arrives = np.repeat((0, 1), start.size)
    at = np.concatenate((end, np.maximum(start, 0.0)))
    level = np.cumsum(np.where(arrives == 1, 1, -1)[np.lexsort((arrives, at))])
    reason = "the largest value grows with the window: it has no interval"
    return Value(float(max(level.max(initial=0), 0)), start.size, reason=reason)


def lateness(seen: Observation) -> dict[str, Outcome]:
    """How long after its due instant each request was sent: percentiles, by name."""
    late = (seen.requests.sent - seen.requests.due)[seen.turn][seen.requests.due_inside[seen.turn]]
    values = np.where(np.isnan(late), math.inf, late) / NS_PER_S
    ordered = np.sort(values)
    return {f"{LATENESS}.p{p}": _percentile(values, ordered, p) for p in PERCENTS}


for _percent in PERCENTS:
    define(
        Definition(
            f"{LATENESS}.p{_percent}",
            "s",
            f"P{_percent} of the time from when a request was due to when it was sent, in an open"
            f" loop, over {_OVER}.",
            f"p{_percent}(sent - due), numpy linear; over {_OVER}",
            _SOURCE,
            "lower",
        )
    )
METRICS[LATENESS] = Metric(LATENESS, _open_loop, lateness)


def _percentile(values: Numbers, ordered: Numbers, percent: int) -> Outcome:
    if values.size == 0:
        return Absent("no request was due in the window")
    found = percentile_interval(values, percent, of="requests", ordered=ordered)
    if math.isinf(found.value):
        never = int(np.isinf(values).sum())
        return Absent(f"infinite: {never} of {values.size} requests were never sent", values.size)
    return value_of(found, "requests")


def _rate(at: Numbers, what: str, known: str) -> Outcome:
    """The rate of instants in the window, ns."""
    told = at[~np.isnan(at)]
    if told.size < 2:  # noqa: PLR2004  (a gap needs two)
        return Absent(f"a rate needs 2 requests that were {what}, there are {told.size}", told.size)
    span = float(np.ptp(told))
    if span == 0:
        return Absent(f"all {told.size} requests were {what} at one instant", told.size)
    rate = (told.size - 1) * NS_PER_S / span
    return Value(rate, told.size, reason=f"{known}, not sampled, so there is no interval")


def _in_flight(seen: Observation) -> tuple[Numbers, Numbers] | Absent:
    """When requests that were in flight in the window were sent and done, ns."""
    start, end = seen.requests.sent, seen.requests.done
    begun = start <= seen.length_ns
    silent = int((begun & np.isnan(end)).sum())
    if silent:
        return Absent(f"{silent} requests that were sent do not tell when they ended")
    taken = begun & (end > 0) & (end >= start)
    return start[taken], end[taken]
