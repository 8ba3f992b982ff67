"""Energy-delay products of a fixed work unit, one request (or batch, or training step).

Of a window they would mean nothing, because they grow with its length; those of two windows
neither add nor merge. Energy per completed request times its mean service time stays the same
however long the window is.
"""

import numpy as np

from accelbench.harness.metrics.meters import watched, window_energy
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.units import NS_PER_S

_UNIT_OF_WORK = "N requests that are ok and done in the window, the mean over them"


def _has_work_units(seen: Observation) -> bool:
    return watched(seen) and seen.trace.num_rows("requests") > 0


@metric(
    "edp",
    unit="J*s",
    summary="Energy-delay product of one request.",
    formula=f"(E / N) mean(done - sent), {_UNIT_OF_WORK}",
    source="eq. 11, section 6.2",
    better="lower",
    applies=_has_work_units,
)
def energy_delay(seen: Observation) -> Outcome:
    """Equation 11 of one request, J s."""
    return _product(seen, 1)


@metric(
    "ed2p",
    unit="J*s^2",
    summary="Energy-delay-squared product of one request.",
    formula=f"(E / N) mean(done - sent)^2, {_UNIT_OF_WORK}",
    source="eq. 11, section 6.2",
    better="lower",
    applies=_has_work_units,
)
def energy_delay_squared(seen: Observation) -> Outcome:
    """Equation 11 with the delay squared, J s^2."""
    return _product(seen, 2)


def _product(seen: Observation, power: int) -> Outcome:
    found = window_energy(seen)
    if isinstance(found, Absent):
        return found
    finished = seen.requests.finished
    delay = (seen.requests.done - seen.requests.sent)[finished]
    if delay.size == 0:
        return Absent("no request was completed in the window, so there is no unit of work")
    if np.isnan(delay).any():
        return Absent("a completed request does not tell when it was sent", delay.size)
    mean_s = float(delay.mean()) / NS_PER_S
    return Value(found.energy_j / delay.size * mean_s**power, delay.size, energy=found.note)
