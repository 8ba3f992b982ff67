"""Several devices: pipelines and communication."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


REQUEST = {"id": "a", "due": 0, "sent": 0, "done": 10, "status": "ok"}


def phase(kind: str, start: float, end: float, device: str = "0") -> dict[str, Any]:
    """A row of `phases`."""
    return {"name": kind, "kind": kind, "start": start, "end": end, "device": device}


def counter(name: str, value: float, scope: str = "all") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": 10, "value": value, "unit": "1", "scope": scope}


def test_one_stage_has_no_bubble(make_trace: MakeTrace) -> None:
    """A pipeline of one stage never waits; half a fact gives no bubble, nor does nonsense."""
    told = [counter("pipeline.stages", 1), counter("pipeline.microbatches", 8)]
    assert measure(make_trace(counters=told), None)["pipeline.bubble"].value == 0
    found = measure(make_trace(counters=told[:1]), None)["pipeline.bubble"]
    assert found.reason == "the counter pipeline.microbatches was not read"
    none = [counter("pipeline.stages", 0), counter("pipeline.microbatches", 8)]
    found = measure(make_trace(counters=none), None)["pipeline.bubble"]
    assert found.reason == "a pipeline has at least one stage and one micro-batch"


def test_a_schedule_that_fills_and_drains_idles_by_the_formula(
    make_trace: MakeTrace, values: Values
) -> None:
    """Two stages and three micro-batches forward: each stage waits one slot in four."""
    slots = 10 / 4
    phases = [
        phase("forward", (stage + k) * slots, (stage + k + 1) * slots, str(stage))
        for stage in range(2)
        for k in range(3)
    ]
    told = [counter("pipeline.stages", 2), counter("pipeline.microbatches", 3)]
    found = values(make_trace(requests=[REQUEST], phases=phases, counters=told))
    assert found["pipeline.idle_share"] == pytest.approx(1 / 4)
    assert found["pipeline.bubble"] == pytest.approx(1 / 4)


def test_idle_share_needs_stages_and_a_step(make_trace: MakeTrace) -> None:
    """Forward phases alone are no pipeline; no step in flight is no time."""
    phases = [phase("forward", 0, 5)]
    assert "pipeline.idle_share" not in measure(make_trace(requests=[REQUEST], phases=phases), None)
    told = [counter("pipeline.stages", 1)]
    found = measure(make_trace(phases=phases, counters=told), None)["pipeline.idle_share"]
    assert found.reason == "no request was in flight in the window"


def test_communication_is_hidden_by_kernels_of_its_own_device(
    make_trace: MakeTrace, values: Values
) -> None:
    """Half hidden on one device, not at all on the other; forward phases around it hide nothing."""
    phases = [
        phase("forward", 0, 10, "0"),
        phase("kernel", 0, 3, "0"),
        phase("communication", 1, 5, "0"),
        phase("communication", 6, 8, "1"),
    ]
    found = values(make_trace(requests=[REQUEST], phases=phases))
    assert found["communication.overlap"] == pytest.approx(1 - (2 + 2) / 6)
    assert found["communication.share"] == pytest.approx((0.4 + 0.2) / 2)


def test_without_kernels_forward_and_backward_hide(make_trace: MakeTrace, values: Values) -> None:
    """The next best that a trace may tell."""
    phases = [
        phase("backward", 0, 4),
        phase("forward", 4, 5),
        phase("communication", 3, 7),
        phase("communication", 3, 4),
    ]
    found = values(make_trace(requests=[REQUEST], phases=phases))
    assert found["communication.overlap"] == pytest.approx(0.5)


def test_reasons_of_communication(make_trace: MakeTrace) -> None:
    """None in the window has no overlap; none at all is left out."""
    early = [phase("communication", -3, -1)]
    found = measure(make_trace(requests=[REQUEST], phases=early), None)
    assert found["communication.overlap"].reason == "no communication in the window"
    assert found["communication.share"].value == 0
    found = measure(make_trace(phases=[phase("communication", 1, 2)]), None)
    assert found["communication.share"].reason == "no request was in flight in the window"
    found = measure(make_trace(requests=[REQUEST], phases=[phase("kernel", 1, 2)]), None)
    assert not [name for name in found if name.startswith("communication")]


def test_what_nothing_hides_is_exposed(make_trace: MakeTrace, values: Values) -> None:
    """Two seconds of ten on one device, none on the other; what lies outside of steps is not."""
    step = {**REQUEST, "done": 8}
    phases = [
        phase("forward", 0, 4, "0"),
        phase("communication", 3, 6, "0"),
        phase("forward", 0, 4, "1"),
        phase("communication", 1, 3, "1"),
        phase("communication", 9, 10, "1"),
    ]
    found = values(make_trace(requests=[step], phases=phases))
    assert found["communication.exposed"] == pytest.approx((2 + 0) / 2 / 8)


def test_payload_is_told_by_step_and_waits_by_device(make_trace: MakeTrace, values: Values) -> None:
    """Bytes of all operations over steps; seconds of all devices over devices and time."""
    steps = [{**REQUEST, "done": 4}, {**REQUEST, "id": "b", "sent": 4, "done": 8}]
    told = [
        {**counter("communication.bytes", 60, "all_reduce"), "unit": "byte"},
        {**counter("communication.bytes", 20, "send"), "unit": "byte"},
        {**counter("communication.wait", 1, "rank:0"), "unit": "s"},
        {**counter("communication.wait", 3, "rank:1"), "unit": "s"},
    ]
    found = values(make_trace(requests=steps, counters=told))
    assert found["communication.volume"] == 40
    assert found["communication.wait"] == pytest.approx(2 / 8)
    none = measure(make_trace(counters=told), None)
    assert none["communication.volume"].reason == "no step was done in the window"
    assert none["communication.wait"].reason == "no request was in flight in the window"


def test_links_are_seen_by_the_messages_that_went_over_them(
    make_trace: MakeTrace, values: Values
) -> None:
    """Payload over the time of travel, and the time of the shortest message in the window."""
    phases = [
        phase("communication", 1, 3),
        phase("communication", 1, 2, "1"),
        phase("communication", 4, 4.5, "1"),
        phase("communication", -0.1, 0, "1"),
    ]
    sent = {**counter("communication.bytes", 7e9), "unit": "byte"}
    found = values(make_trace(requests=[REQUEST], phases=phases, counters=[sent]))
    assert found["communication.bandwidth"] == pytest.approx(7e9 / ((2 + 1.5) / 2))
    assert found["communication.latency"] == pytest.approx(0.5)
    silent = measure(make_trace(requests=[REQUEST], counters=[sent]), None)
    assert silent["communication.bandwidth"].reason == "no communication in the window"
    assert "communication.latency" not in silent
    late = measure(make_trace(phases=[phase("communication", 11, 12)], counters=[sent]), None)
    assert late["communication.latency"].reason == "no communication in the window"
