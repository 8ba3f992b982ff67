"""Early exits, and how far energy is spread where what is executed depends on the input."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Meter, Trace

MakeTrace: TypeAlias = Callable[..., Trace]

NAME = "energy.per_inference.sd"
METERED = {"meters": {"meter": Meter("metered", "a sensor", "board", ("gpu",), 0.1)}}
DEPTH = {"at": 9, "metric": "exit.depth", "split": "test", "value": 1.5, "n": 100}


def request(sent: float, done: float, **more: Any) -> dict[str, Any]:
    """A request that is ok."""
    return {"id": str(sent), "due": sent, "sent": sent, "done": done, "status": "ok", **more}


def counted(*readings: tuple[float, float], channel: str = "0") -> list[dict[str, Any]]:
    """Readings of an energy counter: pairs of a time and joules."""
    return [
        {
            "probe": "meter", "channel": channel, "kind": "energy_counter", "at": at,
            "value": joules, "unit": "J", "scope": "board",
        }
        for at, joules in readings
    ]  # fmt: skip


def spread(trace: Trace) -> Any:
    """The spread of the energy of an inference."""
    return measure(trace, None)[NAME]


def test_depths_and_their_cost_are_metrics_of_their_own(make_trace: MakeTrace) -> None:
    """No quality is made of them, each has its unit, and neither direction is better."""
    told = {
        "exit.depth": (1.5, "1"),
        "exit.flops.mean": (2e6, "FLOP/inference"),
        "exit.flops.sd": (1e6, "FLOP/inference"),
        "exit.flops.share": (0.5, "1"),
        "exit.share.1": (0.75, "1"),
        "exit.share.2": (0.25, "1"),
    }
    rows = [{**DEPTH, "metric": name, "value": value} for name, (value, _) in told.items()]
    earlier = {**DEPTH, "at": 1, "value": 3.0}
    found = measure(make_trace(evals=[*rows, earlier, {**earlier, "split": "train"}]), None)
    assert {k: (v.value, v.unit) for k, v in found.items() if k.startswith("exit.")} == told
    assert found["exit.share.1"].n == 100
    assert [name for name in found if name.startswith("quality")] == ["quality"]
    assert not [name for name in measure(make_trace(), None) if name.startswith("exit.")]


@pytest.mark.parametrize("samples", [1, 2])
def test_energy_is_spread_over_requests_that_the_meter_tells_apart(
    make_trace: MakeTrace, samples: int
) -> None:
    """One of 2 J and one of 6 J, of so many samples each; what lies between them is of neither."""
    rows = [request(0, 3, samples=samples), request(5, 9, samples=samples)]
    readings = counted((0, 0), (1, 0), (2, 2), (3, 2), (5, 12), (6, 14), (8, 18), (9, 18), (10, 20))
    found = spread(make_trace(10, METERED, evals=[DEPTH], requests=rows, samples=readings))
    assert (found.value, found.n) == (pytest.approx(2 / samples), 2)
    assert found.energy is not None


def test_a_meter_that_cannot_tell_requests_apart_gives_no_spread(make_trace: MakeTrace) -> None:
    """Interpolated energy is spread as time is, which would be no measurement of energy."""
    rows = [request(0, 3), request(5, 9)]
    coarse = counted((0, 0), (5, 5), (10, 10))
    found = spread(make_trace(10, METERED, evals=[DEPTH], requests=rows, samples=coarse))
    assert found.reason == (
        "the meter cannot tell requests apart: it was read 3 times in 10 s,"
        " and a request lasts 3.5 s"
    )
    fine = counted(*((k, k) for k in range(11)))
    other = counted((0, 0), (10, 10), channel="1")
    assert (
        spread(make_trace(10, METERED, evals=[DEPTH], requests=rows, samples=fine)).value
        is not None
    )
    assert spread(
        make_trace(10, METERED, evals=[DEPTH], requests=rows, samples=[*fine, *other])
    ).reason


@pytest.mark.parametrize("quality", ["estimated", "modelled"])
def test_the_spread_of_an_estimate_is_none_of_energy(make_trace: MakeTrace, quality: Any) -> None:
    """A power that is assumed for busy time has the spread of that time, in its steps."""
    head = {"meters": {"meter": Meter(quality, "busy time", "process", ("cpu",), 0.1)}}
    rows, fine = [request(0, 3), request(5, 9)], counted(*((k, k) for k in range(11)))
    found = spread(make_trace(10, head, evals=[DEPTH], requests=rows, samples=fine))
    assert found.reason == (
        f"energy is {quality}, not metered: its spread would be that of the estimate"
    )


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([request(0, 9)], "a spread needs 2 requests"),
        ([request(0, 5), request(4, 9)], "requests overlap, so that energy is of several at once"),
    ],
)
def test_what_has_no_spread_says_why(make_trace: MakeTrace, rows: Sequence[Any], told: str) -> None:
    """One request, or several at a time."""
    fine = counted(*((k, k) for k in range(11)))
    assert (
        spread(make_trace(10, METERED, evals=[DEPTH], requests=rows, samples=fine)).reason == told
    )


def test_a_ledger_is_kept_by_phase(make_trace: MakeTrace) -> None:
    """A simulator does not book energy by request."""
    head = {"clock": "simulated", "evidence": "simulated"}
    ledger = [{"phase": "forward", "component": "array", "energy_j": 1.0}]
    rows = [request(0, 3), request(5, 9)]
    found = spread(make_trace(10, head, evals=[DEPTH], requests=rows, ledger=ledger))
    assert found.reason == "a simulator's ledger books energy by phase, not by request"


def test_it_is_asked_of_conditional_execution_alone(make_trace: MakeTrace) -> None:
    """Exits, or experts that tokens are sent to; a dense model has none, nor one unwatched."""
    rows = [request(0, 3), request(5, 9)]
    fine = counted(*((k, k) for k in range(11)))
    experts = {
        "name": "moe.expert_tokens", "at": 10, "value": 3, "unit": "token", "scope": "0",
    }  # fmt: skip
    assert NAME in measure(make_trace(10, requests=rows, samples=fine, counters=[experts]), None)
    assert NAME not in measure(make_trace(10, requests=rows, samples=fine), None)
    assert NAME not in measure(make_trace(10, requests=rows, evals=[DEPTH]), None)
