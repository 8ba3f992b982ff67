"""FLOPs, bytes and the roofline: which phases, over which time, on which sheet."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]
Machine: TypeAlias = Callable[[float, float | None], Platform]

FP32 = {"precision": "fp32"}


def phase(
    start: float,
    end: float,
    kind: str = "steady",
    flops: float | None = 1e9,
    moved: float | None = 1e9,
) -> dict[str, Any]:
    """A row of `phases`."""
    return {
        "name": kind, "kind": kind, "start": start, "end": end, "flops": flops, "bytes": moved,
    }  # fmt: skip


def test_work_counts_inside_the_window_over_the_time_spent_working(
    make_trace: MakeTrace, values: Values
) -> None:
    """Warm-up and evaluation do not count, and a pause between phases is not called work."""
    rows = [
        phase(-2, -1, "warmup", 9e9),
        phase(1, 2, "prefill", 4e9, 1e9),
        phase(4, 6, "decode", 2e9, 5e9),
        phase(7, 8, "other", 9e9),
    ]
    found = values(make_trace(10, phases=rows))
    assert found["flops.total"] == pytest.approx(6e9)
    assert found["flops.achieved"] == pytest.approx(6e9 / 3)
    assert found["bandwidth.achieved"] == pytest.approx(6e9 / 3)
    assert found["intensity"] == pytest.approx(1)


def test_phases_that_overlap_take_their_time_once(make_trace: MakeTrace, values: Values) -> None:
    """Two streams at once do twice the work in the same time."""
    found = values(make_trace(10, phases=[phase(0, 4), phase(2, 6, "decode")]))
    assert found["flops.achieved"] == pytest.approx(2e9 / 6)


def test_a_phase_cut_by_the_window_counts_by_its_share(
    make_trace: MakeTrace, values: Values
) -> None:
    """Half of the time inside is half of the FLOPs, and the rate stays as it was."""
    found = values(make_trace(10, phases=[phase(8, 12)]))
    assert found["flops.total"] == pytest.approx(0.5e9)
    assert found["flops.achieved"] == pytest.approx(1e9 / 4)


def test_every_working_phase_must_tell_its_flops(make_trace: MakeTrace) -> None:
    """A sum over some phases would pass for all of them."""
    found = measure(make_trace(10, phases=[phase(0, 1), phase(1, 2, flops=None)]), None)
    for name in ("flops.total", "flops.achieved", "flops.utilization", "intensity"):
        assert found[name].value is None
        assert found[name].reason == "1 of 2 working phases do not tell their FLOPs"
    assert found["bandwidth.achieved"].value == pytest.approx(1e9)


def test_utilization_names_what_is_missing(make_trace: MakeTrace, machine: Machine) -> None:
    """No sheet, no precision, no peak at it, no bandwidth: each its own reason."""
    told = make_trace(10, FP32, phases=[phase(0, 1)])
    silent = make_trace(10, phases=[phase(0, 1)])
    other = make_trace(10, {"precision": "int4"}, phases=[phase(0, 1)])
    sheet = machine(1e12, None)
    for trace, platform, reason in (
        (told, None, "no platform sheet is known"),
        (silent, sheet, "the trace does not tell its precision"),
        (other, sheet, "the platform sheet 'sheet' gives no peak for int4"),
    ):
        found = measure(trace, platform)
        assert found["flops.utilization"].reason == reason
        assert found["roofline.bound"].reason == reason
        assert found["flops.achieved"].value == pytest.approx(1e9)
    found = measure(told, sheet)
    for name in ("bandwidth.utilization", "roofline.bound"):
        assert found[name].reason == "the platform sheet 'sheet' gives no memory bandwidth"


def test_utilizations_are_shares_of_the_sheet(
    make_trace: MakeTrace, machine: Machine, values: Values
) -> None:
    """Achieved over peak, for FLOPs and for bytes."""
    trace = make_trace(10, FP32, phases=[phase(0, 1, flops=2e9, moved=1e9)])
    found = values(trace, machine(8e9, 2e9))
    assert found["flops.utilization"] == pytest.approx(0.25)
    assert found["bandwidth.utilization"] == pytest.approx(0.5)
    assert found["roofline.bound"] == pytest.approx(4e9)


def test_work_without_traffic_is_bounded_by_the_peak(
    make_trace: MakeTrace, machine: Machine
) -> None:
    """All on chip: intensity has no finite value, and the compute roof holds."""
    trace = make_trace(10, FP32, phases=[phase(0, 1, moved=0)])
    found = measure(trace, machine(1e12, None))
    assert found["intensity"].reason == "no bytes were moved"
    assert found["roofline.bound"].value == 1e12


def test_work_in_no_time_has_no_rate(make_trace: MakeTrace) -> None:
    """A phase without length does work but has no rate."""
    found = measure(make_trace(10, phases=[phase(1, 1)]), None)
    assert found["flops.total"].value == 1e9
    assert found["flops.achieved"].reason == "the working phases took no time"


def test_a_training_step_works_in_its_passes_and_its_optimiser(
    make_trace: MakeTrace, values: Values, machine: Machine
) -> None:
    """The getting of a batch and an evaluation are no work; the roofline holds as for inference."""
    rows = [
        phase(0, 1, "input", None, None),
        phase(1, 2, "forward", 4e9, 1e9),
        phase(2, 4, "backward", 8e9, 2e9),
        phase(4, 5, "optimizer", 0.0, 1e9),
        phase(6, 9, "other", None, None),
    ]
    found = values(make_trace(10, FP32, phases=rows), machine(6e9, 1e9))
    assert found["flops.total"] == pytest.approx(12e9)
    assert found["flops.achieved"] == pytest.approx(3e9)
    assert found["flops.utilization"] == pytest.approx(0.5)
    assert found["bandwidth.utilization"] == pytest.approx(1)
    assert found["intensity"] == pytest.approx(3)
    assert found["roofline.bound"] == pytest.approx(3e9)
    assert found["roofline.position"] == pytest.approx(1)


def test_two_devices_have_two_peaks_and_a_processor_has_one(
    make_trace: MakeTrace, values: Values, machine: Machine
) -> None:
    """Processes on a processor share it, however many they call themselves."""
    rows = [{**phase(0, 1, "forward", 2e9, 1e9), "device": f"rank:{k}"} for k in range(2)]
    sheet = machine(4e9, 4e9)
    two = values(make_trace(10, FP32, phases=rows), sheet)
    one = values(make_trace(10, FP32, phases=rows), replace(sheet, family="cpu"))
    assert (two["flops.utilization"], one["flops.utilization"]) == (0.5, 1.0)
    assert (two["bandwidth.utilization"], one["bandwidth.utilization"]) == (0.25, 0.5)
    assert (two["roofline.bound"], one["roofline.bound"]) == (8e9, 4e9)
