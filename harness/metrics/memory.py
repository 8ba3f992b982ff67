"""Memory: how much a trial needed."""

import numpy as np

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric

PEAK = "rss_peak"
"""The counter that gives the peak resident memory of the trial's process, in bytes."""


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
