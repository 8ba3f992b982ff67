"""Codes about energy: a window long enough for the meter, and readings all through it."""

import pytest

from accelbench.harness.schema.trace import Meter


@pytest.fixture
def told(make_trial, judged):
    """What is said of a window of 10 s whose meter was read at these seconds."""

    def found(at, period_s=1.0, *, channel="gpu-0", name="nvml", window_s=10.0, **limits):
        """Stands in for the real `found`."""
        meter = Meter("metered", "a counter", "board", ("chip",), period_s)
        samples = [
            {
                "probe": "nvml",
                "channel": channel,
                "kind": "power",
                "at": t,
                "value": 1.0,
                "unit": "W",
            }
            for t in at
        ]
        request = {"id": "0", "due": 0, "sent": 0, "done": 1, "status": "ok"}
        trace = make_trial(window_s, {"meters": {name: meter}}, requests=[request], samples=samples)
        return judged(trace, **limits)

    return found


SECONDS = [float(t) for t in range(-1, 12)]


def test_a_meter_that_was_read_all_through_is_well(told):
    """Ten periods in the window, readings before and after it, none missing."""
    assert told(SECONDS) == {}


def test_a_window_holds_enough_periods_of_its_meter(told):
    """At the limit it does; beyond it the length that it needs is named."""
    assert told([t / 10 for t in range(-10, 111)], 1.0) == {}
    assert told(SECONDS, 1.25) == {
        "energy_window_short": "the window of 10 s holds 8 periods of 1.25 s of probe 'nvml', at"
        " least 10 are asked for: measure for at least 12.5 s, or read the probe more often"
    }
    assert told(SECONDS, 1.25, energy_periods=8.0) == {}
    assert told(SECONDS, None) == {}


def test_a_meter_without_readings_is_lost(told):
    """It was declared, so somebody expected it."""
    assert told([]) == {
        "probe_lost": "probe 'nvml' is declared, but gave no reading, readings are asked for: see"
        " whether the probe still runs and may read its meter"
    }
    assert {*told(SECONDS, name="rapl")} == {"probe_lost"}


@pytest.mark.parametrize(
    ("at", "loss"),
    [
        (
            SECONDS[2:],
            "the first reading comes 1 s after the window's start, one before it is asked for",
        ),
        (
            SECONDS[:-3],
            "the last reading comes 2 s before the window's end, one after it is asked for",
        ),
        (
            SECONDS[:3] + SECONDS[7:],
            "no reading for 5 s, at most 3 s (3 periods) is allowed",
        ),
    ],
)
def test_readings_cover_the_window(told, at, loss):
    """From before its start to after its end, without a gap of more than some periods."""
    assert told(at)["probe_lost"].startswith(f"probe 'nvml', channel 'gpu-0': {loss}: ")


def test_gaps_outside_the_window_and_at_the_limit_are_no_loss(told):
    """Three periods are allowed, and what lies outside is not asked for."""
    assert told([-50.0, *SECONDS, 70.0]) == {}
    assert told(SECONDS[:3] + SECONDS[5:]) == {}
    assert {*told(SECONDS[:3] + SECONDS[5:], gap_periods=2.9)} == {"probe_lost"}
