"""Memory over time: what the engine holds, whether that grows, and how much of it lies idle.

Resident memory is read from outside, once a second. Where the engine is in the trial's process, what
the harness notes of the trial is in it too, some 300 bytes a batch or step of generation.
"""

import math
from dataclasses import replace

import numpy as np

from accelbench.harness.metrics.drift import in_unit
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, readings, single, tells, total
from accelbench.harness.statistics.trend import slope_of_level

PARTS = 10
FEWEST = 30
"""Readings below which the means of ten parts rest on too few."""

SHORTEST_S = 60.0
"""Below this a slope says more about the start of a trial than about its length."""

RESIDENT = "memory.resident"

_SOURCE = "section 3.6.1"
_READ = f"the counter {RESIDENT} of the scope engine, read in the window"


def _tells_engine(seen: Observation) -> bool:
    return bool(_of_engine(seen).any())


def resident(seen: Observation) -> tuple[Numbers, Numbers]:
    """The engine's resident memory over time.

    Args:
        seen: The trial.

    Returns:
        When it was read in the window, ns, and the bytes; both in time order, maybe empty.
    """
    at, value = seen.times("counters", "at_ns"), seen.numbers("counters", "value")
    rows = _of_engine(seen) & seen.inside(at) & ~np.isnan(value)
    order = np.lexsort((value[rows], at[rows]))
    return at[rows][order], value[rows][order]


@metric(
    "memory.resident.last",
    unit="byte",
    summary="Resident memory of the engine's processes at the end of the window.",
    formula=f"last of {_READ}; pages that several processes share count in each",
    source=_SOURCE,
    better="lower",
    applies=_tells_engine,
)
def last_resident(seen: Observation) -> Outcome:
    """Memory at the last reading, bytes."""
    found = _bytes(seen)
    return found if isinstance(found, Absent) else Value(float(found[-1]), found.size)


@metric(
    "memory.resident.max",
    unit="byte",
    summary="Most resident memory of the engine's processes that was seen in the window.",
    formula=f"largest of {_READ}; what lies between two readings is not seen, memory.peak sees it",
    source=_SOURCE,
    better="lower",
    applies=_tells_engine,
)
def most_resident(seen: Observation) -> Outcome:
    """Memory at the largest reading, bytes."""
    found = _bytes(seen)
    if isinstance(found, Absent):
        return found
    reason = "the largest value grows with the number of readings: it has no interval"
    return Value(float(found.max()), found.size, reason=reason)


@metric(
    "memory.growth",
    unit="byte/s",
    summary="How fast the engine's resident memory grows; whatever makes it grow.",
    formula=f"least-squares slope over time, of the means of ten equal parts of the window of {_READ};"
    f" from {FEWEST} readings and {SHORTEST_S:g} s on; an engine in the trial's process also holds"
    " what the harness notes of the trial",
    source=_SOURCE,
    better="lower",
    applies=_tells_engine,
)
def growth(seen: Observation) -> Outcome:
    """Slope of the memory held, byte/s."""
    told = _bytes(seen)
    if isinstance(told, Absent):
        return told
    n, length_s = told.size, seen.length_s
    if n < FEWEST or length_s < SHORTEST_S:
        needed = max(SHORTEST_S, math.ceil(FEWEST * length_s / n))
        few = "1 reading" if n == 1 else f"{n} readings"
        return Absent(f"{few} in {length_s:.3g} s: too few, about {needed:.0f} s would do", n)
    means = _means(seen)
    if np.isnan(means).any():
        return Absent("memory was not read in each tenth of the window", n)
    found = slope_of_level(means, of="parts of the window")
    return in_unit(found, PARTS / length_s, n)


@metric(
    "memory.growth.per_request",
    unit="byte/request",
    summary="How much the engine's resident memory grows with each request.",
    formula="memory.growth / requests (or batches, or steps) a second that are ok and done in the"
    " window",
    source=_SOURCE,
    better="lower",
    applies=_tells_engine,
)
def growth_of_a_request(seen: Observation) -> Outcome:
    """Growth for each request, byte."""
    found, done = growth(seen), int(seen.requests.finished.sum())
    if isinstance(found, Absent):
        return found
    if done == 0:
        return Absent("no request was completed in the window", found.n)
    own, factor = found.interval, seen.length_s / done
    interval = own and replace(own, low=own.low * factor, high=own.high * factor)
    return Value(found.value * factor, found.n, interval, found.reason)


@metric(
    "heap.fragmentation",
    unit="1",
    summary="Share of the C heap of the engine's process that is free and was not given back.",
    formula="heap.free / heap.held, at the end of the trial",
    source=_SOURCE,
    better="lower",
    applies=tells("heap.held", "heap.free"),
)
def heap_fragmentation(seen: Observation) -> Outcome:
    """Idle share of the heap at the end."""
    return ratio(single(seen, "heap.free"), single(seen, "heap.held"), "the heap is empty")


@metric(
    "heap.fragmentation.change",
    unit="1",
    summary="How much larger that share is than before the trial's warm-up.",
    formula="heap.fragmentation less heap.free / heap.held at their first readings",
    source=_SOURCE,
    better="lower",
    applies=tells("heap.held", "heap.free"),
)
def heap_change(seen: Observation) -> Outcome:
    """Idle share of the heap at the end, less that at the start."""
    found = heap_fragmentation(seen)
    if isinstance(found, Absent):
        return found
    free, held = (_series(seen, name) for name in ("heap.free", "heap.held"))
    if min(free.size, held.size) < 2:  # noqa: PLR2004  (a change is between two)
        return Absent("the heap was read once only", found.n)
    if held[0] == 0:
        return Absent("the heap was empty at its first reading", found.n)
    return Value(found.value - float(free[0] / held[0]), found.n)


@metric(
    "device_memory.fragmentation",
    unit="1",
    summary="Share of the device memory that the framework holds and no tensor occupies.",
    formula="1 - device_memory.allocated / device_memory.reserved, at the end of the trial; caches"
    " that wait for the next tensor are in it",
    source=_SOURCE,
    better="lower",
    applies=tells("device_memory.reserved", "device_memory.allocated"),
)
def device_fragmentation(seen: Observation) -> Outcome:
    """Idle share of the memory reserved on devices, all together."""
    used = ratio(
        total(seen, "device_memory.allocated"),
        total(seen, "device_memory.reserved"),
        "no device memory is reserved",
    )
    return used if isinstance(used, Absent) else Value(1 - used.value, used.n)


def _of_engine(seen: Observation) -> Flags:
    rows = seen.among("counters", "name", (RESIDENT,))
    return rows & seen.among("counters", "scope", ("engine",))


def _bytes(seen: Observation) -> Numbers | Absent:
    """The readings in the window, at least one."""
    odd = readings(seen, RESIDENT)
    if isinstance(odd, Absent):
        return odd
    _, value = resident(seen)
    return value if value.size else Absent(f"the counter {RESIDENT} was not read in the window")


def _means(seen: Observation) -> Numbers:
    """The mean of the readings of each part; NaN where there is none."""
    at, value = resident(seen)
    edges = np.linspace(0, seen.length_ns, PARTS + 1)
    counts, sums = np.histogram(at, edges)[0], np.histogram(at, edges, weights=value)[0]
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _series(seen: Observation, name: str) -> Numbers:
    """All readings of a gauge of one scope, in time order."""
    value = seen.numbers("counters", "value")
    rows = seen.among("counters", "name", (name,)) & ~np.isnan(value)
    at = seen.times("counters", "at_ns")[rows]
    return value[rows][np.lexsort((value[rows], at))]
