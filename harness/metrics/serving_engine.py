"""What a serving engine and the load generator tell of themselves, from their counters."""

from collections.abc import Iterator

import numpy as np

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import gauge, mean_gauge, ratio, readings, tells, total

_HELD = "mean over the window of a gauge, each reading held until the next"
_SOURCE = "sections 3.6.5 and 5.5.3"


def _tells_generator(seen: Observation) -> bool:
    return serves(seen) and tells("generator.cpu_time")(seen)


@metric(
    "prefix_cache.hit_rate",
    unit="1",
    summary="Share of the prompt tokens looked up in the engine's prefix cache that were in it.",
    formula="prefix_cache.hit / prefix_cache.queried, as the engine counted them in the window;"
    " cache.hit_rate is of what requests told",
    source=_SOURCE,
    better="higher",
    applies=tells("prefix_cache.queried", "prefix_cache.hit"),
)
def prefix_hit_rate(seen: Observation) -> Outcome:
    """Hits over queries of the engine's prefix cache, tokens."""
    hit, queried = total(seen, "prefix_cache.hit"), total(seen, "prefix_cache.queried")
    return ratio(hit, queried, "no prompt token was looked up")


@metric(
    "kv.usage.mean",
    unit="1",
    summary="Mean share of the blocks of keys and values that was in use.",
    formula=f"{_HELD}: kv.usage",
    source=_SOURCE,
    better="neither",
    applies=tells("kv.usage"),
)
def mean_usage(seen: Observation) -> Outcome:
    """Mean use of the cache of keys and values; shares of several scopes do not add up."""
    found = readings(seen, "kv.usage")
    if not isinstance(found, Absent) and len(found) > 1:
        return Absent(f"the counter kv.usage has {len(found)} scopes, and shares do not add up")
    return mean_gauge(seen, "kv.usage")


@metric(
    "kv.usage.peak",
    unit="1",
    summary="Largest share of the blocks of keys and values that was seen in use.",
    formula="largest reading of kv.usage in force in the window, of the fullest scope; what lies"
    " between two readings is not seen",
    source=_SOURCE,
    better="lower",
    applies=tells("kv.usage"),
)
def peak_usage(seen: Observation) -> Outcome:
    """Fullest cache of keys and values at a reading."""
    found = readings(seen, "kv.usage")
    if isinstance(found, Absent):
        return found
    held = np.concatenate(list(_in_force(seen, "kv.usage")))
    reason = "the largest value grows with the number of readings: it has no interval"
    return Value(float(held.max()), held.size, reason=reason)


@metric(
    "preemptions.total",
    unit="1",
    summary="Times a running request was put back to make room, in the window.",
    formula="preemptions, added over scopes",
    source=_SOURCE,
    better="lower",
    applies=tells("preemptions"),
)
def preemptions(seen: Observation) -> Outcome:
    """How often the engine ran out of room."""
    return total(seen, "preemptions")


@metric(
    "requests.running.mean",
    unit="1",
    summary="Mean number of requests in the engine's batch.",
    formula=f"{_HELD}, added over scopes: requests.running",
    source=_SOURCE,
    better="neither",
    applies=tells("requests.running"),
)
def mean_running(seen: Observation) -> Outcome:
    """Mean size of the running batch: the B of equation 7 where batching is continuous."""
    return mean_gauge(seen, "requests.running")


@metric(
    "requests.waiting.mean",
    unit="1",
    summary="Mean number of requests in the engine's queue.",
    formula=f"{_HELD}, added over scopes: requests.waiting",
    source=_SOURCE,
    better="lower",
    applies=tells("requests.waiting"),
)
def mean_waiting(seen: Observation) -> Outcome:
    """Mean length of the engine's queue."""
    return mean_gauge(seen, "requests.waiting")


@metric(
    "generator.lag.p99",
    unit="s",
    summary="The p99 of the time from the arrival of bytes to their reading by the load generator.",
    formula="the largest generator.stamp_lag of all dispatchers; each is a p99",
    source=_SOURCE,
    better="lower",
    applies=tells("generator.stamp_lag"),
)
def generator_lag(seen: Observation) -> Outcome:
    """How far the slowest dispatcher was behind its sockets."""
    found = readings(seen, "generator.stamp_lag")
    if isinstance(found, Absent):
        return found
    reason = "of each dispatcher its p99 alone is told, so there is no interval"
    return Value(max(found.values()), len(found), reason=reason)


@metric(
    "generator.cpu_per_request",
    unit="s",
    summary="Processor time of the load generator for each request that it sent.",
    formula="generator.cpu_time, added over dispatchers / requests of the trace that were sent,"
    " those of warm-up and tail too; reading the replies afterwards is not in it",
    source=_SOURCE,
    better="lower",
    applies=_tells_generator,
)
def generator_cost(seen: Observation) -> Outcome:
    """What the generator itself spends on a request, s."""
    sent = int((~np.isnan(seen.requests.sent)).sum())
    spent = total(seen, "generator.cpu_time")
    return ratio(spent, Value(float(sent), sent), "no request was sent")


def _in_force(seen: Observation, name: str) -> Iterator[Numbers]:
    """By scope, the readings of a gauge in the window and the one that it began with.

    Where all readings of a scope came after the window, its last one stands for the window.
    """
    for at, value in gauge(seen, name):
        begin = max(int(np.searchsorted(at, 0.0, side="right")) - 1, 0)
        end = int(np.searchsorted(at, float(seen.length_ns), side="right"))
        yield value[begin:end] if end > begin else value[-1:]
