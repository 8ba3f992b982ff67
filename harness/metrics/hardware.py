"""The machine itself: FLOPs that it really executed, its place under the roofline, its clock."""

from accelbench.harness.metrics.compute import (
    WORKING,
    achieved_flops,
    busy_s,
    over_peak,
    peak_flops,
    roofline_bound,
    tells_both,
)
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, readings, tells, total


@metric(
    "flops.hardware",
    unit="FLOP",
    summary="Floating-point operations that the hardware executed in the window.",
    formula="the counter flops.hardware: padding and recomputation counted, which flops.total"
    " leaves out",
    source="eq. 13, section 6.2",
    better="neither",
    applies=tells("flops.hardware"),
)
def hardware_flops(seen: Observation) -> Outcome:
    """F as executed."""
    return total(seen, "flops.hardware")


@metric(
    "flops.hardware_utilization",
    unit="1",
    summary="FLOP/s that the hardware executed over the machine's peak at the trial's precision.",
    formula="counter flops.hardware / T / peak of the platform sheet at the precision of the trace"
    f" times the devices that worked, T the union of phases of kind {WORKING} in the window",
    source="eq. 13, section 6.2",
    better="higher",
    applies=tells("flops.hardware"),
)
def hardware_utilization(seen: Observation) -> Outcome:
    """Equation 13 with FLOPs as executed."""
    busy = busy_s(seen)
    rate = ratio(total(seen, "flops.hardware"), busy, "no working phase took time in the window")
    return over_peak(rate, peak_flops(seen))


@metric(
    "roofline.position",
    unit="1",
    summary="Achieved FLOP/s over what the roofline allows; above 1 something was counted wrongly.",
    formula="flops.achieved / roofline.bound",
    source="eq. 14, section 6.2",
    better="higher",
    applies=tells_both,
)
def roofline_position(seen: Observation) -> Outcome:
    """Where the trial stands under its roof."""
    return ratio(achieved_flops(seen), roofline_bound(seen), "the roofline allows no FLOPs")


@metric(
    "peak.usable",
    unit="1",
    summary="Peak at the clock that the device held over the peak of its datasheet.",
    formula="clock.achieved / clock.datasheet, the mean over devices that tell both",
    source="section 3.5.4",
    better="higher",
    applies=tells("clock.achieved", "clock.datasheet"),
)
def usable_peak(seen: Observation) -> Outcome:
    """Usable over datasheet peak."""
    achieved, datasheet = readings(seen, "clock.achieved"), readings(seen, "clock.datasheet")
    if isinstance(achieved, Absent):
        return achieved
    if isinstance(datasheet, Absent):
        return datasheet
    shares = [achieved[name] / datasheet[name] for name in achieved if datasheet.get(name)]
    if not shares:
        return Absent("no device tells both its clock and the clock of its datasheet")
    return Value(sum(shares) / len(shares), len(shares))
