"""Memory: how much a trial needed, and how many devices hold it."""

import math

import numpy as np

from accelbench.harness.metrics.applies import trains
from accelbench.harness.metrics.kv import total_bytes
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import readings, tells, total

PEAK = "rss_peak"
"""The counter that gives the peak resident memory of the trial's process, in bytes."""

ADAM_BYTES = (16, 20)
"""Bytes for each parameter under Adam in mixed precision, from and to: weights, gradients, moments."""


def adam_bytes(parameters: float) -> tuple[float, float]:
    """Training memory without activations, from and to, bytes."""
    low, high = ADAM_BYTES
    return low * parameters, high * parameters


def devices_to_hold(needed: float, capacity: float) -> int:
    """Devices whose memory together holds so many bytes.

    Args:
        needed: Bytes to hold.
        capacity: Bytes of one device.
    """
    return math.ceil(needed / capacity)


def _trains_parameters(seen: Observation) -> bool:
    return trains(seen) and tells("parameters")(seen)


def _tells_peak(seen: Observation) -> bool:
    return bool(seen.among("counters", "name", (PEAK,)).any())


@metric(
    "memory.peak",
    unit="byte",
    summary="Peak resident memory of the process, loading of the model included.",
    formula=f"largest reading of the counter {PEAK}, at any time of the trial",
    source="section 6.2",
    better="lower",
    applies=_tells_peak,
)
def peak_memory(seen: Observation) -> Outcome:
    """Peak memory, bytes."""
    rows = seen.among("counters", "name", (PEAK,))
    value = seen.numbers("counters", "value")[rows]
    value = value[~np.isnan(value)]
    if not seen.among("counters", "unit", ("byte",))[rows].all():
        return Absent(f"the counter {PEAK} is not in byte")
    if value.size == 0:
        return Absent(f"no reading of {PEAK} has a value")
    return Value(float(value.max()), value.size)


@metric(
    "memory.device_peak",
    unit="byte",
    summary="Peak memory of the device that needed most.",
    formula="largest of the last readings of the counter device_memory_peak over devices",
    source="section 6.2",
    better="lower",
    applies=tells("device_memory_peak"),
)
def peak_device_memory(seen: Observation) -> Outcome:
    """Peak memory of a device, bytes."""
    found = readings(seen, "device_memory_peak")
    return found if isinstance(found, Absent) else Value(max(found.values()), len(found))


@metric(
    "memory.adam_low",
    unit="byte",
    summary="Least memory that Adam in mixed precision needs, activations left out.",
    formula="16 N, N from the counter parameters",
    source="section 2.1",
    better="lower",
    applies=_trains_parameters,
)
def adam_low(seen: Observation) -> Outcome:
    """Lower end of training memory, bytes."""
    count = total(seen, "parameters")
    return count if isinstance(count, Absent) else Value(adam_bytes(count.value)[0], count.n)


@metric(
    "memory.adam_high",
    unit="byte",
    summary="Most memory that Adam in mixed precision needs, activations left out.",
    formula="20 N, N from the counter parameters",
    source="section 2.1",
    better="lower",
    applies=_trains_parameters,
)
def adam_high(seen: Observation) -> Outcome:
    """Upper end of training memory, bytes."""
    count = total(seen, "parameters")
    return count if isinstance(count, Absent) else Value(adam_bytes(count.value)[1], count.n)


@metric(
    "capacity.devices",
    unit="1",
    summary="Devices of the sheet needed merely to hold weights, keys and values, and activations.",
    formula="ceil((weights + kv.bytes_total + activations) / capacity of the sheet's first memory"
    " level), from the counters weights and activations; a model without a KV layout has none",
    source="section 3.3.1; section 3.3.5",
    better="lower",
    applies=tells("weights"),
)
def capacity_devices(seen: Observation) -> Outcome:
    """Devices that hold the trial."""
    needed, n = 0.0, 0
    parts = [total(seen, "weights"), total(seen, "activations")]
    if seen.trace.head.kv is not None:
        parts.append(total_bytes(seen))
    for part in parts:
        if isinstance(part, Absent):
            return part
        needed, n = needed + part.value, n + part.n
    memory = seen.platform.memory if seen.platform else ()
    if seen.platform is None:
        return Absent("no platform sheet is known")
    if not memory or memory[0].capacity is None:
        return Absent(f"the platform sheet {seen.platform.name!r} gives no memory capacity")
    return Value(devices_to_hold(needed, memory[0].capacity.value), n)
