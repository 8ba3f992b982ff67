"""Overhead: time in which work was asked for and the device ran none of its kernels (eq. 8).

T is the time in the window in which at least one request is in flight (sent and not yet done),
so that waiting for arrivals is no overhead. Kernels that overlap on a device count once; what
runs while nothing is asked for counts for nothing.
"""

from collections.abc import Callable

import numpy as np

from accelbench.harness.metrics.busy import (
    NONE,
    by_device,
    ends,
    in_flight,
    of_kind,
    phases,
    starts,
)
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns, share_inside
from accelbench.harness.metrics.throughput import NO_LENGTH
from accelbench.harness.units import NS_PER_S

_T = "T the union of [sent, done] of all requests in the window"
_IDLE = Absent("no request was in flight in the window")


def _tells(*kinds: str) -> Applies:
    return lambda seen: bool(of_kind(seen, *kinds).any())


def _tells_moved(seen: Observation) -> bool:
    told = ~np.isnan(seen.numbers("phases", "bytes"))
    return bool((of_kind(seen, "transfer") & told).any())


@metric(
    "overhead.ratio",
    unit="1",
    summary="Share of the time with work in flight in which no kernel ran, mean over devices.",
    formula=f"1 - T_kernel / T, {_T}, T_kernel the union of a device's kernels within T, mean"
    " over devices",
    source="eq. 8, section 6.2",
    better="lower",
    applies=_tells("kernel"),
)
def overhead_ratio(seen: Observation) -> Outcome:
    """Equation 8, kernels of a device joined."""
    return _overhead(seen, np.mean)


@metric(
    "overhead.ratio.worst",
    unit="1",
    summary="The same for the device that ran kernels for the least time.",
    formula=f"1 - T_kernel / T, {_T}, T_kernel the union of a device's kernels within T, least"
    " over devices",
    source="eq. 8, section 6.2",
    better="lower",
    applies=_tells("kernel"),
)
def overhead_ratio_worst(seen: Observation) -> Outcome:
    """Equation 8 of the device that idled most."""
    return _overhead(seen, np.min)


@metric(
    "overhead.ratio_paper",
    unit="1",
    summary="Overhead with kernel times simply added, as the survey prints it; may be negative.",
    formula=f"1 - sum of kernel times in the window, over all streams and devices, / T, {_T}",
    source="eq. 8 as printed, section 6.2",
    better="lower",
    applies=_tells("kernel"),
)
def overhead_ratio_paper(seen: Observation) -> Outcome:
    """Equation 8 as printed."""
    asked_ns = in_flight(seen).length_ns
    if asked_ns == 0:
        return _IDLE
    kernels = _kernel_times(seen)
    return Value(1 - float(kernels.sum()) / asked_ns, kernels.size)


@metric(
    "overhead.kernel_time",
    unit="s",
    summary="Time with work in flight in which kernels ran, mean over devices.",
    formula=f"union of a device's kernels within T, mean over devices, {_T}",
    source="eq. 8, section 6.2",
    better="neither",
    applies=_tells("kernel"),
)
def kernel_time(seen: Observation) -> Outcome:
    """T_kernel of equation 8, s."""
    found = _kernel_time_ns(seen)
    return Value(float(np.mean(found)) / NS_PER_S, found.size)


@metric(
    "overhead.kernel_sum",
    unit="s",
    summary="Kernel times in the window, simply added.",
    formula="sum over kernels, of all streams and devices, of the time within the window",
    source="eq. 8 as printed, section 6.2",
    better="neither",
    applies=_tells("kernel"),
)
def kernel_sum(seen: Observation) -> Outcome:
    """The literal T_kernel, s."""
    kernels = _kernel_times(seen)
    return Value(float(kernels.sum()) / NS_PER_S, kernels.size)


@metric(
    "transfer.share",
    unit="1",
    summary="Share of the time with work in flight that went into transfers hidden by no kernel.",
    formula="time of phases of kind transfer that no kernel of the same device covers / T, mean"
    f" over devices, {_T}",
    source="section 3.6.4",
    better="lower",
    applies=_tells("transfer"),
)
def transfer_share(seen: Observation) -> Outcome:
    """Exposed transfer time over T."""
    asked_ns = in_flight(seen).length_ns
    if asked_ns == 0:
        return _IDLE
    moved = by_device(seen, "transfer")
    kernels = by_device(seen, "kernel")
    exposed = [spans.beyond_ns(kernels.get(name, NONE)) for name, spans in moved.items()]
    return Value(float(np.mean(exposed)) / asked_ns, len(exposed))


@metric(
    "transfer.time",
    unit="s",
    summary="Time in the window in which data moved between host and devices.",
    formula="union of phases of kind transfer in the window, hidden ones too, added over devices",
    source="section 3.6.4",
    better="lower",
    applies=_tells("transfer"),
)
def transfer_time(seen: Observation) -> Outcome:
    """Transfer time, s."""
    moved = by_device(seen, "transfer")
    return Value(sum(spans.length_ns for spans in moved.values()) / NS_PER_S, len(moved))


@metric(
    "transfer.bytes",
    unit="byte",
    summary="Bytes that moved between host and devices in the window.",
    formula="sum of the bytes of phases of kind transfer that tell them, each by its share in the"
    " window",
    source="section 3.6.4",
    better="lower",
    applies=_tells_moved,
)
def transfer_bytes(seen: Observation) -> Outcome:
    """Transferred bytes."""
    rows = of_kind(seen, "transfer") & ~np.isnan(seen.numbers("phases", "bytes"))
    share = share_inside(starts(seen)[rows], ends(seen)[rows], seen.length_ns)
    moved = seen.numbers("phases", "bytes")[rows] * share
    return Value(float(moved.sum()), int((share > 0).sum()))


@metric(
    "input.share",
    unit="1",
    summary="Share of the window in which the input pipeline worked.",
    formula="union of phases of kind input in the window, hidden ones too, / T_window",
    source="section 3.6",
    better="lower",
    applies=_tells("input"),
)
def input_share(seen: Observation) -> Outcome:
    """Time of the input pipeline over the window."""
    if seen.length_ns == 0:
        return NO_LENGTH
    rows = of_kind(seen, "input")
    return Value(phases(seen, rows).length_ns / seen.length_ns, int(rows.sum()))


@metric(
    "input.before",
    unit="s",
    summary="Time before the window in which its inputs were prepared: prompts drawn and tokenised,"
    " samples laid out.",
    formula="union of phases of kind input before t0",
    source="section 3.6, section 4.5.1",
    better="lower",
    applies=_tells("input"),
)
def input_before(seen: Observation) -> Outcome:
    """Time of the input pipeline ahead of the window."""
    rows = of_kind(seen, "input") & (starts(seen) < 0)
    start, end = starts(seen)[rows], np.minimum(ends(seen)[rows], 0)
    return Value(covered_ns(start, end) / NS_PER_S, int(rows.sum()))


def _overhead(seen: Observation, over: Callable[[Numbers], float]) -> Outcome:
    """Equation 8, kernel time being this statistic over devices."""
    asked_ns = in_flight(seen).length_ns
    if asked_ns == 0:
        return _IDLE
    found = _kernel_time_ns(seen)
    if not found.any():
        return Absent("no kernel ran while a request was in flight", found.size)
    return Value(1 - float(over(found)) / asked_ns, found.size)


def _kernel_time_ns(seen: Observation) -> Numbers:
    """For each device, how long it ran kernels while a request was in flight, ns."""
    asked = in_flight(seen)
    kernels = by_device(seen, "kernel")
    return np.array([spans.shared_ns(asked) for spans in kernels.values()])


def _kernel_times(seen: Observation) -> Numbers:
    """Each kernel's time within the window, ns."""
    rows = of_kind(seen, "kernel")
    start, end = starts(seen)[rows], ends(seen)[rows]
    inside = np.clip(end, 0, seen.length_ns) - np.clip(start, 0, seen.length_ns)
    return inside[inside > 0]
