"""Overhead, transfers and input: unions over streams, by device, while work is asked for."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def phase(kind: str, start: float, end: float | None, device: str | None = "0") -> dict[str, Any]:
    """A row of `phases`."""
    return {"name": kind, "kind": kind, "start": start, "end": end, "device": device}


def request(sent: float | None, done: float | None, status: str = "ok") -> dict[str, Any]:
    """A request that was due at 0."""
    return {"id": f"{sent}-{done}", "due": 0, "sent": sent, "done": done, "status": status}


def test_waiting_for_arrivals_is_no_overhead(make_trace: MakeTrace, values: Values) -> None:
    """T counts only while a request is in flight, and overlapping requests count once."""
    requests = [request(1, 3), request(2, 4), request(7, 8)]
    phases = [phase("kernel", 1, 3), phase("kernel", 7, 8)]
    found = values(make_trace(10, requests=requests, phases=phases))
    assert found["overhead.ratio"] == pytest.approx(1 - 3 / 4)
    assert found["overhead.kernel_time"] == pytest.approx(3)


def test_kernels_while_nothing_is_asked_for_do_not_hide_overhead(
    make_trace: MakeTrace, values: Values
) -> None:
    """They are in the literal sum alone."""
    phases = [phase("kernel", 0, 1), phase("kernel", 5, 9)]
    found = values(make_trace(10, requests=[request(0, 4)], phases=phases))
    assert found["overhead.ratio"] == pytest.approx(3 / 4)
    assert found["overhead.kernel_sum"] == pytest.approx(5)
    assert found["overhead.ratio_paper"] == pytest.approx(1 - 5 / 4)


def test_all_is_cut_at_the_ends_of_the_window(make_trace: MakeTrace, values: Values) -> None:
    """Requests and kernels that straddle an end count by what lies inside."""
    phases = [phase("kernel", -5, 1), phase("kernel", 9, 20), phase("kernel", -3, -2)]
    found = values(make_trace(10, requests=[request(-5, 20)], phases=phases))
    assert found["overhead.ratio"] == pytest.approx(0.8)
    assert found["overhead.kernel_sum"] == pytest.approx(2)


def test_devices_are_averaged_and_the_worst_is_told(make_trace: MakeTrace, values: Values) -> None:
    """A device whose kernels all lie before the window idled all through it."""
    phases = [
        phase("kernel", 0, 8, "0"),
        phase("kernel", 0, 4, "1"),
        phase("kernel", -2, -1, "2"),
    ]
    found = values(make_trace(10, requests=[request(0, 10)], phases=phases))
    assert found["overhead.ratio"] == pytest.approx(1 - (0.8 + 0.4 + 0) / 3)
    assert found["overhead.ratio.worst"] == pytest.approx(1)


def test_phases_of_no_device_are_one_devices(make_trace: MakeTrace, values: Values) -> None:
    """A trace of one device need not name it."""
    phases = [phase("kernel", 0, 2, None), phase("kernel", 1, 5, None)]
    found = values(make_trace(10, requests=[request(0, 10)], phases=phases))
    assert found["overhead.ratio"] == pytest.approx(0.5)


def test_overhead_needs_work_and_kernels(make_trace: MakeTrace) -> None:
    """No request in flight, or no kernel in it, gives a reason; no kernel at all, nothing."""
    kernel = [phase("kernel", 0, 1)]
    idle = measure(make_trace(10, phases=kernel), None)
    for name in ("overhead.ratio", "overhead.ratio.worst", "overhead.ratio_paper"):
        assert idle[name].reason == "no request was in flight in the window"
    unsent = measure(make_trace(10, requests=[request(None, None, "unsent")], phases=kernel), None)
    assert unsent["overhead.ratio"].reason == "no request was in flight in the window"
    early = measure(
        make_trace(10, requests=[request(0, 5)], phases=[phase("kernel", -2, -1)]), None
    )
    assert early["overhead.ratio"].reason == "no kernel ran while a request was in flight"
    found = measure(make_trace(10, requests=[request(0, 5)], phases=[phase("decode", 0, 1)]), None)
    assert not [name for name in found if name.startswith(("overhead", "transfer", "input"))]


def test_a_phase_that_does_not_end_lasts_no_time(make_trace: MakeTrace, values: Values) -> None:
    """A null is no number."""
    phases = [phase("kernel", 0, 4), phase("kernel", 5, None)]
    found = values(make_trace(10, requests=[request(0, 10)], phases=phases))
    assert found["overhead.ratio"] == pytest.approx(0.6)
    assert found["overhead.kernel_sum"] == pytest.approx(4)


def test_transferred_bytes_count_by_what_lies_in_the_window(
    make_trace: MakeTrace, values: Values
) -> None:
    """Those that tell their bytes; where none does, there is no figure."""
    moved = [{**phase("transfer", start, start + 2), "bytes": 100.0} for start in (-5, -1, 3)]
    silent = phase("transfer", 5, 6)
    assert values(make_trace(10, phases=[*moved, silent]))["transfer.bytes"] == pytest.approx(150)
    assert "transfer.bytes" not in values(make_trace(10, phases=[silent]))


def test_transfers_hidden_by_kernels_of_their_device_cost_nothing(
    make_trace: MakeTrace, values: Values
) -> None:
    """Kernels of another device hide nothing; the total time counts hidden ones too."""
    phases = [
        phase("transfer", 0, 4, "0"),
        phase("kernel", 1, 9, "0"),
        phase("transfer", 0, 2, "1"),
        phase("transfer", 1, 2, "1"),
    ]
    found = values(make_trace(10, requests=[request(0, 10)], phases=phases))
    assert found["transfer.share"] == pytest.approx((0.1 + 0.2) / 2)
    assert found["transfer.time"] == pytest.approx(4 + 2)


def test_input_pipeline_over_the_window(make_trace: MakeTrace, values: Values) -> None:
    """Workers that load at once count once."""
    phases = [phase("input", 0, 2), phase("input", 1, 3), phase("input", 9, 12)]
    found = values(make_trace(10, phases=phases))
    assert found["input.share"] == pytest.approx(0.4)
    assert found["input.before"] == 0


def test_inputs_that_are_prepared_before_the_window_tell_their_time(
    make_trace: MakeTrace, values: Values
) -> None:
    """What overlaps counts once, and of what reaches into the window what lies ahead of it."""
    phases = [phase("input", -9, -6), phase("input", -7, -5), phase("input", -1, 1)]
    found = values(make_trace(10, phases=phases))
    assert found["input.before"] == pytest.approx(4 + 1)
    assert found["input.share"] == pytest.approx(0.1)
