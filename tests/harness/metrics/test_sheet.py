"""What follows from a platform sheet."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.plausibility import orders_of_magnitude
from accelbench.harness.metrics.sheet import area_front, sheet_figures
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]


def figure(value: float) -> Figure:
    """A figure made up for a test."""
    return Figure(value, "made up for a test", "estimate")


BARE = Platform("bare", "nothing is known", "npu", {}, (), None, None, (), ("a test",))

MACHINE = Platform(
    name="machine",
    summary="two memory levels",
    family="pim",
    peak={"fp16": figure(4e12), "sop": figure(2e12)},
    memory=(
        MemoryLevel("HBM2 external", figure(1e12), figure(8e9)),
        MemoryLevel("in bank", figure(4e12), None),
        MemoryLevel("SRAM", None, None),
    ),
    power=figure(8.0),
    power_scope="stack",
    notes=(),
    sources=("a test",),
    die_area=figure(16e-6),
)


def test_each_precision_and_each_memory_level_has_its_figures() -> None:
    """Names tell the precision, and the level where it is not the main memory."""
    found = sheet_figures(MACHINE)
    values = {name: item.value for name, item in found.items()}
    assert values == {
        "sheet.w_per_mm2": 0.5,
        "sheet.sweep_s": 8e-3,
        "sheet.tops_per_mm2.fp16": 0.25,
        "sheet.tops_per_mm2.sop": 0.125,
        "sheet.tops_per_w.fp16": 0.5,
        "sheet.tops_per_w.sop": 0.25,
        "sheet.j_per_op.fp16": 2e-12,
        "sheet.j_per_op.sop": 4e-12,
        "sheet.ridge.fp16": 4,
        "sheet.ridge.sop": 2,
        "sheet.decode_bound.fp16": 0.25,
        "sheet.decode_bound.sop": None,
        "sheet.ridge.fp16.hbm2_external": 4,
        "sheet.ridge.fp16.in_bank": 1,
        "sheet.ridge.fp16.sram": None,
        "sheet.ridge.sop.hbm2_external": 2,
        "sheet.ridge.sop.in_bank": 0.5,
        "sheet.ridge.sop.sram": None,
    }
    assert found["sheet.decode_bound.sop"].reason == "'sop' does not tell how wide a weight is"
    assert found["sheet.ridge.sop.sram"].reason == "the sheet gives no bandwidth of SRAM"
    assert found["sheet.w_per_mm2"].reason is None


def test_a_sheet_without_figures_says_what_it_lacks() -> None:
    """Nothing is 0 for lack of a figure."""
    reasons = {name: item.reason for name, item in sheet_figures(BARE).items()}
    assert reasons == {
        "sheet.w_per_mm2": "the sheet gives no die area",
        "sheet.sweep_s": "the sheet gives no capacity and bandwidth of a main memory",
        **dict.fromkeys(
            (
                "sheet.tops_per_mm2",
                "sheet.tops_per_w",
                "sheet.j_per_op",
                "sheet.ridge",
                "sheet.decode_bound",
            ),
            "the sheet gives no peak",
        ),
    }


def test_a_sheet_without_power_or_memory_has_the_rest() -> None:
    """Each figure needs no more than its own parts."""
    half = replace(MACHINE, power=None, memory=())
    reasons = {name: item.reason for name, item in sheet_figures(half).items()}
    assert reasons["sheet.tops_per_w.fp16"] == "the sheet gives no design power"
    assert reasons["sheet.j_per_op.fp16"] == "the sheet gives no design power"
    assert reasons["sheet.w_per_mm2"] == "the sheet gives no design power"
    assert reasons["sheet.ridge.fp16"] == "the sheet gives no memory"
    assert reasons["sheet.decode_bound.fp16"] == "the sheet gives no memory"
    assert reasons["sheet.tops_per_mm2.fp16"] is None


def test_decoding_is_never_bound_above_the_peak() -> None:
    """A machine with more bandwidth than its peak can use reaches all of it."""
    fast = replace(MACHINE, memory=(MemoryLevel("SRAM", figure(1e15), None),))
    assert sheet_figures(fast)["sheet.decode_bound.fp16"].value == 1


def test_a_trial_has_its_machines_densities(make_trace: MakeTrace) -> None:
    """At the precision of the trial; a sheet without an area has none."""
    found = measure(make_trace(head={"precision": "fp16"}), MACHINE)
    assert found["area.tops_per_mm2"].value == 0.25
    assert found["area.w_per_mm2"].value == 0.5
    assert found["area.w_per_mm2"].unit == "W/mm^2"
    dense = measure(make_trace(), replace(MACHINE, power=figure(17.0)))
    assert dense["area.tops_per_mm2"].reason == "the trace does not tell its precision"
    assert dense["area.w_per_mm2"].reason == "above about 1 W/mm^2: it needs advanced cooling"
    other = measure(make_trace(head={"precision": "int8"}), MACHINE)
    assert other["area.tops_per_mm2"].reason == "the sheet gives no peak for int8"
    for platform in (None, replace(MACHINE, die_area=None)):
        names = measure(make_trace(head={"precision": "fp16"}), platform)
        assert [name for name in names if name.startswith("area.")] == []


def test_the_area_front_lists_what_it_cannot_place() -> None:
    """Only sheets of the one precision with area and power are placed; none is guessed."""
    better = replace(MACHINE, name="better", die_area=figure(8e-6))
    cooler = replace(MACHINE, name="cooler", die_area=figure(32e-6), power=figure(4.0))
    unknown = replace(MACHINE, name="unknown", die_area=None)
    unpowered = replace(MACHINE, name="unpowered", power=None)
    found = area_front([MACHINE, better, cooler, unknown, unpowered, BARE], "fp16")
    assert found.front == ("better", "cooler")
    assert set(found.points) == {"machine", "better", "cooler"}
    assert (found.points["better"].tops_per_w, found.points["better"].tops_per_mm2) == (0.5, 0.5)
    assert found.excluded == {
        "unknown": "the sheet gives no die area",
        "unpowered": "the sheet gives no design power",
        "bare": "the sheet gives no peak for fp16",
    }


def test_a_sheet_of_an_older_bundle_has_no_area() -> None:
    """Area, dies and process came later; a sheet without them still loads."""
    old = {
        key: value
        for key, value in dict(encode(BARE)).items()  # type: ignore[arg-type]
        if key not in ("die_area", "dies", "process")
    }
    assert decode(Platform, old) == BARE


@pytest.mark.parametrize("values", [[], [0.0, 1.0], [-1.0, 2.0]])
def test_a_spread_needs_positive_values(values: list[float]) -> None:
    """Zero has no order of magnitude."""
    with pytest.raises(ValueError, match="positive"):
        orders_of_magnitude(values)
