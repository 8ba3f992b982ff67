"""What a serving engine and the load generator tell of themselves."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

REQUESTS = [{"id": str(k), "due": k, "sent": k, "done": k + 1, "status": "ok"} for k in range(8)]


def read(name: str, at: float, value: float, unit: str = "1", scope: str = "0") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": at, "value": value, "unit": unit, "scope": scope}


def test_the_hit_rate_of_the_engine_is_hits_over_look_ups(
    make_trace: MakeTrace, values: Values
) -> None:
    """Both added over engines; nothing looked up is no rate."""
    counters = [
        read("prefix_cache.queried", 10, 300, "token"),
        read("prefix_cache.hit", 10, 30, "token"),
        read("prefix_cache.queried", 10, 100, "token", "1"),
        read("prefix_cache.hit", 10, 70, "token", "1"),
    ]
    assert values(make_trace(counters=counters))["prefix_cache.hit_rate"] == pytest.approx(0.25)
    none = [read("prefix_cache.queried", 10, 0, "token"), read("prefix_cache.hit", 10, 0, "token")]
    found = measure(make_trace(counters=none), None)["prefix_cache.hit_rate"]
    assert found.reason == "no prompt token was looked up"
    half = measure(make_trace(counters=none[:1]), None)["prefix_cache.hit_rate"]
    assert half.reason == "the counter prefix_cache.hit was not read"


def test_the_use_of_the_cache_is_held_between_readings(
    make_trace: MakeTrace, values: Values
) -> None:
    """0.2 for 4 s, 0.7 for 6 s; the reading after the window is not in it."""
    counters = [read("kv.usage", at, value) for at, value in ((-1, 0.2), (4, 0.7), (11, 0.9))]
    found = values(make_trace(10.0, counters=counters))
    assert found["kv.usage.mean"] == pytest.approx(0.2 * 0.4 + 0.7 * 0.6)
    assert found["kv.usage.peak"] == pytest.approx(0.7)


def test_the_peak_holds_what_the_window_began_with(make_trace: MakeTrace, values: Values) -> None:
    """A cache that was fuller before it counts with its last reading, not with an earlier one."""
    counters = [read("kv.usage", at, value) for at, value in ((-2, 0.9), (-1, 0.8), (4, 0.1))]
    assert values(make_trace(10.0, counters=counters))["kv.usage.peak"] == pytest.approx(0.8)
    after = [read("kv.usage", at, value) for at, value in ((11, 0.9), (12, 0.3))]
    assert values(make_trace(10.0, counters=after))["kv.usage.peak"] == pytest.approx(0.3)


def test_shares_of_two_engines_have_a_peak_but_no_sum(make_trace: MakeTrace) -> None:
    """The fuller one is told; a mean share of unequal caches would be neither's."""
    counters = [read("kv.usage", 1, 0.4), read("kv.usage", 1, 0.6, scope="1")]
    found = measure(make_trace(counters=counters), None)
    assert found["kv.usage.peak"].value == pytest.approx(0.6)
    assert found["kv.usage.mean"].reason == (
        "the counter kv.usage has 2 scopes, and shares do not add up"
    )


def test_queue_and_batch_are_means_over_time(make_trace: MakeTrace, values: Values) -> None:
    """Added over engines, as are preemptions."""
    counters = [
        read("requests.running", 0, 4),
        read("requests.running", 5, 2),
        read("requests.running", 0, 1, scope="1"),
        read("requests.waiting", 0, 3),
        read("preemptions", 10, 2),
        read("preemptions", 10, 5, scope="1"),
    ]
    found = values(make_trace(10.0, counters=counters))
    assert found["requests.running.mean"] == pytest.approx(4.0)
    assert found["requests.waiting.mean"] == pytest.approx(3.0)
    assert found["preemptions.total"] == 7


def test_what_an_engine_does_not_tell_is_left_out(make_trace: MakeTrace, values: Values) -> None:
    """Neither 0 nor a reason: the metrics do not apply."""
    told = values(make_trace(requests=REQUESTS))
    stems = ("prefix_cache.", "kv.usage", "preemptions", "requests.", "generator.")
    assert not any(name.startswith(stems) for name in told)


def test_the_generator_is_as_slow_as_its_slowest_dispatcher(
    make_trace: MakeTrace, values: Values
) -> None:
    """The lag is the largest, the processor time is shared by all requests that were sent."""
    counters = [
        read("generator.stamp_lag", 10, 2e-5, "s"),
        read("generator.stamp_lag", 10, 7e-5, "s", "1"),
        read("generator.cpu_time", 10, 0.25, "s"),
        read("generator.cpu_time", 10, 0.15, "s", "1"),
    ]
    unsent = {"id": "x", "due": 1, "sent": None, "done": None, "status": "unsent"}
    found = values(make_trace(requests=[*REQUESTS, unsent], counters=counters))
    assert found["generator.lag.p99"] == pytest.approx(7e-5)
    assert found["generator.cpu_per_request"] == pytest.approx(0.4 / 8)


def test_a_generator_that_sent_nothing_has_no_cost_a_request(make_trace: MakeTrace) -> None:
    """The reason says so."""
    unsent = [{"id": "x", "due": 1, "sent": None, "done": None, "status": "unsent"}]
    trace = make_trace(requests=unsent, counters=[read("generator.cpu_time", 10, 0.25, "s")])
    assert measure(trace, None)["generator.cpu_per_request"].reason == "no request was sent"


def test_a_counter_in_another_unit_is_refused(make_trace: MakeTrace) -> None:
    """Per cent are not shares, milliseconds not seconds."""
    counters = [read("kv.usage", 1, 40, "%"), read("generator.stamp_lag", 1, 2, "ms")]
    found = measure(make_trace(counters=counters), None)
    for name in ("kv.usage.mean", "kv.usage.peak"):
        assert found[name].reason == "the counter kv.usage is not in 1"
    assert found["generator.lag.p99"].reason == "the counter generator.stamp_lag is not in s"
