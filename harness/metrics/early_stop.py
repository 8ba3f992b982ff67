"""Early stopping: what a run may claim of a latency percentile with its count of requests.

MLPerf Inference reports of a single stream not its 90th percentile but one that a second run would
hardly exceed, of a multi-stream load the same for the 99th of its queries; and it passes a server
whose slow requests are few enough that, were its 99th percentile beyond the limit, so few would be
seen in at most one run of a hundred. A server that generates has two limits, on the time to first
token and on the time of each further one, and has to pass at both.

Which of them applies is read from the trace: requests of which the next is due when the one before
is done are a single stream, those with a `query` are a multi-stream load, and an open loop tells
its arrivals. A service level is held in the same way, whatever the load.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from accelbench.harness.metrics.applies import serves, streams
from accelbench.harness.metrics.latency import e2e_response, itl_request, ttft_response
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.query import queries, tells_queries
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
from accelbench.harness.schema.trace import ServiceLevel
from accelbench.harness.statistics.early_stopping import (
    early_stopping_estimate,
    needed_queries,
    passes,
    tightest_limit,
)

SINGLE = "early_stop.e2e.response.p90"
MULTI = "early_stop.query.response.p99"
LIMIT = "early_stop.limit"
PERCENT = 99

_TWO_TOKENS = 2

_SOURCE = "MLPerf Inference rules, appendix on early stopping; section 3.6"
_CONFIDENCE = "confidence 99 %, tolerance 0"
_CLAIM = (
    "the t-th slowest of n, where t is the most that may lie beyond a limit for n of them to pass:"
    f" the t - 1 slowest are left out; {_CONFIDENCE}; one that is not ok is infinitely slow"
)
_TIGHTEST = (
    "the t + 1-th slowest of n, where t is the most that may lie beyond a limit for n of them to"
    f" pass; {_CONFIDENCE}; one that is not ok is infinitely slow"
)
_QUANTITIES = {
    "ttft.response": "the time from when a request was due to its first token",
    "itl.request": "a request's mean gap between tokens",
    "e2e.response": "the time from when a request was due to its end",
}


@dataclass(frozen=True)
class Held:
    """How a trial fares against one threshold of its service level.

    Attributes:
        quantity: What the threshold is on, e.g. "ttft.response".
        limit_s: The threshold, seconds.
        over: Requests beyond it, those that are not ok or do not tell among them.
        n: Requests due in the window.
        passes: Whether so few are beyond it that p99 is within it, at a confidence of 99 %.
        needed: Requests with which so many beyond it would pass.
    """

    quantity: str
    limit_s: float
    over: int
    n: int
    passes: bool
    needed: int


def one_at_a_time(seen: Observation) -> bool:
    """Whether there are several requests, each due when the one before was done, or later."""
    requests = seen.requests
    turn = seen.turn[requests.due_inside[seen.turn]]
    due, done = requests.due[turn], requests.done[turn]
    return turn.size > 1 and not bool(np.any(due[1:] < done[:-1]))


def is_single_stream(seen: Observation) -> bool:
    """The trial is MLPerf's single stream, also where an engine in this process drove it."""
    return (
        serves(seen)
        and seen.trace.head.arrivals is None
        and not tells_queries(seen)
        and one_at_a_time(seen)
    )


def held(seen: Observation) -> tuple[Held, ...]:
    """How the trial fares against each given threshold of its service level."""
    level = seen.trace.head.slo or ServiceLevel()
    limits = {
        "ttft.response": level.ttft_s,
        "itl.request": level.itl_s,
        "e2e.response": level.e2e_s,
    }
    return tuple(
        _held(name, limit_s, _times(seen, name))
        for name, limit_s in limits.items()
        if limit_s is not None
    )


def _held(name: str, limit_s: float, times: Numbers) -> Held:
    over, n = int((times > limit_s).sum()), times.size
    enough = needed_queries(PERCENT, over)
    return Held(name, limit_s, over, n, bool(n) and passes(n, over, PERCENT), enough)


def _times(seen: Observation, name: str) -> Numbers:
    """Of every request due in the window; +infinity where it is not ok or does not tell.

    A request with fewer than two tokens has no gap between them and so none that is too long.
    """
    if name == "itl.request":
        has_gap = np.fmax(seen.output_tokens, seen.streams.count) >= _TWO_TOKENS
        values = np.where(has_gap, itl_request(seen), 0.0)
    else:
        values = (ttft_response if name == "ttft.response" else e2e_response)(seen)
    known = seen.requests.ok & ~np.isnan(values)
    return np.where(known, values, math.inf)[seen.requests.due_inside]


@metric(
    SINGLE,
    unit="s",
    summary="A bound that the p90 of the response time of a single stream does not exceed.",
    formula=f"done - due of requests due in the window: {_CLAIM}",
    source=f"{_SOURCE}; single-stream scenario",
    better="lower",
    applies=is_single_stream,
)
def single_stream(seen: Observation) -> Outcome:
    """What LoadGen reports of a single stream."""
    return _estimate(_times(seen, "e2e.response"), 90, "requests")


@metric(
    MULTI,
    unit="s",
    summary="A bound that the p99 of the response time of queries does not exceed.",
    formula=f"done of the last sample - due, of queries due in the window: {_CLAIM}",
    source=f"{_SOURCE}; multi-stream scenario",
    better="lower",
    applies=tells_queries,
)
def multi_stream(seen: Observation) -> Outcome:
    """What LoadGen reports of a multi-stream load."""
    found = queries(seen)
    known = found.ok & ~np.isnan(found.response)
    return _estimate(np.where(known, found.response, math.inf), PERCENT, "queries")


def limits(seen: Observation) -> Mapping[str, Outcome]:
    """The tightest limit on each quantity that the run passes, by name."""
    names = _QUANTITIES if streams(seen) else ("e2e.response",)
    return {f"{LIMIT}.{name}.p{PERCENT}": _tightest(_times(seen, name)) for name in names}


def _tightest(times: Numbers) -> Outcome:
    found = tightest_limit(times, PERCENT)
    return _outcome(found.value, found.n, found.reason, times, "requests")


def _estimate(times: Numbers, percent: float, of: str) -> Outcome:
    found = early_stopping_estimate(times, percent)
    return _outcome(found.value, found.n, found.reason, times, of)


def _outcome(value: float | None, n: int, why: str | None, times: Numbers, of: str) -> Outcome:
    if value is None:
        return Absent(str(why), n)
    if math.isinf(value):
        return Absent(f"infinite: {int(np.isinf(times).sum())} of {n} {of} failed", n)
    return Value(value, n, reason="it is itself a bound, at a confidence of 99 %")


def _judged(seen: Observation) -> bool:
    """The trial is an open loop, or is held to a service level."""
    head = seen.trace.head
    return serves(seen) and (
        head.arrivals is not None or (head.slo or ServiceLevel()) != ServiceLevel()
    )


for _name, _summary in _QUANTITIES.items():
    define(
        Definition(
            f"{LIMIT}.{_name}.p{PERCENT}",
            "s",
            f"The tightest limit on the p99 of {_summary} that the run passes.",
            f"requests due in the window: {_TIGHTEST}; equal to it passes",
            f"{_SOURCE}; server scenario",
            "lower",
        )
    )

METRICS[LIMIT] = Metric(LIMIT, _judged, limits)
