"""Codes about the load: sent when due, as the schedule says, by a generator that is fast enough.

The flawed generators are those that read as correct in tools of the field: each is replayed from
the same draws as its schedule, so that only the flaw makes a difference.
"""

import numpy as np
import pytest

from accelbench.harness.judge.arrivals import fidelity
from accelbench.harness.schema.trace import Arrivals

COUNT, RATE = 500, 50.0


def poisson():
    """Instants of a Poisson process, s."""
    return np.cumsum(np.random.default_rng(3).exponential(1 / RATE, COUNT))


def constant():
    """Evenly spaced instants, s."""
    return np.arange(1, COUNT + 1) / RATE


def jitter(scale_s):
    """Lateness that differs from request to request, s."""
    return np.random.default_rng(4).uniform(0, scale_s, COUNT)


@pytest.fixture
def told(make_trial, judged):
    """What is said of a schedule and its sends, NaN for one that never was."""

    def found(due, sent, *, took=0.2, arrivals=True, counters=(), merged=0, **limits):
        """Stands in for the real `found`."""
        requests = [
            {"id": str(k), "due": d, "sent": None, "status": "unsent"}
            if np.isnan(s)
            else {"id": str(k), "due": d, "sent": s, "done": s + took, "status": "ok"}
            for k, (d, s) in enumerate(zip(due, sent, strict=True))
        ]
        head = {"arrivals": Arrivals("poisson", RATE)} if arrivals else {}
        counters = [
            {"at": 20, "value": v, "name": n, "unit": "1" if "share" in n else "s", "scope": str(k)}
            for k, (n, v) in enumerate(counters)
        ]
        tokens = [
            {"id": str(k), "at": at, "count": 1}
            for k, d in enumerate(due)
            if merged
            for at in (d + took / 2, d + took / 2 if k < merged else d + took)
        ]
        trial = make_trial(60.0, head, requests=requests, counters=counters, tokens=tokens)
        reasons = judged(trial, **limits)
        return {code: detail for code, detail in reasons.items() if code != "requests_failed"}

    return found


@pytest.mark.parametrize("schedule", [poisson, constant])
def test_a_faithful_generator_is_not_blamed(told, schedule):
    """Jitter of microseconds, and of half a millisecond, leave the process what it was."""
    due = schedule()
    assert told(due, due) == told(due, due + jitter(50e-6)) == told(due, due + jitter(5e-4)) == {}


@pytest.mark.parametrize("schedule", [poisson, constant])
def test_a_generator_that_is_late_by_the_same_time_keeps_the_process(told, schedule):
    """It is late, and that is told; its arrivals are not off."""
    due = schedule()
    assert {*told(due, due + 0.2)} == {"generator_late"}


def test_lateness_is_held_to_its_limit(told):
    """p99 of |sent - due|: at 1 ms allowed, beyond it told, with both figures and a remedy."""
    due = constant()
    assert told(due, due + 0.001, took=0.04) == {}
    assert told(due, due + 0.003, took=0.04) == {
        "generator_late": "p99 of |sent - due| is 3 ms, at most 1 ms is allowed: give the load"
        " generator more processors, or lower the rate"
    }
    assert told(due, due + 0.003, took=0.04, lateness_s=0.003) == {}


def test_a_slow_service_forgives_more_lateness(told):
    """2 % of its median, where that is more than a millisecond."""
    due = constant()
    assert told(due, due + 0.004, took=0.2) == {}
    assert (
        "at most 4 ms (2.0% of e2e.service.p50) is allowed"
        in (told(due, due + 0.005, took=0.2)["generator_late"])
    )


def test_a_send_before_its_time_counts_as_much_as_one_after(told):
    """It shortens the response times that are reported."""
    due = constant()
    assert told(due, due - 0.001, took=0.04) == {}
    assert {*told(due, due - 0.003, took=0.04)} == {"generator_late"}


def test_what_was_never_sent_is_infinitely_late(told):
    """Five of 500 are one in a hundred; four are fewer."""
    due = constant()
    sent = due.copy()
    sent[100:104] = np.nan
    assert "generator_late" not in told(due, sent)
    sent[104] = np.nan
    assert "is inf s (5 of 500 were never sent)" in told(due, sent)["generator_late"]


def test_a_closed_loop_has_no_schedule(told):
    """Without arrivals made beforehand nobody is late."""
    assert told(constant(), constant() + 1.0, arrivals=False) == {}


def test_workers_that_repeat_one_anothers_gaps_are_caught(told):
    """Ten workers with one seed and a shared clock: each gap ten times; counts disperse."""
    due = poisson()
    gaps = np.repeat(np.diff(due, prepend=0)[: COUNT // 10], 10)
    sent = np.cumsum(gaps) * due[-1] / gaps.sum()
    detail = told(due, sent)["arrivals_off"]
    assert "1 + the dispersion of counts is " in detail
    assert fidelity(due, sent).dispersion > 2
    assert fidelity(due, sent).rate == pytest.approx(1, abs=0.02)


def test_exponential_gaps_in_place_of_constant_ones_are_caught(told):
    """The mean rate is right to the last digit; the gaps' CV is 1 instead of 0."""
    gaps = np.random.default_rng(5).exponential(1.0, COUNT)
    sent = np.cumsum(gaps) * COUNT / RATE / gaps.sum()
    detail = told(constant(), sent)["arrivals_off"]
    assert "the CV of gaps is " in detail
    assert "instead of 0 (within 0.1)" in detail
    assert "the KS distance of gaps is 0.5" in detail


def test_arrivals_that_end_on_the_whole_second_are_caught(told):
    """A count a second, its gaps stretched to fill it: nearly Poisson, but not when it was due."""
    due = poisson()[:100] * RATE / 2
    seconds = np.floor(due)
    sent = due.copy()
    for second in np.unique(seconds):
        of_it = seconds == second
        gaps = np.diff(due[of_it], prepend=second)
        sent[of_it] = second + np.cumsum(gaps) / gaps.sum()
    assert {*told(due, sent)} == {"generator_late"}


@pytest.mark.parametrize("stretch", [0.95, 1.05])
def test_arrivals_scaled_to_end_on_time_are_caught(told, stretch):
    """Stretched or pressed so that the last lands on N / rate: another rate than was drawn."""
    due = poisson()
    detail = told(due, due * stretch)["arrivals_off"]
    assert f"their rate is {1 / stretch:.3g} of the schedule's (within 2.0%)" in detail


def test_a_rate_at_the_limit_is_allowed(told):
    """Two per cent, whichever way."""
    due = poisson()
    assert "arrivals_off" not in told(due, due * 1.02)
    assert "arrivals_off" in told(due, due * 1.021)


@pytest.mark.parametrize("schedule", [poisson, constant])
def test_bursts_are_caught(told, schedule):
    """A loop that wakes each 100 ms sends what became due at once."""
    due = schedule()
    sent = np.ceil(due * 10) / 10
    detail = told(due, sent)["arrivals_off"]
    assert "the CV of gaps is " in detail
    assert "the KS distance of gaps is " in detail


def test_dropped_arrivals_are_caught(told):
    """A limit of open requests that skips an arrival in twenty lowers the rate."""
    due = poisson()
    sent = np.where(np.arange(COUNT) % 20 == 7, np.nan, due)
    assert "their rate is 0.95 of the schedule's" in told(due, sent)["arrivals_off"]
    assert "their rate is 0 of" in told(due, np.full(COUNT, np.nan))["arrivals_off"]


def test_few_arrivals_and_a_single_instant_have_no_process():
    """Ninety-nine requests, or all due at once, are not judged."""
    assert fidelity(constant()[:99], constant()[:99] * 2) is None
    assert fidelity(np.ones(500), np.ones(500)) is None
    assert fidelity(constant()[:100], constant()[:100]).ks == 0


def test_the_figures_of_a_faithful_generator_are_exact():
    """Sends on the instant: ratios of 1, a distance of 0, in any unit."""
    found = fidelity(poisson() * 1e9, poisson() * 1e9)
    assert (found.rate, found.dispersion) == (pytest.approx(1), 1.0)
    assert found.ks == 0
    assert found.cv == found.scheduled_cv == pytest.approx(1, abs=0.1)


def test_a_generator_whose_own_error_is_large_bounds_the_figures(told):
    """Its calibrated error against 1 ms, or 2 % of the reported median."""
    due = constant()
    error = "generator.error"
    assert told(due, due, took=0.04, counters=[(error, 0.001)]) == {}
    assert told(due, due, took=0.04, counters=[(error, 0.002)]) == {
        "client_bound": "the load generator alone errs by 2 ms at this rate, at most 1 ms is"
        " allowed: give it more processors, or lower the rate"
    }
    assert told(due, due, took=0.2, counters=[(error, 0.004)]) == {}
    assert {*told(due, due, took=0.2, counters=[(error, 0.0041)])} == {"client_bound"}
    assert told(due, due, took=0.04, counters=[(error, 0.002)], client_s=0.002) == {}


def test_tokens_that_were_read_together_late_bound_the_figures(told):
    """Bytes that a slow dispatcher left lying harm where that gave two tokens one stamp."""
    due, lag = constant(), "generator.stamp_lag"
    slow = [(lag, 0.003), (lag, 1e-5)]
    assert told(due, due, took=0.04, counters=slow) == {}
    few, many = COUNT // 100, COUNT // 10
    assert told(due, due, took=0.04, counters=slow, merged=few) == {}
    assert told(due, due, took=0.04, counters=slow, merged=many) == {
        "client_bound": "10.0% of tokens were read together with the one before, and p99 of the time"
        " until a dispatcher read what had arrived is 3 ms, at most 1 ms is allowed: give it more"
        " processors, or lower the rate"
    }
    quick = [(lag, 1e-5), (lag, 0.001)]
    assert told(due, due, took=0.04, counters=quick, merged=many) == {}


def test_a_late_dispatcher_without_processor_time_is_bound(told):
    """Used up alone is no fault, and late alone has another name."""
    due, share, lag = constant(), "generator.cpu_share", "generator.stamp_lag"
    busy = [(share, 0.4), (share, 0.97)]
    assert told(due, due, took=0.04, counters=busy) == {}
    late = told(due, due + 0.003, took=0.04, counters=busy)
    assert {*late} == {"client_bound", "generator_late"}
    assert late["client_bound"] == (
        "a dispatcher that was late used 97% of its processor, at most 90% leaves it time:"
        " give it more processors, or lower the rate"
    )
    assert {*told(due, due + 0.003, took=0.04, counters=[(share, 0.9)])} == {"generator_late"}
    slow = [(lag, 0.003), *busy]
    both = told(due, due, took=0.04, counters=slow, merged=COUNT)["client_bound"]
    assert "had arrived is 3 ms" in both
    assert "used 97% of its processor" in both


def test_calibration_and_the_run_are_told_together(told):
    """Each with its own figure."""
    counters = [("generator.error", 0.002), ("generator.stamp_lag", 0.003)]
    due = constant()
    detail = told(due, due, took=0.04, counters=counters, merged=COUNT)["client_bound"]
    assert "errs by 2 ms" in detail
    assert "had arrived is 3 ms" in detail


def test_a_capped_open_loop_is_late(told):
    """What waits for a free place is sent late, and is not excused by the cap."""
    due = constant()
    sent = due + np.where(np.arange(COUNT) % 20 == 7, 0.5, 0.0)
    assert "generator_late" in told(due, sent)


def test_requests_outside_the_window_are_nobodys_fault(make_trial, judged):
    """A failed warm-up and a tail that was never sent leave the trial valid; within it neither may."""

    def row(name, due, status):
        """A request of 10 ms, or one that was never sent."""
        sent = None if status == "unsent" else due
        return {"id": name, "due": due, "sent": sent, "done": sent and due + 0.01, "status": status}

    inside = [row(str(k), k + 1, "ok") for k in range(20)]
    around = [row("warm", -1, "failed"), row("tail", 61, "unsent")]
    head = {"arrivals": Arrivals("poisson", 1.0)}
    assert judged(make_trial(60.0, head, requests=[*inside, *around])) == {}
    never = judged(make_trial(60.0, head, requests=[*inside, row("x", 30, "unsent")]))
    assert never["requests_failed"].startswith("1 of 21 requests due in the window failed")
