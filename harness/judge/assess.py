"""All that follows from a finished trial's trace: its measurements, its reasons, its status."""

from collections.abc import Mapping
from dataclasses import dataclass

from accelbench.harness.judge.validity import judge, status
from accelbench.harness.metrics.catalogue import measured
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.steadiness import steadiness
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason, Status
from accelbench.harness.schema.trace import Trace


@dataclass(frozen=True)
class Assessment:
    """What a finished trial says.

    Attributes:
        measurements: By name.
        reasons: Why it is not valid, and what it warns of.
        status: Whether it counts.
        steady_state: The class of its service times (see `statistics.steady_state`), or None
            where it has none.
    """

    measurements: Mapping[str, Measurement]
    reasons: tuple[Reason, ...]
    status: Status
    steady_state: str | None


def assess(trace: Trace, cell: Cell) -> Assessment:
    """Measurements, reasons and status of a finished trial; the same whenever it is asked.

    A simulated machine computes nothing, so the workload's quality gate does not apply to it;
    nor does it apply to training, which has a target of its own.

    Args:
        trace: The trial's trace, with what was watched from outside.
        cell: What was asked for.
    """
    seen = Observation(trace, cell.platform)
    measurements = measured(seen)
    free = trace.head.evidence == "simulated" or trace.head.target is not None
    reasons = judge(seen, measurements, cell.rules, None if free else cell.workload.gate)
    state = steadiness(seen)
    return Assessment(measurements, reasons, status(reasons), state.kind if state else None)
