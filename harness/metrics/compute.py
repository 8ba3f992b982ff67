"""FLOPs, memory traffic, utilisation and the roofline.

F and Q are what phases of kind steady, prefill and decode tell, each in proportion to the
share of it that lies in the window; T is the union of those phases in the window, so that a
machine that waits for work is not called slow. Q is a compulsory-traffic model (each operand
of an operator counted once an occurrence), not a counter.
"""

from dataclasses import dataclass

import numpy as np

from accelbench.harness.metrics.applies import always
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns, share_inside
from accelbench.harness.units import NS_PER_S

WORK = ("steady", "prefill", "decode")
_TIME = "T the union of phases of kind steady, prefill or decode in the window"


@dataclass(frozen=True)
class _Done:
    """Work done in the window: an amount, in a time, by so many phases."""

    amount: float
    busy_s: float
    n: int


def _tells_flops(seen: Observation) -> bool:
    return seen.tells("phases", "flops")


def _tells_bytes(seen: Observation) -> bool:
    return seen.tells("phases", "bytes")


def _tells_both(seen: Observation) -> bool:
    return _tells_flops(seen) and _tells_bytes(seen)


@metric(
    "flops.total",
    unit="FLOP",
    summary="Floating-point operations of the model in the window.",
    formula="sum of FLOPs of phases of kind steady, prefill or decode, each by its share inside"
    " the window; two for a multiply-add, no padding, no recomputation",
    source="eq. 13, section 6.2",
    better="neither",
    applies=_tells_flops,
)
def total_flops(seen: Observation) -> Outcome:
    """F of equations 13 and 14."""
    done = _work(seen, "flops")
    return done if isinstance(done, Absent) else Value(done.amount, done.n)


@metric(
    "flops.achieved",
    unit="FLOP/s",
    summary="Floating-point operations a second, while working.",
    formula=f"F / T, {_TIME}",
    source="eq. 13, section 6.2",
    better="higher",
    applies=_tells_flops,
)
def achieved_flops(seen: Observation) -> Outcome:
    """Equation 13, first part."""
    return _rate(seen, "flops")


@metric(
    "flops.utilization",
    unit="1",
    summary="Achieved FLOP/s over the machine's peak at the trial's precision.",
    formula=f"F / T / peak of the platform sheet at the precision of the trace, {_TIME}",
    source="eq. 13, section 6.2",
    better="higher",
    applies=always,
)
def flops_utilization(seen: Observation) -> Outcome:
    """Equation 13, second part."""
    return _ratio(achieved_flops(seen), _peak_flops(seen))


@metric(
    "bandwidth.achieved",
    unit="byte/s",
    summary="Compulsory memory traffic a second, while working.",
    formula=f"Q / T, Q by the compulsory-traffic model, {_TIME}",
    source="eq. 13 text, section 6.2",
    better="higher",
    applies=_tells_bytes,
)
def achieved_bandwidth(seen: Observation) -> Outcome:
    """B_ach of section 6.2."""
    return _rate(seen, "bytes")


@metric(
    "bandwidth.utilization",
    unit="1",
    summary="Achieved memory bandwidth over the peak of the main memory.",
    formula="Q / T / bandwidth of the sheet's first memory level, Q by the compulsory-traffic"
    f" model, {_TIME}",
    source="B_ach/B_peak, section 6.2",
    better="higher",
    applies=_tells_bytes,
)
def bandwidth_utilization(seen: Observation) -> Outcome:
    """B_ach over B_peak."""
    return _ratio(achieved_bandwidth(seen), _peak_bandwidth(seen))


@metric(
    "intensity",
    unit="FLOP/byte",
    summary="Operational intensity: FLOPs per byte moved.",
    formula="F / Q, Q by the compulsory-traffic model",
    source="eq. 14, section 6.2",
    better="neither",
    applies=_tells_both,
)
def intensity(seen: Observation) -> Outcome:
    """I of equation 14."""
    flops, moved = _work(seen, "flops"), _work(seen, "bytes")
    if isinstance(flops, Absent):
        return flops
    if isinstance(moved, Absent):
        return moved
    if moved.amount == 0:
        return Absent("no bytes were moved", moved.n)
    return Value(flops.amount / moved.amount, flops.n)


@metric(
    "roofline.bound",
    unit="FLOP/s",
    summary="What the machine's roofline allows at the trial's intensity.",
    formula="min(peak, I B), I by the compulsory-traffic model, B the bandwidth of the sheet's"
    " first memory level; the peak alone where no bytes are moved",
    source="eq. 14, section 6.2",
    better="neither",
    applies=_tells_both,
)
def roofline_bound(seen: Observation) -> Outcome:
    """Equation 14."""
    flops, moved = _work(seen, "flops"), _work(seen, "bytes")
    if isinstance(flops, Absent):
        return flops
    if isinstance(moved, Absent):
        return moved
    peak, bandwidth = _peak_flops(seen), _peak_bandwidth(seen)
    if isinstance(peak, Absent):
        return peak
    if moved.amount == 0:
        return Value(peak, flops.n)
    if isinstance(bandwidth, Absent):
        return bandwidth
    return Value(min(peak, flops.amount / moved.amount * bandwidth), flops.n)


def _work(seen: Observation, column: str) -> _Done | Absent:
    """FLOPs or bytes of the working phases, inside the window."""
    start, end = seen.times("phases", "start_ns"), seen.times("phases", "end_ns")
    share = share_inside(start, end, seen.length_ns)
    taken = seen.among("phases", "kind", WORK) & (share > 0)
    amount = seen.numbers("phases", column)[taken]
    what = "FLOPs" if column == "flops" else "bytes"
    if amount.size == 0:
        return Absent(f"no working phase in the window, so no {what}")
    silent = int(np.isnan(amount).sum())
    if silent:
        return Absent(f"{silent} of {amount.size} working phases do not tell their {what}")
    inside = np.clip(start[taken], 0, seen.length_ns), np.clip(end[taken], 0, seen.length_ns)
    total = float((amount * share[taken]).sum())
    return _Done(total, covered_ns(*inside) / NS_PER_S, amount.size)


def _rate(seen: Observation, column: str) -> Outcome:
    done = _work(seen, column)
    if isinstance(done, Absent):
        return done
    if done.busy_s == 0:
        return Absent("the working phases took no time", done.n)
    return Value(done.amount / done.busy_s, done.n)


def _ratio(achieved: Outcome, peak: float | Absent) -> Outcome:
    if isinstance(achieved, Absent):
        return achieved
    if isinstance(peak, Absent):
        return peak
    return Value(achieved.value / peak, achieved.n)


def _peak_flops(seen: Observation) -> float | Absent:
    precision = seen.trace.head.precision
    if seen.platform is None:
        return Absent("no platform sheet is known")
    if precision is None:
        return Absent("the trace does not tell its precision")
    if precision not in seen.platform.peak:
        return Absent(f"the platform sheet {seen.platform.name!r} gives no peak for {precision}")
    return seen.platform.peak[precision].value


def _peak_bandwidth(seen: Observation) -> float | Absent:
    if seen.platform is None:
        return Absent("no platform sheet is known")
    found = seen.platform.main_bandwidth
    if found is None:
        return Absent(f"the platform sheet {seen.platform.name!r} gives no memory bandwidth")
    return found.value
