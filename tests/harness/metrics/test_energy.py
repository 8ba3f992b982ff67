"""Energy: which source, over which time, and how it is labelled."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.trace import Meter, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]

METER = Meter("metered", "a sensor", "board", ("gpu", "memory"), 0.1)
ESTIMATE = Meter("estimated", "a guess", "package", ("cpu",), 1.0)

curves = st.lists(
    st.tuples(st.integers(-5_000, 15_000), st.floats(0, 1000)),
    min_size=0,
    max_size=30,
    unique_by=lambda point: point[0],
)


def sample(
    at: float,
    value: float | None,
    kind: str = "power",
    probe: str = "meter",
    channel: str = "0",
    unit: str | None = None,
) -> dict[str, Any]:
    """A row of `samples`."""
    return {
        "probe": probe, "channel": channel, "kind": kind, "at": at, "value": value,
        "unit": unit or {"power": "W", "energy_counter": "J"}.get(kind, "1"), "scope": "board",
    }  # fmt: skip


def request(**more: Any) -> dict[str, Any]:
    """A request completed in the window."""
    return {"id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok", **more}


def energy(trace: Trace) -> Measurement:
    """The measurement of total energy."""
    return measure(trace, None)["energy.total"]


def test_power_is_interpolated_at_the_ends_of_the_window(make_trace: MakeTrace) -> None:
    """Samples outside the window shape it only up to its ends, in any order of rows."""
    rows = [sample(6, 60), sample(-2, 20), sample(2, 60)]
    found = energy(make_trace(4, samples=rows))
    assert found.value == pytest.approx((40 + 60) / 2 * 2 + 60 * 2)


def test_power_is_held_at_an_end_that_no_sample_reaches(make_trace: MakeTrace) -> None:
    """The nearest sample stands for the rest of the window; the method says so."""
    found = energy(make_trace(4, samples=[sample(1, 60), sample(3, 20)]))
    assert found.value == pytest.approx(60 * 1 + 40 * 2 + 20 * 1)
    assert found.energy is not None
    assert "the nearest held at an end that none reaches" in found.energy.method
    one_sided = energy(make_trace(4, samples=[sample(-1, 40), sample(1, 60)]))
    assert one_sided.value == pytest.approx(55 * 1 + 60 * 3)


def test_power_that_says_nothing_of_the_window_is_absent(make_trace: MakeTrace) -> None:
    """One sample, none in the window, or none with a value gives no energy."""
    assert energy(make_trace(4, samples=[sample(2, 60)])).reason == (
        "probe 'meter', channel '0': one reading alone gives no energy"
    )
    assert energy(make_trace(4, samples=[sample(5, 60), sample(6, 60)])).reason == (
        "probe 'meter', channel '0': readings from 5 s to 6 s do not cover the window"
        " from 0 s to 4 s"
    )
    assert energy(make_trace(4, samples=[sample(2, None)])).reason == (
        "probe 'meter', channel '0': no reading has a value"
    )
    assert energy(make_trace(4, samples=[sample(-1, 40), sample(5, 40)])).value == (
        pytest.approx(160)
    )


def test_readings_without_a_channel_are_absent(make_trace: MakeTrace) -> None:
    """What belongs to no channel cannot be added, and is not taken for nothing."""
    rows = [{**sample(at, 10), "channel": None} for at in (0, 4)]
    assert energy(make_trace(4, samples=rows)).reason == (
        "the readings of probe 'meter' name no channel"
    )


def test_a_counter_that_does_not_reach_the_ends_is_absent(make_trace: MakeTrace) -> None:
    """What a counter grew by before its first reading is not known."""
    rows = [sample(1, 10, "energy_counter"), sample(4, 20, "energy_counter")]
    assert energy(make_trace(4, samples=rows)).reason == (
        "probe 'meter', channel '0': readings from 1 s to 4 s do not cover the window"
        " from 0 s to 4 s"
    )


def test_net_energy_leaves_the_idle_machine_out(make_trace: MakeTrace) -> None:
    """The idle power over the whole window is taken off; the note says so; below 0 is told."""
    idle = [{"name": "power.idle", "at": -1, "value": 12.0, "unit": "W", "scope": "board"}]
    samples = [sample(0, 10), sample(4, 10)]
    found = measure(make_trace(4, samples=samples, counters=idle), None)
    assert found["energy.total"].value == pytest.approx(40)
    assert found["energy.net"].value == pytest.approx(40 - 48)
    note, gross = found["energy.net"].energy, found["energy.total"].energy
    assert note is not None
    assert gross is not None
    assert (note.net_of_idle, gross.net_of_idle) == (True, False)
    assert "energy.net" not in measure(make_trace(4, samples=samples), None)
    milli = [{**idle[0], "unit": "mW"}]
    found = measure(make_trace(4, samples=samples, counters=milli), None)
    assert found["energy.net"].reason == "the counter power.idle is not in W"


def test_a_counter_gives_its_difference(make_trace: MakeTrace) -> None:
    """Readings are interpolated at the window's ends."""
    rows = [sample(at, value, "energy_counter") for at, value in [(-1, 100), (1, 120), (5, 160)]]
    found = energy(make_trace(4, samples=rows))
    assert found.value == pytest.approx(150 - 110)


def test_a_counter_that_went_back_is_absent(make_trace: MakeTrace) -> None:
    """A reset or a wrap inside the window is told, not guessed at; one before it is no matter."""
    back = [sample(at, value, "energy_counter") for at, value in [(0, 9), (2, 1), (4, 5)]]
    found = energy(make_trace(4, samples=back))
    assert found.value is None
    assert "the counter went back" in str(found.reason)
    before = [sample(-2, 99, "energy_counter"), sample(0, 1, "energy_counter")]
    found = energy(make_trace(4, samples=[*before, sample(4, 5, "energy_counter")]))
    assert found.value == pytest.approx(4)


def test_a_counter_goes_before_power_and_a_meter_before_an_estimate(make_trace: MakeTrace) -> None:
    """Of several sources one is taken, the most trusted; they are never added."""
    rows = [
        *(sample(at, 10, probe="guess") for at in (0, 4)),
        *(sample(at, 20) for at in (0, 4)),
        *(sample(at, 25.0 * at, "energy_counter") for at in (0, 4)),
    ]
    meters = {"guess": ESTIMATE, "meter": METER}
    found = energy(make_trace(4, {"meters": meters}, samples=rows))
    assert found.value == pytest.approx(100)
    assert energy(make_trace(4, {"meters": meters}, samples=rows[:4])).value == pytest.approx(80)
    assert energy(make_trace(4, {"meters": {"guess": ESTIMATE}}, samples=rows[:4])).value == (
        pytest.approx(40)
    )


def test_the_note_is_the_meters(make_trace: MakeTrace) -> None:
    """Quality, scope and what is covered come from the trace's head, the method names both."""
    trace = make_trace(
        4,
        {"meters": {"meter": METER}},
        samples=[sample(0, 10), sample(4, 10)],
        requests=[request(input_tokens=3, output_tokens=1)],
    )
    found = measure(trace, None)
    names = ("energy.total", "power.avg", "energy.per_token", "energy.per_inference")
    for name in (*names, "energy.per_output_token", "tokens_per_joule"):
        note = found[name].energy
        assert note is not None
        assert (note.quality, note.scope, note.covers) == ("metered", "board", ("gpu", "memory"))
        assert note.method == (
            "a sensor; power samples by trapezoid, interpolated at the window's ends, the nearest"
            " held at an end that none reaches"
        )


def test_a_probe_that_says_nothing_of_itself_is_declared(make_trace: MakeTrace) -> None:
    """A trace from elsewhere may name no meter; then nothing is claimed for it."""
    note = energy(make_trace(4, samples=[sample(0, 10), sample(4, 10)])).energy
    assert note is not None
    assert (note.quality, note.scope, note.covers) == ("declared", "board", ())


def test_a_simulated_trial_takes_its_ledger(make_trace: MakeTrace) -> None:
    """All components are added; on a wall clock a ledger is no energy."""
    rows = [
        {"phase": "decode", "component": "DRAM", "energy_j": 3.0},
        {"phase": "decode", "component": "MAC", "energy_j": 1.5},
    ]
    meter = Meter("modelled", "a cost model", "chip", ("MAC", "DRAM"))
    head = {"clock": "simulated", "evidence": "simulated", "meters": {"ledger": meter}}
    found = energy(make_trace(4, head, ledger=rows))
    assert (found.value, found.n) == (pytest.approx(4.5), 2)
    assert found.energy is not None
    assert (found.energy.quality, found.energy.method) == ("modelled", "a cost model")
    bare = energy(make_trace(4, {"clock": "simulated"}, ledger=rows)).energy
    assert bare is not None
    assert bare.quality == "modelled"
    assert energy(make_trace(4, ledger=rows)).reason == "no probe watched this trial"
    untold = [{"phase": "decode", "component": "MAC"}]
    assert energy(make_trace(4, head, ledger=untold)).reason == (
        "an entry of the ledger gives no energy"
    )


def test_other_kinds_of_samples_are_no_energy(make_trace: MakeTrace) -> None:
    """A load or a temperature does not stand for power."""
    found = measure(make_trace(4, samples=[sample(0, 0.5, "load"), sample(4, 0.5, "load")]), None)
    assert found["energy.total"].reason == "no probe watched this trial"
    assert "power.avg" not in found


def test_units_are_held_to(make_trace: MakeTrace) -> None:
    """Milliwatts are refused by name, not added to watts."""
    rows = [sample(0, 10), sample(4, 10), sample(4, 10, unit="mW")]
    found = energy(make_trace(4, samples=rows))
    assert found.reason == "power of probe 'meter' is in mW, not in W"


def test_a_window_without_length_costs_nothing_and_has_no_power(make_trace: MakeTrace) -> None:
    """Energy of no time is 0 J; its mean power and what is divided by energy are absent."""
    rows = [sample(-1, 10), sample(1, 10)]
    trace = make_trace(
        0,
        samples=rows,
        requests=[{**request(input_tokens=1, output_tokens=1), "done": 0}],
    )
    found = measure(trace, None)
    assert found["energy.total"].value == 0
    assert found["power.avg"].reason == "the window has no length"
    assert found["tokens_per_joule"].reason == "no energy was spent in the window"


def test_inferences_are_samples_or_requests(make_trace: MakeTrace, values: Values) -> None:
    """A batch counts its samples, a request without samples is one inference."""
    samples = [sample(0, 10), sample(4, 10)]
    batch = make_trace(4, samples=samples, requests=[request(samples=8)])
    assert values(batch)["energy.per_inference"] == pytest.approx(40 / 8)
    single = make_trace(4, samples=samples, requests=[request(), {**request(), "done": 5}])
    assert values(single)["energy.per_inference"] == pytest.approx(40)


def test_tokens_that_are_not_told_leave_energy_per_token_absent(make_trace: MakeTrace) -> None:
    """A completed request that hides its prompt length makes no sum."""
    trace = make_trace(
        4, samples=[sample(0, 10), sample(4, 10)], requests=[request(output_tokens=4)]
    )
    found = measure(trace, None)
    assert found["energy.per_token"].reason == (
        "1 of 1 completed requests do not tell their tokens"
    )
    assert found["energy.per_output_token"].value == pytest.approx(10)


def test_a_broken_source_is_the_reason_of_all_that_rests_on_it(make_trace: MakeTrace) -> None:
    """Power, energy per token and tokens per joule carry the reason of the missing energy."""
    trace = make_trace(
        4, samples=[sample(1, 10)], requests=[request(input_tokens=1, output_tokens=4)]
    )
    found = measure(trace, None)
    names = ("power.avg", "energy.per_token", "energy.per_inference", "tokens_per_joule")
    reasons = {found[name].reason for name in ("energy.total", *names)}
    assert len(reasons) == 1
    assert "one reading alone gives no energy" in str(reasons.pop())


@settings(max_examples=30, deadline=None)
@given(curve=curves, cut=st.integers(1, 9_999))
def test_energy_is_additive_over_a_split_window(
    make_trace: MakeTrace, curve: list[tuple[int, float]], cut: int
) -> None:
    """Energy to an instant and from it make the energy of the whole."""
    points = [(-6_000, 5.0), *curve, (16_000, 7.0)]
    whole = energy(make_trace(10, samples=[sample(t / 1e3, p) for t, p in points])).value
    left = energy(make_trace(cut / 1e3, samples=[sample(t / 1e3, p) for t, p in points])).value
    moved = [sample((t - cut) / 1e3, p) for t, p in points]
    right = energy(make_trace((10_000 - cut) / 1e3, samples=moved)).value
    assert left is not None
    assert right is not None
    assert left + right == pytest.approx(whole, rel=1e-9, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 10**6), st.integers(0, 10**6), st.floats(1e-3, 1e6))
def test_tokens_per_joule_is_the_inverse_of_energy_per_token(
    make_trace: MakeTrace, l_in: int | None, l_out: int, watts: float
) -> None:
    """Equations 10 and 12 are one number."""
    trace = make_trace(
        4,
        samples=[sample(0, watts), sample(4, watts)],
        requests=[request(input_tokens=l_in, output_tokens=l_out)],
    )
    found = measure(trace, None)
    each, back = found["energy.per_token"].value, found["tokens_per_joule"].value
    assert each is not None
    assert back is not None
    assert each * back == pytest.approx(1)
