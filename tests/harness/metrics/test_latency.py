"""Latency: which requests count, from when, and what is absent with which reason."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def request(
    name: str, due: float, sent: float | None, done: float | None, status: str = "ok", **more: Any
) -> dict[str, Any]:
    """A row of `requests`."""
    return {"id": name, "due": due, "sent": sent, "done": done, "status": status, **more}


def token(name: str, at: float, count: int = 1) -> dict[str, Any]:
    """A row of `tokens`."""
    return {"id": name, "at": at, "count": count}


def test_response_counts_from_due_and_service_from_send(
    make_trace: MakeTrace, values: Values
) -> None:
    """A request sent 0.2 s late answers 0.2 s later for its user."""
    trace = make_trace(requests=[request("a", 1, 1.2, 2)], tokens=[token("a", 1.5), token("a", 2)])
    found = values(trace)
    assert found["e2e.response.mean"] == pytest.approx(1.0)
    assert found["e2e.service.mean"] == pytest.approx(0.8)
    assert found["ttft.response.mean"] == pytest.approx(0.5)
    assert found["ttft.service.mean"] == pytest.approx(0.3)


def test_latency_takes_requests_due_in_the_closed_window(
    make_trace: MakeTrace, values: Values
) -> None:
    """Both ends belong to the window; a request done after it still counts, one due before does not."""
    rows = [
        request("early", -1, -1, 0.5),
        request("a", 0, 0, 1),
        request("b", 10, 10, 13),
        request("c", 10.000000001, 11, 99),
    ]
    trace = make_trace(requests=rows)
    found = measure(trace, None)
    assert found["e2e.response.mean"].value == pytest.approx(2.0)
    assert found["e2e.response.mean"].n == 2
    assert values(trace)["tp.requests"] == pytest.approx(2 / 10)


def test_gaps_are_pooled_and_request_means_are_not(make_trace: MakeTrace, values: Values) -> None:
    """Gaps weigh each token alike, request means each request."""
    requests = [request("a", 0, 0, 4), request("b", 0, 0, 2)]
    tokens = [*(token("a", at) for at in (1, 2, 3, 4)), token("b", 1), token("b", 1.5)]
    found = values(make_trace(requests=requests, tokens=tokens))
    assert found["itl.gap.mean"] == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert found["itl.request.mean"] == pytest.approx((1 + 0.5) / 2)


def test_tokens_that_arrive_together_have_gaps_of_zero(
    make_trace: MakeTrace, values: Values
) -> None:
    """An arrival of three tokens is one gap to the token before and two gaps of 0."""
    trace = make_trace(
        requests=[request("a", 0, 0, 3)], tokens=[token("a", 1), token("a", 2.5, count=3)]
    )
    found = values(trace)
    assert found["itl.gap.mean"] == pytest.approx(0.5)
    assert found["itl.gap.p50"] == 0
    assert found["itl.request.mean"] == pytest.approx(1.5 / 3)
    assert found["tpot.mean"] == pytest.approx((3 - 1) / 3)


def test_an_arrival_without_tokens_is_no_first_token(make_trace: MakeTrace, values: Values) -> None:
    """A server's empty first message does not shorten the time to first token."""
    trace = make_trace(
        requests=[request("a", 0, 0, 3)], tokens=[token("a", 0.1, count=0), token("a", 2)]
    )
    assert values(trace)["ttft.response.mean"] == pytest.approx(2)


def test_gaps_never_reach_across_requests_or_failed_ones(make_trace: MakeTrace) -> None:
    """Interleaved streams are told apart; a failed request gives no gaps."""
    requests = [request("a", 0, 0, 5), request("b", 0, 0, 6), request("c", 0, 0, 7, "timeout")]
    tokens = [
        token(name, at + shift)
        for at in (1, 2, 3)
        for name, shift in (("a", 0), ("b", 0.1), ("c", 0.2))
    ]
    found = measure(make_trace(requests=requests, tokens=tokens), None)
    assert found["itl.gap.p99"].value == pytest.approx(1)
    assert found["itl.gap.p99"].n == 4


def test_told_output_tokens_go_before_counted_arrivals(
    make_trace: MakeTrace, values: Values
) -> None:
    """A server's own count is right even where arrivals bring several tokens untold."""
    tokens = [token("a", 1), token("a", 3)]
    told = make_trace(requests=[request("a", 0, 0, 3, output_tokens=5)], tokens=tokens)
    counted = make_trace(requests=[request("a", 0, 0, 3)], tokens=tokens)
    assert values(told)["tpot.mean"] == pytest.approx(2 / 4)
    assert values(counted)["tpot.mean"] == pytest.approx(2 / 1)


def test_one_token_has_no_gap(make_trace: MakeTrace) -> None:
    """With one token each, gap metrics are absent with the reason; TTFT is there."""
    trace = make_trace(requests=[request("a", 0, 0, 1)], tokens=[token("a", 1)])
    found = measure(trace, None)
    assert found["ttft.response.p50"].value == pytest.approx(1)
    for name in ("itl.gap.mean", "itl.request.p99"):
        assert found[name].value is None
        assert found[name].reason == "no completed request has two tokens"
    assert found["tpot.mean"].reason == "no completed request has two output tokens"


def test_failed_requests_count_in_censored_percentiles_alone(make_trace: MakeTrace) -> None:
    """A failure is infinitely slow; where a percentile falls on one it is absent."""
    rows = [request(str(k), 0, 0, 1 + k) for k in range(99)]
    rows.append(request("late", 0, 0, None, "timeout"))
    found = measure(make_trace(200, requests=rows), None)
    assert found["e2e.response.p50"].value == pytest.approx(50)
    assert found["e2e.response.p50"].n == 99
    assert found["e2e.response.censored.p50"].value == pytest.approx(50.5)
    assert found["e2e.response.censored.p50"].n == 100
    assert found["e2e.response.censored.p99"].value is None
    assert found["e2e.response.censored.p99"].reason == "infinite: 1 of 100 requests failed"


def test_all_failed_is_a_reason(make_trace: MakeTrace) -> None:
    """Nothing completed: no latency, and the reason counts what was due."""
    rows = [request("a", 0, None, None, "unsent"), request("b", 0, 0, 1, "failed")]
    found = measure(make_trace(requests=rows), None)
    assert found["e2e.response.mean"].value is None
    assert found["e2e.response.mean"].reason == (
        "none of the 2 requests due in the window was completed"
    )
    assert found["tp.requests"].value == 0


def test_none_due_in_the_window_is_a_reason(make_trace: MakeTrace) -> None:
    """Requests before the window alone leave its latency absent."""
    found = measure(make_trace(requests=[request("a", -2, -2, -1)]), None)
    assert found["e2e.service.p95"].reason == "no request was due in the window"


def test_null_times_leave_the_quantity_absent(make_trace: MakeTrace) -> None:
    """A completed request that tells no send has a response but no service time."""
    found = measure(make_trace(requests=[request("a", 0, None, 1)]), None)
    assert found["e2e.response.mean"].value == pytest.approx(1)
    assert found["e2e.service.mean"].reason == "no completed request has both a send and an end"


def test_intervals_say_what_they_rest_on(make_trace: MakeTrace) -> None:
    """They vary over requests in the order in which these came; too few are told apart."""
    rows = [request(str(k), k, k, k + 1 + k * 5 % 7) for k in range(200)]
    found = measure(make_trace(300, requests=rows), None)
    median, mean = found["e2e.response.p50"].interval, found["e2e.response.mean"].interval
    assert median is not None
    assert mean is not None
    assert (median.over, mean.over) == ("requests", "requests")
    assert median.low <= found["e2e.response.p50"].value <= median.high
    assert "order statistics" in median.method
    assert "long-run variance" in mean.method
    assert found["e2e.response.p99"].interval is None
    assert found["e2e.response.p99"].reason == (
        "an interval of p99 needs 368 requests, there are 200"
    )


def test_an_interval_takes_the_order_in_which_requests_came(make_trace: MakeTrace) -> None:
    """A slow wave through the requests widens it; the same values shuffled do not."""
    wave = [2 + np.sin(k / 200) for k in range(4000)]
    shuffled = np.random.default_rng(0).permutation(wave)
    widths = []
    for values in (wave, shuffled):
        rows = [request(str(k), k, k, k + float(v)) for k, v in enumerate(values)]
        found = measure(make_trace(5000, requests=rows), None)["e2e.response.mean"]
        widths.append(found.interval.high - found.interval.low if found.interval else np.inf)
    assert widths[0] > 4 * widths[1]


def test_queue_prefill_and_decode_add_up(make_trace: MakeTrace, values: Values) -> None:
    """Response time is queue, prefill and decode where a request tells its stamps."""
    row = request("a", 0, 0.1, 3, queue_exit=0.5, prefill_end=1.25)
    found = values(make_trace(requests=[row]))
    parts = [found[f"{part}.time.mean"] for part in ("queue", "prefill", "decode")]
    assert parts == pytest.approx([0.5, 0.75, 1.75])
    assert sum(parts) == pytest.approx(found["e2e.response.mean"])
    assert found["itl.mean_paper"] is None


def test_spread_and_worst_case_of_a_latency(make_trace: MakeTrace) -> None:
    """One request has a largest value and no spread."""
    found = measure(make_trace(requests=[request("a", 0, 0, 2)]), None)
    assert found["e2e.service.max"].value == 2
    assert found["e2e.service.std"].value is None
    assert found["e2e.service.std"].reason == "a standard deviation needs 2 requests, there is 1"
    rows = [request("a", 0, 0, 2), request("b", 0, 0, 4)]
    assert measure(make_trace(requests=rows), None)["e2e.service.std"].value == pytest.approx(
        2**0.5
    )
