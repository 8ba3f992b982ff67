"""Coverage, fallback and padding: what the accelerator did itself, and for nothing."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


REQUEST = {"id": "a", "due": 0, "sent": 0, "done": 8, "status": "ok"}


def counter(name: str, value: float, unit: str = "1", scope: str = "all") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": 10, "value": value, "unit": unit, "scope": scope}


def phase(name: str, start: float, end: float, kind: str = "other") -> dict[str, Any]:
    """A row of `phases`."""
    return {"name": name, "kind": kind, "start": start, "end": end}


def power(watts: float) -> list[dict[str, Any]]:
    """Constant power over ten seconds."""
    return [
        {
            "probe": "meter", "channel": "0", "kind": "power", "at": at, "value": watts,
            "unit": "W", "scope": "board",
        }
        for at in (0, 10)
    ]  # fmt: skip


def test_padding_is_what_was_run_and_carried_nothing(make_trace: MakeTrace) -> None:
    """A quarter of the elements; both counters are needed, over all their scopes."""
    told = [counter("elements.real", 60), counter("elements.padded", 60, scope="a"),
            counter("elements.padded", 20, scope="b")]  # fmt: skip
    assert measure(make_trace(counters=told), None)["padding.waste"].value == pytest.approx(0.25)
    half = measure(make_trace(counters=told[:1]), None)["padding.waste"]
    assert half.reason == "the counter elements.padded was not read"
    none = [counter("elements.real", 0), counter("elements.padded", 0)]
    assert measure(make_trace(counters=none), None)["padding.waste"].reason == "no element was run"


def test_coverage_by_calls_and_by_flops_is_told(make_trace: MakeTrace) -> None:
    """Shares do not add over scopes."""
    told = [counter("coverage.operators", 0.9), counter("coverage.flops", 0.99)]
    found = measure(make_trace(counters=told), None)
    assert found["coverage.operators"].value == 0.9
    assert found["coverage.flops"].value == 0.99
    two = [counter("coverage.flops", 0.9, scope="a"), counter("coverage.flops", 0.9, scope="b")]
    assert measure(make_trace(counters=two), None)["coverage.flops"].reason == (
        "the counter coverage.flops has 2 scopes, and they do not add up"
    )


def test_fallback_counts_its_transfers_and_coverage_does_not(
    make_trace: MakeTrace, values: Values
) -> None:
    """Two seconds on the host and one of moving data, of eight with work in flight."""
    phases = [
        phase("fallback.softmax", 1, 3),
        phase("fallback.copy", 3, 4, "transfer"),
        phase("fallback.late", 9, 10),
        phase("copy", 5, 6, "transfer"),
    ]
    found = values(make_trace(requests=[REQUEST], phases=phases, samples=power(10)))
    assert found["fallback.share"] == pytest.approx(3 / 8)
    assert found["coverage.time"] == pytest.approx(1 - 2 / 8)
    assert found["fallback.energy_share"] == pytest.approx(4 / 10)


def test_full_coverage_means_no_fallback(make_trace: MakeTrace, values: Values) -> None:
    """Where every operator ran on the accelerator, nothing fell back."""
    told = [counter("coverage.operators", 1)]
    found = values(make_trace(requests=[REQUEST], counters=told, samples=power(10)))
    assert (found["fallback.share"], found["coverage.time"]) == (0, 1)
    assert found["fallback.energy_share"] == 0


def test_fallback_that_no_phase_names_is_absent(make_trace: MakeTrace) -> None:
    """Uncovered operators took some time; how much is not told."""
    told = [counter("coverage.operators", 0.9)]
    found = measure(make_trace(requests=[REQUEST], counters=told, samples=power(10)), None)
    for name in ("fallback.share", "fallback.energy_share", "coverage.time"):
        assert found[name].reason == (
            "0.9 of the operator calls are covered, but no fallback is named"
        )


def test_a_ledger_tells_the_energy_of_fallback(make_trace: MakeTrace) -> None:
    """By the name of its phase."""
    ledger = [
        {"phase": "fallback", "component": "host", "energy_j": 1.0},
        {"phase": "decode", "component": "array", "energy_j": 3.0},
    ]
    told = [counter("coverage.operators", 0.9)]
    head = {"clock": "simulated", "evidence": "simulated"}
    found = measure(make_trace(10, head, requests=[REQUEST], counters=told, ledger=ledger), None)
    share = found["fallback.energy_share"]
    assert share.value == pytest.approx(0.25)
    assert share.energy is not None
    assert share.energy.quality == "modelled"


def test_fallback_needs_work_in_flight(make_trace: MakeTrace) -> None:
    """A share of no time is none."""
    found = measure(make_trace(phases=[phase("fallback", 0, 1)]), None)
    assert found["fallback.share"].reason == "no request was in flight in the window"
    assert "fallback.share" not in measure(make_trace(phases=[phase("copy", 0, 1)]), None)
