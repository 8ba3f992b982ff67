"""Cold start, warm-up and steady window: where they begin, what they hold, and that all is told."""

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.steadiness import quarter_change, service_series, steadiness


def in_turn(services, **more):
    """Requests one after another, each with its service time in seconds."""
    rows, at = [], 0.0
    for number, taken in enumerate(services):
        row = {"id": str(number), "due": at, "sent": at, "done": at + taken, "status": "ok"}
        rows.append({**row, **{key: values[number] for key, values in more.items()}})
        at += taken
    return rows


def warmups(*lengths):
    """Warm-up calls before the window."""
    return [
        {"name": "forward", "kind": "warmup", "start": -10.0 + k, "end": -10.0 + k + length}
        for k, length in enumerate(lengths)
    ]


def windows(trace):
    """Value and count of the three parts."""
    found = measure(trace, None)
    return {
        name.split(".")[1]: (item.value and pytest.approx(item.value), item.n)
        for name, item in found.items()
        if name.startswith("window.")
    }


def test_all_calls_of_a_trial_are_told(make_trace):
    """The first call, then warm-up calls and unsteady requests, then the steady rest."""
    services = [0.02] * 20 + [0.01] * 80
    trace = make_trace(requests=in_turn(services), phases=warmups(0.5, 0.05, 0.03))
    assert windows(trace) == {
        "cold": (0.5, 1),
        "warmup": ((0.05 + 0.03 + 20 * 0.02) / 22, 22),
        "steady": (0.01, 80),
    }


def test_without_warm_up_the_first_request_is_the_cold_start(make_trace):
    """And it is in the steady window where that begins with it."""
    trace = make_trace(requests=in_turn([0.01] * 40))
    assert windows(trace) == {"cold": (0.01, 1), "warmup": (None, 0), "steady": (0.01, 40)}


def test_a_call_that_tells_no_end_is_no_call(make_trace):
    """A request before the window that is ok, but never done, is not the cold start."""
    lost = {"id": "w", "due": -2.0, "sent": -2.0, "done": None, "status": "ok"}
    trace = make_trace(requests=[lost, *in_turn([0.01] * 40)])
    assert windows(trace)["cold"] == (0.01, 1)


def test_service_times_that_never_settle_have_no_steady_window(make_trace):
    """The window's requests then all count as warm-up, with the reason beside."""
    trace = make_trace(requests=in_turn([0.01] * 95 + [0.05] * 5))
    assert windows(trace)["steady"] == (None, 0)
    assert windows(trace)["warmup"][1] == 99
    reason = measure(trace, None)["window.steady.service"].reason
    assert reason == "the service times reach no steady state"


def test_too_few_requests_show_no_steady_state(make_trace):
    """The number that it takes is told; warm-up calls are told all the same."""
    trace = make_trace(requests=in_turn([0.01] * 9), phases=warmups(0.5, 0.1))
    assert windows(trace) == {"cold": (0.5, 1), "warmup": (0.1, 1), "steady": (None, 9)}
    reason = measure(trace, None)["window.steady.service"].reason
    assert reason == "a steady state needs 30 completed requests, there are 9"


def test_a_trial_without_calls_has_no_such_windows(make_trace):
    """Neither a warm-up call nor a finished request."""
    trace = make_trace(requests=[{"id": "0", "due": 1, "status": "failed"}])
    assert windows(trace) == {}
    assert steadiness(Observation(trace)) is None


def test_the_series_counts_service_for_each_sample(make_trace):
    """In order of sending; requests that were due before the window are not in it."""
    rows = in_turn([0.1, 0.4, 0.2], samples=[1, 4, 2])
    early = {"id": "9", "due": -1, "sent": -1, "done": 1, "samples": 1, "status": "ok"}
    series = service_series(Observation(make_trace(requests=[*reversed(rows), early])))
    assert series.service == pytest.approx([0.1, 0.1, 0.1])
    assert series.sent == pytest.approx([0.0, 1e8, 5e8])


def test_requests_before_the_window_are_warm_up_calls(make_trace):
    """A warm-up that went the way of all requests is told like one of its own kind."""
    early = {"id": "9", "due": -1.0, "sent": -1.0, "done": -0.5, "status": "ok"}
    trace = make_trace(requests=[early, *in_turn([0.01] * 9)])
    assert windows(trace)["cold"] == (0.5, 1)


def test_the_series_counts_service_for_each_token_after_the_first(make_trace):
    """The prompt, and how many tokens were asked for, make no difference; one token has no gap."""
    rows = in_turn([1.0, 2.0, 1.0], output_tokens=[6, 11, 1])
    tokens = [
        {"id": "0", "at": 0.5, "count": 1},
        {"id": "1", "at": 2.0, "count": 1},
        {"id": "2", "at": 3.5, "count": 1},
    ]
    series = service_series(Observation(make_trace(requests=rows, tokens=tokens)))
    assert series.service == pytest.approx([0.1, 0.1])


def test_the_class_is_that_of_the_series(make_trace):
    """Larger batches take longer and are no slow-down."""
    sizes = [1] * 50 + [2] * 50
    rows = in_turn([0.01 * size for size in sizes], samples=sizes)
    assert steadiness(Observation(make_trace(requests=rows))).kind == "flat"
    rows = in_turn([0.01] * 50 + [0.02] * 50, samples=[1] * 100)
    assert steadiness(Observation(make_trace(requests=rows))).kind == "slow-down"


def test_a_change_between_quarters_is_relative(make_trace):
    """Mean of the last over mean of the first; a series of nothing does not change."""
    series = service_series(Observation(make_trace(requests=in_turn([0.1] * 4 + [0.15] * 4))))
    assert quarter_change(series.service) == pytest.approx(0.5)
    assert quarter_change(0 * series.service) == 0
