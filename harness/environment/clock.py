"""How fine and how dear the clock is that all wall-clock times are read from."""

import time
from collections.abc import Mapping

import numpy as np

from accelbench.harness.schema.plain import Plain

_READINGS = 20_000


def clock_document() -> Mapping[str, Plain]:
    """Measures `time.perf_counter_ns`: the steps between successive readings, nanoseconds.

    The smallest step that is not zero bounds the resolution; the median step is the cost of
    one reading; the largest shows how long this process was kept from running.
    """
    readings = np.array([time.perf_counter_ns() for _ in range(_READINGS)])
    steps = np.diff(readings)
    moved = steps[steps > 0]
    return {
        "schema": "accelbench.clock/1",
        "clock": "time.perf_counter_ns",
        "implementation": time.get_clock_info("perf_counter").implementation,
        "readings": _READINGS,
        "smallest_step_ns": int(moved.min()) if moved.size else None,
        "median_step_ns": float(np.median(steps)),
        "largest_step_ns": int(steps.max()),
    }
