"""Goodput and attainment: which requests met the level, and what counts where."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.goodput import meets_slo
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.trace import ServiceLevel, Target, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def request(name: str, due: float, done: float | None, status: str = "ok", **more: Any) -> Any:
    """A request that was sent when it was due."""
    return {"id": name, "due": due, "sent": due, "done": done, "status": status, **more}


def token(name: str, at: float, count: int | None = 1) -> dict[str, Any]:
    """A row of `tokens`."""
    return {"id": name, "at": at, "count": count}


def level(**thresholds: float) -> dict[str, Any]:
    """A head with this service level."""
    return {"slo": ServiceLevel(**thresholds)}


def test_every_given_threshold_must_hold(make_trace: MakeTrace) -> None:
    """First token, mean gap and end, at the threshold or below it; a miss of one is a miss."""
    rows = [request(name, 0, done) for name, done in [("good", 3), ("late", 3.1), ("slow", 3)]]
    tokens = [
        *(token(name, at) for name in ("good", "late") for at in (1, 2, 3)),
        *(token("slow", at) for at in (1, 2.1, 3.2)),
    ]
    trace = make_trace(10, level(ttft_s=1, itl_s=1, e2e_s=3), requests=rows, tokens=tokens)
    assert meets_slo(Observation(trace)).tolist() == [True, False, False]


def test_times_are_counted_from_when_a_request_was_due(make_trace: MakeTrace) -> None:
    """A request that was sent late is late, however fast it was served."""
    late = {**request("a", 0, 3), "sent": 2.5}
    trace = make_trace(10, level(e2e_s=1), requests=[late])
    assert meets_slo(Observation(trace)).tolist() == [False]


def test_a_request_without_a_gap_meets_any_gap(make_trace: MakeTrace) -> None:
    """One token or none has no gap; gaps that were not told do not hold."""
    rows = [
        request("one", 0, 1, output_tokens=1),
        request("none", 0, 1, output_tokens=0),
        request("silent", 0, 1, output_tokens=8),
        request("chunk", 0, 1, output_tokens=8),
    ]
    tokens = [token("one", 1), token("chunk", 1, 8)]
    trace = make_trace(10, level(itl_s=0.001), requests=rows, tokens=tokens)
    met = dict(zip(["one", "none", "silent", "chunk"], meets_slo(Observation(trace)), strict=True))
    assert met == {"one": True, "none": True, "silent": False, "chunk": True}


def test_failures_count_and_never_meet(make_trace: MakeTrace, values: Values) -> None:
    """Failed, cancelled and unsent requests that were due stay in the denominator."""
    rows = [
        request("a", 0, 1),
        request("b", 0, 1, "failed"),
        request("c", 1, 2, "cancelled"),
        {"id": "d", "due": 2, "status": "unsent"},
        request("late", 11, 12),
    ]
    found = values(make_trace(10, level(e2e_s=5), requests=rows))
    assert found["slo.attainment"] == pytest.approx(1 / 4)
    assert found["goodput.requests"] == pytest.approx(1 / 10)


def test_tokens_count_where_they_arrived(make_trace: MakeTrace, values: Values) -> None:
    """Tokens in the window of a request that met the level, even if it was done after it."""
    rows = [request("a", 9, 11), request("b", 0, 9)]
    tokens = [token("a", 10, 3), token("a", 11, 4), token("b", 5, 7)]
    found = values(make_trace(10, level(e2e_s=2), requests=rows, tokens=tokens))
    assert found["goodput.tokens"] == pytest.approx(3 / 10)
    assert found["goodput.requests"] == 0
    assert found["slo.attainment"] == pytest.approx(1 / 2)


def test_the_papers_percentile_gates_the_whole_run(make_trace: MakeTrace, values: Values) -> None:
    """One slow request in ten takes all goodput of eq. 6 as printed; each by itself takes its own."""
    rows = [request(str(k), 0, 1 if k else 4) for k in range(10)]
    tokens = [token(str(k), 1, 5) for k in range(10)]
    strict = values(make_trace(10, level(e2e_s=2), requests=rows, tokens=tokens))
    assert strict["goodput.tokens_paper"] == 0
    assert strict["goodput.tokens"] == pytest.approx(4.5)
    assert strict["slo.p99_ratio"] == pytest.approx((4 - 0.09 * 3) / 2)
    loose = values(make_trace(10, level(e2e_s=4), requests=rows, tokens=tokens))
    assert loose["goodput.tokens_paper"] == pytest.approx(5)
    assert loose["slo.p99_ratio.censored"] == pytest.approx(loose["slo.p99_ratio"])


def test_a_failure_closes_the_censored_gate(make_trace: MakeTrace) -> None:
    """The tail of completed requests may pass where the tail with failures is infinite."""
    rows = [request("a", 0, 1), request("b", 0, 1, "timeout")]
    found = measure(make_trace(10, level(e2e_s=2), requests=rows, tokens=[token("a", 1)]), None)
    assert found["slo.p99_ratio"].value == pytest.approx(0.5)
    assert found["slo.p99_ratio.censored"].reason == "infinite: 1 of 2 requests failed"
    assert found["goodput.tokens_paper"].value == 0
    assert found["goodput.tokens"].value == pytest.approx(0.1)


def test_a_level_on_tokens_needs_arrivals(make_trace: MakeTrace) -> None:
    """Counts alone do not say when the first token came, so nothing is said of the level."""
    rows = [request("a", 0, 1, output_tokens=5)]
    found = measure(make_trace(10, level(ttft_s=1), requests=rows), None)
    for name in ("slo.attainment", "goodput.tokens", "goodput.requests"):
        assert found[name].reason == (
            "the service level has a threshold on tokens, but the trace tells of no arrival"
        )
    found = measure(make_trace(10, level(e2e_s=1), requests=rows), None)
    assert found["slo.attainment"].value == 1
    assert found["goodput.tokens"].reason == ("the trace tells how many tokens came, but not when")


def test_untold_counts_leave_goodput_absent_as_they_do_throughput(make_trace: MakeTrace) -> None:
    """A lower bound would pass for a rate."""
    rows = [request("a", 0, 1)]
    trace = make_trace(10, level(e2e_s=1), requests=rows, tokens=[token("a", 1, None)])
    found = measure(trace, None)
    assert found["goodput.tokens"].reason == found["tp.system"].reason
    assert found["goodput.tokens"].value is None


def test_goodput_is_about_a_level_and_about_serving(make_trace: MakeTrace) -> None:
    """Without a threshold, or in training, there is none."""
    for head in ({}, {"slo": ServiceLevel()}, {**level(e2e_s=1), "target": Target("a", "test", 1)}):
        found = measure(make_trace(10, head, requests=[request("a", 0, 1)]), None)
        assert not [name for name in found if name.startswith(("goodput", "slo"))]


def test_a_window_without_length_has_no_goodput(make_trace: MakeTrace) -> None:
    """Nothing is divided by zero; attainment needs no length."""
    found = measure(make_trace(0, level(e2e_s=1), requests=[request("a", 0, 0)]), None)
    assert found["goodput.requests"].reason == "the window has no length"
    assert found["slo.attainment"].value == 1


def test_the_printed_goodput_is_absent_where_no_end_is_told(make_trace: MakeTrace) -> None:
    """A tail that nobody can tell is no tail within the level, nor one beyond it."""
    rows = [{"id": "a", "due": 0, "sent": 0, "status": "ok", "output_tokens": 1}]
    tokens = [{"id": "a", "at": 1, "count": 1}]
    found = measure(make_trace(10, level(e2e_s=1), requests=rows, tokens=tokens), None)
    assert found["goodput.tokens_paper"].reason == (
        "no request that was due in the window tells its end-to-end time"
    )


def test_request_goodput_has_an_interval_over_the_window(make_trace: MakeTrace) -> None:
    """From a hundred requests on; shares and tokens say why they have none."""
    rows = [
        {"id": str(k), "due": k / 20, "sent": k / 20, "done": k / 20 + 0.04, "status": "ok"}
        for k in range(199)
    ]
    found = measure(make_trace(10, level(e2e_s=1), requests=rows), None)
    rate = found["goodput.requests"]
    assert rate.interval.low <= rate.value == found["tp.requests"].value <= rate.interval.high
    assert found["slo.attainment"].reason == "the interval of a share is taken over trials"
