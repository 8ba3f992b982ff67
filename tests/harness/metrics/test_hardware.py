"""The machine: hardware FLOPs, place under the roof, usable peak, memory and devices to hold it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.trace import KvLayout, Target, Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Machine: TypeAlias = Callable[[float, float | None], Platform]

FP32 = {"precision": "fp32"}
WORK = {"name": "f", "kind": "steady", "start": 0, "end": 2, "flops": 4e9, "bytes": 1e9}


def counter(name: str, value: float, unit: str, scope: str = "0") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": 10, "value": value, "unit": unit, "scope": scope}


def with_capacity(sheet: Platform, capacity: float | None) -> Platform:
    """The sheet with a main memory of so many bytes."""
    figure = Figure(capacity, "made up for a test", "estimate") if capacity else None
    return replace(sheet, memory=(MemoryLevel("DRAM", None, figure),))


def test_hardware_flops_count_what_the_model_does_not_need(
    make_trace: MakeTrace, machine: Machine
) -> None:
    """Padding and recomputation use the machine, over the same busy time."""
    told = [counter("flops.hardware", 3e9, "FLOP", k) for k in ("0", "1")]
    found = measure(make_trace(10, FP32, phases=[WORK], counters=told), machine(4e9, None))
    assert found["flops.hardware"].value == pytest.approx(6e9)
    assert found["flops.hardware_utilization"].value == pytest.approx(6e9 / 2 / 4e9)
    assert found["flops.utilization"].value == pytest.approx(4e9 / 2 / 4e9)
    idle = measure(make_trace(10, FP32, counters=told), machine(4e9, None))
    assert idle["flops.hardware_utilization"].reason == "no working phase took time in the window"
    assert measure(make_trace(10, counters=told, phases=[WORK]), None)[
        "flops.hardware_utilization"
    ].reason == ("no platform sheet is known")


def test_position_under_the_roof(make_trace: MakeTrace, machine: Machine) -> None:
    """Half of what intensity and bandwidth allow; a count that breaks the roof shows above 1."""
    trace = make_trace(10, FP32, phases=[WORK])
    assert measure(trace, machine(1e12, 1e9))["roofline.position"].value == pytest.approx(0.5)
    assert measure(trace, machine(1e9, 1e12))["roofline.position"].value == pytest.approx(2)
    assert measure(trace, None)["roofline.position"].reason == "no platform sheet is known"


def test_usable_peak_is_the_mean_over_devices(make_trace: MakeTrace) -> None:
    """Each clock against its own datasheet."""
    told = [
        counter("clock.achieved", 1e9, "Hz", "0"),
        counter("clock.datasheet", 2e9, "Hz", "0"),
        counter("clock.achieved", 1e9, "Hz", "1"),
        counter("clock.datasheet", 1e9, "Hz", "1"),
    ]
    found = measure(make_trace(counters=told), None)["peak.usable"]
    assert (found.value, found.n) == (pytest.approx(0.75), 2)
    odd = measure(make_trace(counters=[told[0], told[3]]), None)["peak.usable"]
    assert odd.reason == "no device tells both its clock and the clock of its datasheet"
    assert measure(make_trace(counters=told[:1]), None)["peak.usable"].reason == (
        "the counter clock.datasheet was not read"
    )


def test_memory_of_the_fullest_device(make_trace: MakeTrace) -> None:
    """Devices do not share their memory."""
    told = [counter("device_memory_peak", size, "byte", str(k)) for k, size in enumerate((3, 5))]
    assert measure(make_trace(counters=told), None)["memory.device_peak"].value == 5


def test_adam_is_about_training(make_trace: MakeTrace) -> None:
    """A model that only serves keeps no optimiser state."""
    told = [counter("parameters", 100, "1")]
    head = {"target": Target("accuracy", "test", 0.9)}
    found = measure(make_trace(10, head, counters=told), None)
    assert (found["memory.adam_low"].value, found["memory.adam_high"].value) == (1600, 2000)
    assert "memory.adam_low" not in measure(make_trace(10, counters=told), None)


def test_devices_that_hold_weights_contexts_and_activations(
    make_trace: MakeTrace, machine: Machine
) -> None:
    """Rounded up; every part must be known."""
    told = [counter("weights", 100, "byte"), counter("activations", 20, "byte")]
    requests = [
        {"id": "a", "due": 0, "sent": 0, "done": 1, "status": "ok", "input_tokens": 30,
         "output_tokens": 1}
    ]  # fmt: skip
    head = {"kv": KvLayout(1, 1, 1, 0.5)}
    sheet = with_capacity(machine(1, None), 50)
    held = measure(make_trace(10, head, counters=told, requests=requests), sheet)
    assert held["capacity.devices"].value == 4
    assert measure(make_trace(10, counters=told), sheet)["capacity.devices"].value == 3
    for trace, platform, reason in (
        (make_trace(counters=told[:1]), sheet, "the counter activations was not read"),
        (make_trace(counters=told), None, "no platform sheet is known"),
        (
            make_trace(counters=told),
            with_capacity(sheet, None),
            "the platform sheet 'sheet' gives no memory capacity",
        ),
        (make_trace(10, head, counters=told), sheet, "no request was in flight in the window"),
    ):
        assert measure(trace, platform)["capacity.devices"].reason == reason
    assert "capacity.devices" not in measure(make_trace(counters=told[1:]), sheet)
