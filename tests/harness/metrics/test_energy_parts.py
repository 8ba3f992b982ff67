"""Energy by phase, and energy-delay products."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def power(*points: tuple[float, float]) -> list[dict[str, Any]]:
    """Power samples of one channel."""
    return [
        {
            "probe": "meter", "channel": "0", "kind": "power", "at": at, "value": watts,
            "unit": "W", "scope": "board",
        }
        for at, watts in points
    ]  # fmt: skip


def phase(kind: str, start: float, end: float) -> dict[str, Any]:
    """A row of `phases`."""
    return {"name": kind, "kind": kind, "start": start, "end": end}


def request(name: str, sent: float | None, done: float, status: str = "ok") -> dict[str, Any]:
    """A request that was due at 0."""
    return {"id": name, "due": 0, "sent": sent, "done": done, "status": status}


def test_energy_goes_to_the_phase_that_ran(make_trace: MakeTrace, values: Values) -> None:
    """Power that changes with the phase; the pause between them belongs to neither."""
    samples = power((0, 100), (2, 100), (2.000000001, 40), (10, 40))
    phases = [phase("prefill", 0, 2), phase("decode", 3, 6), phase("decode", 4, 7)]
    found = values(make_trace(10, phases=phases, samples=samples))
    assert found["energy.prefill"] == pytest.approx(200)
    assert found["energy.decode"] == pytest.approx(4 * 40)
    assert found["energy.total"] == pytest.approx(200 + 8 * 40)


def test_time_of_both_phases_is_halved(make_trace: MakeTrace, values: Values) -> None:
    """Chunked prefill beside decode: half of the energy of that time to each."""
    phases = [phase("prefill", 0, 4), phase("decode", 2, 6), phase("decode", 9, 14)]
    found = values(make_trace(10, phases=phases, samples=power((0, 10), (10, 10))))
    assert found["energy.prefill"] == pytest.approx(30)
    assert found["energy.decode"] == pytest.approx(30 + 10)


def test_a_counter_serves_as_well(make_trace: MakeTrace, values: Values) -> None:
    """Its growth over each phase, interpolated between readings."""
    readings = [
        {**row, "kind": "energy_counter", "unit": "J"} for row in power((0, 0), (4, 400), (10, 400))
    ]
    phases = [phase("prefill", 1, 2), phase("decode", 3, 6)]
    found = values(make_trace(10, phases=phases, samples=readings))
    assert found["energy.prefill"] == pytest.approx(100)
    assert found["energy.decode"] == pytest.approx(100)


def test_a_ledger_books_by_phase(make_trace: MakeTrace) -> None:
    """Entries named prefill and decode; a ledger without them tells of neither."""
    head = {"clock": "simulated", "evidence": "simulated"}
    ledger = [
        {"phase": "prefill", "component": "MAC", "energy_j": 1.0},
        {"phase": "decode", "component": "MAC", "energy_j": 2.0},
        {"phase": "decode", "component": "DRAM", "energy_j": 4.0},
    ]
    found = measure(make_trace(10, head, ledger=ledger), None)
    assert (found["energy.prefill"].value, found["energy.decode"].value) == (1, 6)
    assert found["energy.decode"].n == 2
    static = [{"phase": "forward", "component": "MAC", "energy_j": 1.0}]
    found = measure(make_trace(10, head, ledger=static, phases=[phase("decode", 0, 1)]), None)
    assert "energy.decode" not in found


def test_a_broken_meter_is_the_reason(make_trace: MakeTrace) -> None:
    """Energy of a part is known only where energy is; without a meter there is none."""
    phases = [phase("prefill", 0, 4)]
    found = measure(make_trace(10, phases=phases, samples=power((0, 10))), None)
    assert found["energy.prefill"].reason == found["energy.total"].reason
    assert "energy.decode" not in found
    assert "energy.prefill" not in measure(make_trace(10, phases=phases), None)


def test_the_work_unit_is_a_completed_request(make_trace: MakeTrace, values: Values) -> None:
    """All energy over requests ok and done in the window, times their mean service time."""
    rows = [request("a", 0, 2), request("b", 2, 6), request("c", 0, 3, "failed"),
            request("d", 0, 11)]  # fmt: skip
    found = values(make_trace(10, requests=rows, samples=power((0, 10), (10, 10))))
    assert found["edp"] == pytest.approx(100 / 2 * 3)
    assert found["ed2p"] == pytest.approx(100 / 2 * 9)


def test_a_bare_window_has_no_energy_delay(make_trace: MakeTrace) -> None:
    """Without a completed request, or without its send, there is no unit of work."""
    samples = power((0, 10), (10, 10))
    failed = [request("a", 0, 3, "failed")]
    found = measure(make_trace(10, requests=failed, samples=samples), None)
    for name in ("edp", "ed2p"):
        assert found[name].reason == (
            "no request was completed in the window, so there is no unit of work"
        )
    unsent = measure(make_trace(10, requests=[request("a", None, 3)], samples=samples), None)
    assert unsent["edp"].reason == "a completed request does not tell when it was sent"
    assert "edp" not in measure(make_trace(10, samples=samples), None)
    note = measure(make_trace(10, requests=[request("a", 0, 3)], samples=samples), None)["edp"]
    assert note.energy is not None
