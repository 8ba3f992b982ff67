"""How far a machine is used in prefill and in decode, each over its own time."""

import pytest

from accelbench.harness.metrics.catalogue import measure

FP32 = {"precision": "fp32"}


def phase(kind, start, end, flops, moved):
    """A row of `phases`."""
    return {
        "name": kind, "kind": kind, "start": start, "end": end, "flops": flops, "bytes": moved,
    }  # fmt: skip


PREFILL, DECODE = phase("prefill", 0, 2, 8e9, 2e9), phase("decode", 2, 6, 4e9, 8e9)


def test_each_phase_is_held_against_the_peaks_over_its_own_time(make_trace, values, machine):
    """Prefill computes, decode moves: a mean of both would hide it."""
    found = values(make_trace(10, FP32, phases=[PREFILL, DECODE]), machine(8e9, 4e9))
    assert found["flops.prefill_utilization"] == pytest.approx(0.5)
    assert found["bandwidth.prefill_utilization"] == pytest.approx(0.25)
    assert found["flops.decode_utilization"] == pytest.approx(0.125)
    assert found["bandwidth.decode_utilization"] == pytest.approx(0.5)


def test_phases_of_a_batch_take_their_time_once(make_trace, values, machine):
    """Two requests that are decoded together do twice the work in the same time."""
    found = values(make_trace(10, FP32, phases=[PREFILL, DECODE, DECODE]), machine(8e9, 4e9))
    assert found["flops.decode_utilization"] == pytest.approx(0.25)


def test_what_is_not_known_has_its_reason(make_trace, machine):
    """No sheet, no such phase in the window, or one that took no time."""
    trace = make_trace(10, FP32, phases=[phase("prefill", 1, 1, 8e9, 2e9), DECODE])
    assert measure(trace, None)["flops.decode_utilization"].reason == "no platform sheet is known"
    instant = measure(trace, machine(8e9, 4e9))["flops.prefill_utilization"]
    assert instant.reason == "prefill took no time"
    early = make_trace(10, FP32, phases=[phase("prefill", -2, -1, 8e9, 2e9), DECODE])
    found = measure(early, machine(8e9, 4e9))["bandwidth.prefill_utilization"]
    assert found.reason == "no prefill phase in the window, so no bytes"


def test_work_without_these_phases_has_no_such_figures(make_trace, values):
    """Of a classifier."""
    found = values(make_trace(10, FP32, phases=[phase("steady", 0, 2, 8e9, 2e9)]))
    assert not [name for name in found if "prefill_" in name or "decode_" in name]
