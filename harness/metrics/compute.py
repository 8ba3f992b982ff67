"""FLOPs, memory traffic, utilisation and the roofline.

F and Q are what working phases tell, each in proportion to the share of it that lies in the
window; T is the union of those phases in the window, so that a machine that waits for work is not
called slow. Working are phases of kind steady, prefill and decode, and in training forward,
backward and optimizer. Q is a compulsory-traffic model (each operand of an operator counted once
an occurrence), not a counter. Peaks are those of the sheet: of a processor for all that run on it,
of any other machine for each device that worked.
"""

from dataclasses import dataclass

import numpy as np

from accelbench.harness.metrics.applies import always
from accelbench.harness.metrics.busy import by_device, clipped, ends, of_kind, phases, starts
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.spans import share_inside
from accelbench.harness.units import NS_PER_S

WORK = ("steady", "prefill", "decode", "forward", "backward", "optimizer")
WORKING = "steady, prefill or decode, in training forward, backward or optimizer"
_TIME = f"T the union of phases of kind {WORKING} in the window"
_DEVICES = "times the devices that worked (of a processor once)"


@dataclass(frozen=True)
class Done:
    """Work done in the window: an amount, in a time, by so many phases."""

    amount: float
    busy_s: float
    n: int


def _tells_flops(seen: Observation) -> bool:
    return seen.tells("phases", "flops")


def _tells_bytes(seen: Observation) -> bool:
    return seen.tells("phases", "bytes")


def tells_both(seen: Observation) -> bool:
    """Some phase tells its FLOPs, and some its bytes."""
    return _tells_flops(seen) and _tells_bytes(seen)


@metric(
    "flops.total",
    unit="FLOP",
    summary="Floating-point operations of the model in the window.",
    formula=f"sum of FLOPs of phases of kind {WORKING}, each by its share inside"
    " the window; two for a multiply-add, no padding, no recomputation",
    source="eq. 13, section 6.2",
    better="neither",
    applies=_tells_flops,
)
def total_flops(seen: Observation) -> Outcome:
    """F of equations 13 and 14."""
    done = amount_inside(seen, "flops")
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
    formula=f"F / T / peak of the platform sheet at the precision of the trace {_DEVICES}, {_TIME}",
    source="eq. 13, section 6.2",
    better="higher",
    applies=always,
)
def flops_utilization(seen: Observation) -> Outcome:
    """Equation 13, second part."""
    return over_peak(achieved_flops(seen), peak_flops(seen))


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
    formula=f"Q / T / bandwidth of the sheet's first memory level {_DEVICES}, Q by the"
    f" compulsory-traffic model, {_TIME}",
    source="B_ach/B_peak, section 6.2",
    better="higher",
    applies=_tells_bytes,
)
def bandwidth_utilization(seen: Observation) -> Outcome:
    """B_ach over B_peak."""
    return over_peak(achieved_bandwidth(seen), peak_bandwidth(seen))


@metric(
    "intensity",
    unit="FLOP/byte",
    summary="Operational intensity: FLOPs per byte moved.",
    formula="F / Q, Q by the compulsory-traffic model",
    source="eq. 14, section 6.2",
    better="neither",
    applies=tells_both,
)
def intensity(seen: Observation) -> Outcome:
    """I of equation 14."""
    flops, moved = amount_inside(seen, "flops"), amount_inside(seen, "bytes")
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
    f" first memory level, both {_DEVICES}; the peak alone where no bytes are moved",
    source="eq. 14, section 6.2",
    better="neither",
    applies=tells_both,
)
def roofline_bound(seen: Observation) -> Outcome:
    """Equation 14."""
    flops, moved = amount_inside(seen, "flops"), amount_inside(seen, "bytes")
    if isinstance(flops, Absent):
        return flops
    if isinstance(moved, Absent):
        return moved
    peak, bandwidth = peak_flops(seen), peak_bandwidth(seen)
    if isinstance(peak, Absent):
        return peak
    if moved.amount == 0:
        return Value(peak, flops.n)
    if isinstance(bandwidth, Absent):
        return bandwidth
    return Value(min(peak, flops.amount / moved.amount * bandwidth), flops.n)


def amount_inside(seen: Observation, column: str, kinds: tuple[str, ...] = WORK) -> Done | Absent:
    """FLOPs or bytes of phases of these kinds, inside the window.

    Args:
        seen: The trial.
        column: "flops" or "bytes".
        kinds: Kinds of phases.
    """
    return once(seen, f"{column} of {kinds}", lambda: _amount_inside(seen, column, kinds))


def _amount_inside(seen: Observation, column: str, kinds: tuple[str, ...]) -> Done | Absent:
    rows = of_kind(seen, *kinds)
    start, end = starts(seen)[rows], ends(seen)[rows]
    share = share_inside(start, end, seen.length_ns)
    taken = share > 0
    amount = seen.numbers("phases", column)[rows][taken]
    what = "FLOPs" if column == "flops" else "bytes"
    which = "working" if kinds == WORK else kinds[0]
    if amount.size == 0:
        return Absent(f"no {which} phase in the window, so no {what}")
    silent = int(np.isnan(amount).sum())
    if silent:
        return Absent(f"{silent} of {amount.size} {which} phases do not tell their {what}")
    total = float(np.sort(amount * share[taken]).sum())
    busy_ns = clipped(seen, start, end).length_ns
    return Done(total, busy_ns / NS_PER_S, amount.size)


def busy_s(seen: Observation) -> Value:
    """Time in the window in which the trial worked, s."""
    rows = of_kind(seen, *WORK)
    return Value(phases(seen, rows).length_ns / NS_PER_S, int(rows.sum()))


def _rate(seen: Observation, column: str) -> Outcome:
    done = amount_inside(seen, column)
    if isinstance(done, Absent):
        return done
    if done.busy_s == 0:
        return Absent("the working phases took no time", done.n)
    return Value(done.amount / done.busy_s, done.n)


def over_peak(achieved: Outcome, peak: float | Absent) -> Outcome:
    """The share of a peak."""
    if isinstance(achieved, Absent):
        return achieved
    if isinstance(peak, Absent):
        return peak
    return Value(achieved.value / peak, achieved.n)


def peak_flops(seen: Observation) -> float | Absent:
    """The sheet's peak at the precision of the trial, of all devices that worked, FLOP/s."""
    precision = seen.trace.head.precision
    if seen.platform is None:
        return Absent("no platform sheet is known")
    if precision is None:
        return Absent("the trace does not tell its precision")
    if precision not in seen.platform.peak:
        return Absent(f"the platform sheet {seen.platform.name!r} gives no peak for {precision}")
    return seen.platform.peak[precision].value * _devices(seen)


def peak_bandwidth(seen: Observation) -> float | Absent:
    """The sheet's bandwidth of the main memory, of all devices that worked, byte/s."""
    if seen.platform is None:
        return Absent("no platform sheet is known")
    found = seen.platform.main_bandwidth
    if found is None:
        return Absent(f"the platform sheet {seen.platform.name!r} gives no memory bandwidth")
    return found.value * _devices(seen)


def _devices(seen: Observation) -> int:
    """How many machines of the sheet worked: a processor is one for all that run on it."""
    if seen.platform is None or seen.platform.family == "cpu":
        return 1
    return max(1, len(by_device(seen, *WORK)))
