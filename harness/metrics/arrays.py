"""Arrays that compute in memory: what is mapped on them, how full they are, what they cost."""

import math
from dataclasses import replace

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.meters import has_ledger, ledger_energy, share_of_energy
from accelbench.harness.metrics.observation import Flags, Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns
from accelbench.harness.metrics.tallies import ratio, single, tells, total
from accelbench.harness.metrics.throughput import NO_LENGTH, inferences
from accelbench.harness.units import NS_PER_S

CONVERTERS = ("adc", "dac")
WRITES = ("weight_write",)


def speedup_bound(mapped: float, speedup: float) -> float:
    """The most that a whole run gains where a part of it gains (Amdahl).

    Args:
        mapped: Share of the time that is made faster, from 0 to 1.
        speedup: How much faster it becomes.
    """
    return 1 / ((1 - mapped) + mapped / speedup)


def crossbar_occupancy(matrix: tuple[int, int], array: tuple[int, int]) -> float:
    """Share of the cells used where a matrix is cut into whole arrays.

    Args:
        matrix: Its rows and columns.
        array: Rows and columns of one array.
    """
    (rows, columns), (height, width) = matrix, array
    taken = math.ceil(rows / height) * height * math.ceil(columns / width) * width
    return rows * columns / taken


def _entries(seen: Observation, names: tuple[str, ...]) -> Flags:
    """Entries of the ledger that are about these components."""
    named = pc.utf8_lower(pc.fill_null(seen.column("ledger", "component"), ""))
    found = pc.is_in(named, value_set=pc.cast(list(names), "string"))
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _spends_on(names: tuple[str, ...]) -> Applies:
    return lambda seen: has_ledger(seen) and bool(_entries(seen, names).any())


def _works_on(names: tuple[str, ...]) -> Applies:
    return lambda seen: bool(seen.among("phases", "name", names).any())


def _time_on(seen: Observation, names: tuple[str, ...]) -> Outcome:
    """Time in which a phase of one of these names ran in the window, seconds."""
    rows = seen.among("phases", "name", names)
    start, end = (seen.times("phases", name)[rows] for name in ("start_ns", "end_ns"))
    if np.isnan(start).any() or np.isnan(end).any():
        return Absent("a phase does not tell when it began and ended", start.size)
    inside = (np.clip(at, 0, seen.length_ns) for at in (start, end))
    return Value(covered_ns(*inside) / NS_PER_S, start.size)


@metric(
    "mapped.weights",
    unit="1",
    summary="Share of the weights that lie on the array.",
    formula="the counter mapped.weights",
    source="section 3.6.6",
    better="higher",
    applies=tells("mapped.weights"),
)
def mapped_weights(seen: Observation) -> Outcome:
    """Mapped fraction by weights."""
    return single(seen, "mapped.weights")


@metric(
    "mapped.flops",
    unit="1",
    summary="Share of the FLOPs that the array does.",
    formula="the counter mapped.flops",
    source="section 3.6.6",
    better="higher",
    applies=tells("mapped.flops"),
)
def mapped_flops(seen: Observation) -> Outcome:
    """Mapped fraction by FLOPs."""
    return single(seen, "mapped.flops")


@metric(
    "mapped.time",
    unit="1",
    summary="Share of the time that the array works.",
    formula="the counter mapped.time",
    source="section 3.6.6",
    better="higher",
    applies=tells("mapped.time"),
)
def mapped_time(seen: Observation) -> Outcome:
    """Mapped fraction by time."""
    return single(seen, "mapped.time")


@metric(
    "speedup.bound",
    unit="1",
    summary="The most that the array can speed up the whole run.",
    formula="1 / ((1 - f) + f / s), f the counter mapped.flops, which stands for the share of the"
    " host's time, s the counter array.speedup",
    source="section 3.1.6; section 3.3.6",
    better="higher",
    applies=tells("array.speedup"),
)
def end_to_end_bound(seen: Observation) -> Outcome:
    """Amdahl's bound."""
    mapped, speedup = single(seen, "mapped.flops"), single(seen, "array.speedup")
    if isinstance(mapped, Absent):
        return mapped
    if isinstance(speedup, Absent):
        return speedup
    if speedup.value <= 0:
        return Absent("the array's speed-up is not positive")
    return Value(speedup_bound(mapped.value, speedup.value), 1)


@metric(
    "crossbar.occupancy",
    unit="1",
    summary="Share of the cells of the crossbars taken that hold a weight.",
    formula="counter crossbar.cells_used / counter crossbar.cells_allocated",
    source="section 3.5.6",
    better="higher",
    applies=tells("crossbar.cells_used", "crossbar.cells_allocated"),
)
def occupancy(seen: Observation) -> Outcome:
    """Cells used over cells allocated."""
    used, allocated = total(seen, "crossbar.cells_used"), total(seen, "crossbar.cells_allocated")
    return ratio(used, allocated, "no crossbar was taken")


@metric(
    "converter.share",
    unit="1",
    summary="Share of the energy that analog-digital and digital-analog converters took.",
    formula="energy of ledger components adc and dac / E",
    source="section 3.6.6",
    better="lower",
    applies=_spends_on(CONVERTERS),
)
def converter_share(seen: Observation) -> Outcome:
    """Converter energy over all energy."""
    return share_of_energy(seen, ledger_energy(seen, _entries(seen, CONVERTERS)))


@metric(
    "remap.writes_per_inference",
    unit="1/inference",
    summary="Weights written for each inference; 0 where they stay where they are.",
    formula="counter weight_writes / sum of samples (1 where not told), over requests that are ok"
    " and done in the window",
    source="section 3.6.6",
    better="lower",
    applies=tells("weight_writes"),
)
def writes_per_inference(seen: Observation) -> Outcome:
    """Remap rate."""
    none = "no inferences were completed in the window"
    return ratio(total(seen, "weight_writes"), inferences(seen), none)


@metric(
    "converter.time_share",
    unit="1",
    summary="Share of the window in which a converter worked.",
    formula="union of phases named adc or dac in the window / T_window",
    source="section 3.6.6",
    better="lower",
    applies=_works_on(CONVERTERS),
)
def converter_time_share(seen: Observation) -> Outcome:
    """Converter time over the window."""
    if seen.length_ns == 0:
        return NO_LENGTH
    busy = _time_on(seen, CONVERTERS)
    return busy if isinstance(busy, Absent) else Value(busy.value / seen.length_s, busy.n)


@metric(
    "remap.energy_per_inference",
    unit="J/inference",
    summary="Energy of writing weights for each inference.",
    formula="energy of ledger component weight_write / sum of samples (1 where not told), over"
    " requests that are ok and done in the window",
    source="section 3.6.6",
    better="lower",
    applies=_spends_on(WRITES),
)
def write_energy(seen: Observation) -> Outcome:
    """Energy of remapping."""
    spent = ledger_energy(seen, _entries(seen, WRITES))
    if isinstance(spent, Absent):
        return spent
    each = ratio(
        Value(spent.energy_j, spent.n),
        inferences(seen),
        "no inferences were completed in the window",
    )
    return each if isinstance(each, Absent) else replace(each, energy=spent.note)


@metric(
    "remap.time_per_inference",
    unit="s/inference",
    summary="Time of writing weights for each inference.",
    formula="union of phases named weight_write in the window / sum of samples (1 where not told),"
    " over requests that are ok and done in the window",
    source="section 3.6.6",
    better="lower",
    applies=_works_on(WRITES),
)
def write_time(seen: Observation) -> Outcome:
    """Time of remapping."""
    none = "no inferences were completed in the window"
    return ratio(_time_on(seen, WRITES), inferences(seen), none)
