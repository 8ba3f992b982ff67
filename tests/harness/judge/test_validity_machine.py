"""Codes about the machine: its clock, its other tenants, its time of day."""

import pytest

CALM = {
    "cpu.foreign_share": 0.05,
    "cpu.steal_share": 0.02,
    "cpu.pressure_share": 0.2,
    "cpu.involuntary_switches": 200.0,
    "cpu.engine_time": 2.0,
    "clock.step": 0.001,
    "throttle.events": 0.0,
}


@pytest.fixture
def told(make_trial, judged):
    """What is said of a trial with these counters and clock readings."""

    def found(counters=(), clocks=(), **limits):
        """Stands in for the real `found`."""
        request = {"id": "0", "due": 0, "sent": 0, "done": 1, "status": "ok"}
        rows = [
            {"name": name, "at": 100, "value": value, "unit": "1", "scope": "s"}
            for name, value in dict(counters).items()
        ]
        samples = [
            {
                "probe": "p",
                "channel": "core",
                "kind": "clock",
                "at": at,
                "value": hertz,
                "unit": "Hz",
            }
            for at, hertz in clocks
        ]
        return judged(make_trial(requests=[request], counters=rows, samples=samples), **limits)

    return found


def test_at_its_limits_a_machine_is_calm(told):
    """What lies at a limit is allowed, and what was not recorded is not judged."""
    assert told(CALM) == told() == {}


@pytest.mark.parametrize(
    ("counters", "figure"),
    [
        ({"cpu.foreign_share": 0.123}, "other processes used 12.3% of the CPU time (at most 5.0%)"),
        ({"cpu.steal_share": 0.03}, "a hypervisor took 3.0% of the CPU time (at most 2.0%)"),
        (
            {"cpu.pressure_share": 0.5},
            "some task waited for a processor 50.0% of the time (at most 20.0%)",
        ),
        (
            {"cpu.involuntary_switches": 600.0, "cpu.engine_time": 2.0},
            "the engine had to yield its processor 300 times a second of its work (at most 100)",
        ),
    ],
)
def test_each_sign_of_foreign_load_has_its_limit(told, counters, figure):
    """And is told alone, or together with the others."""
    assert told(counters) == {"foreign_load": f"{figure}: stop other work and run again"}
    both = told({**CALM, **counters, "cpu.foreign_share": 0.123})["foreign_load"]
    assert figure in both
    assert "12.3%" in both


def test_beside_a_stated_neighbour_waiting_is_what_was_asked_for(told):
    """Only what strangers and a hypervisor took is judged then."""
    crowded = {
        **CALM,
        "cpu.pressure_share": 0.9,
        "cpu.involuntary_switches": 6000.0,
    }
    assert "foreign_load" in told(crowded)
    assert told({**crowded, "neighbour.time": 12.0}) == {}
    strangers = told({**crowded, "neighbour.time": 12.0, "cpu.foreign_share": 0.123})
    assert strangers == {
        "foreign_load": "other processes used 12.3% of the CPU time (at most 5.0%): stop other work"
        " and run again"
    }


def test_limits_of_foreign_load_can_be_moved(told):
    """The rules, not the program, say what is too much."""
    counters = {**CALM, "cpu.foreign_share": 0.1, "cpu.involuntary_switches": 500.0}
    assert told(counters, foreign_cpu_share=0.1, switches_per_s=250.0) == {}


def test_switches_need_the_time_in_which_they_happened(told):
    """A count alone says nothing; nor does an engine that did no work."""
    assert told({"cpu.involuntary_switches": 600.0}) == {}
    assert told({"cpu.involuntary_switches": 600.0, "cpu.engine_time": 0.0}) == {}


def test_a_set_time_of_day_is_told(told):
    """Beyond a millisecond."""
    assert told({"clock.step": 0.2}) == {
        "clock_step": "the time of day was set by 200 ms during the trial, at most 1 ms is allowed:"
        " let the time service settle before a run"
    }


def test_a_clock_that_was_held_back_is_told_with_its_cause(told):
    """Once is enough."""
    assert told({"throttle.events": 3.0}) == {
        "throttled": "the clock was held back 3 times by s, it may never be: cool the machine or"
        " raise its power limit"
    }


def test_a_clock_that_falls_is_throttled(told):
    """The mean of the last quarter of readings in the window against that of the first."""
    steady = [(at, 2e9) for at in range(12)]
    assert told(clocks=[*steady, (150, 1e9)]) == {}
    at_limit = [(at, 2e9 if at < 9 else 1.9e9) for at in range(12)]
    assert told(clocks=at_limit, clock_fall=0.05 + 1e-9) == {}
    fallen = [(at, 2e9 if at < 9 else 1.8e9) for at in range(12)]
    assert told(clocks=fallen) == {
        "throttled": "the clock 'core' fell by 10.0% from the first to the last quarter of its"
        " readings, at most 5.0% is allowed: cool the machine, or fix its clock"
    }
    assert told(clocks=[(at, 2e9 - at * 1e8) for at in range(7)]) == {}
    assert told(clocks=[(at, 1e9 + at * 1e8) for at in range(12)]) == {}
