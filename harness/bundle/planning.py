"""From a pilot campaign: how many trials, and how many requests in each, reach a wanted precision.

Each trial of a cell runs in a session of its own (a round does one repeat of every cell), so that
sessions and trials are one level of variance here, and requests are the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from accelbench.harness.bundle.layout import TRACE, record_folder
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.metrics.catalogue import quantity
from accelbench.harness.metrics.distribution import Quantity
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.schema.record import Record
from accelbench.harness.statistics.fixed_width import planned_trials
from accelbench.harness.statistics.variance_levels import (
    RepetitionPlan,
    repetition_plan,
    variance_components,
)

_BLOCKS = 20
_FEWEST = 2


@dataclass(frozen=True)
class CellPlan:
    """What one cell needs.

    Attributes:
        cell: Its name.
        metric: The metric that is to be precise.
        precision: The wanted half width of its 95 % interval over its mean.
        trials: Trials of the pilot's length, each in a session of its own; None with a reason.
        seconds: What they take.
        reason: Why there is no answer.
        cheapest: The cheapest mix of trials and requests; None where requests have no part in it,
            on a simulated clock, whose seconds cost nothing, and where no mix is precise enough.
    """

    cell: str
    metric: str
    precision: float
    trials: int | None = None
    seconds: float | None = None
    reason: str | None = None
    cheapest: "Mix | None" = None


@dataclass(frozen=True)
class Mix:
    """Trials and requests that reach a precision at the least cost (Kalibera and Jones).

    Attributes:
        trials: Trials, each in a session of its own.
        requests: Requests in the window of each.
        seconds: What they take.
        notes: What had to be assumed.
    """

    trials: int
    requests: int
    seconds: float
    notes: tuple[str, ...]


def plan_cell(bundle: Bundle, cell: str, metric: str, precision: float) -> CellPlan:
    """Plans one cell from its valid trials.

    The number of trials is Stein's: it holds for the mean over trials of any metric. For the mean
    of a quantity that requests have, the levels of variance are told apart too; neighbouring
    requests depend on one another, so blocks of them stand for them.

    Args:
        bundle: The pilot.
        cell: Name of the cell.
        metric: Name of the metric.
        precision: The wanted relative half width, e.g. 0.02.

    Raises:
        BundleError: A trace cannot be read.
    """
    records = [r for r in bundle.records if r.cell == cell and r.status == "valid"]
    found = [record.measurements.get(metric) for record in records]
    values = [item.value for item in found if item is not None and item.value is not None]
    if len(values) < _FEWEST:
        reason = f"a pilot needs {_FEWEST} valid trials with {metric}, there are {len(values)}"
        return CellPlan(cell, metric, precision, reason=reason)
    try:
        trials = planned_trials(values, precision).n
    except ValueError as error:
        return CellPlan(cell, metric, precision, reason=str(error))
    each = sum(map(_seconds, records)) / len(records)
    return CellPlan(
        cell,
        metric,
        precision,
        trials,
        trials * each,
        cheapest=_cheapest(bundle, records, metric, precision),
    )


def _cheapest(
    bundle: Bundle, records: Sequence[Record], metric: str, precision: float
) -> Mix | None:
    stem, _, statistic = metric.rpartition(".")
    values_of = quantity(stem)
    if statistic != "mean" or values_of is None or records[0].clock != "wall":
        return None
    seen = [_observation(bundle, record) for record in records]
    series = [_values(values_of, one) for one in seen]
    size = min(values.size for values in series) // _BLOCKS
    if size == 0:
        return None
    blocks = [_blocks(values, size) for values in series]
    in_window = sum(one.length_s for one in seen)
    requests = sum(values.size for values in series)
    beside = sum(map(_seconds, records)) - in_window
    costs = (beside / len(records), size * in_window / requests)
    try:
        found = repetition_plan(variance_components(blocks), costs, precision)
    except ValueError:
        return None
    return _mix(found, size)


def _mix(found: RepetitionPlan, size: int) -> Mix:
    trials, blocks = found.counts
    return Mix(trials, blocks * size, found.cost, found.notes)


def _observation(bundle: Bundle, record: Record) -> Observation:
    folder = record_folder(bundle.path, record.cell, record.repeat)
    return Observation(read_trace(folder / TRACE))


def _values(values_of: Quantity, seen: Observation) -> Numbers:
    values = values_of(seen)
    return values[~np.isnan(values)]


def _blocks(values: Numbers, size: int) -> Numbers:
    count = values.size // size
    means: Numbers = values[: count * size].reshape(count, size).mean(axis=1)
    return means


def _seconds(record: Record) -> float:
    began = datetime.fromisoformat(record.started_utc)
    return (datetime.fromisoformat(record.finished_utc) - began).total_seconds()
