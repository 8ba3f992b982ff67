"""All that follows from a finished trial's trace: its measurements, its reasons, its status."""

from collections.abc import Mapping

import numpy as np

from accelbench.harness.judge.validity import judge, status
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason, Status
from accelbench.harness.schema.trace import Trace

FOREIGN_SHARE = "cpu.foreign_share"
"""The counter that holds the share of the machine's processor time that others used."""


def assess(
    trace: Trace, cell: Cell
) -> tuple[Mapping[str, Measurement], tuple[Reason, ...], Status]:
    """Measurements, reasons and status of a finished trial; the same whenever it is asked.

    A simulated machine computes nothing, so the workload's quality gate does not apply to it;
    nor does it apply to training, which has a target of its own.

    Args:
        trace: The trial's trace, with what was watched from outside.
        cell: What was asked for.
    """
    measurements = measure(trace, cell.platform)
    free = trace.head.evidence == "simulated" or trace.head.target is not None
    reasons = judge(
        trace, measurements, cell.rules, None if free else cell.workload.gate, _observed(trace)
    )
    return measurements, reasons, status(reasons)


def _observed(trace: Trace) -> dict[str, float]:
    counters = trace.table("counters")
    if counters.num_rows == 0:
        return {}
    of_others = np.array(counters.column("name").to_pylist()) == FOREIGN_SHARE
    values = counters.column("value").to_numpy()[of_others]
    return {"foreign_cpu_share": float(values[-1])} if values.size else {}
