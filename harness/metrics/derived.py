"""Measurements across trials: a cell's mean over its trials, and batching efficiency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelbench.harness.metrics.ratio import ratio_of_means, times
from accelbench.harness.metrics.registry import (
    Absent,
    Definition,
    Outcome,
    Value,
    define,
    measurement,
)
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.record import Record
from accelbench.harness.statistics.fixed_width import stein_interval
from accelbench.harness.statistics.intervals import mean_estimate

BATCHING = define(
    Definition(
        "batch.efficiency.<B>",
        unit="1",
        summary="Throughput at batch size B over B times the throughput at batch size 1.",
        formula="TP(B) / (B TP(1)), TP the mean over valid trials of tp.samples, or of tp.system"
        " where tokens are generated; 1 at B = 1, not clipped above 1",
        source="eq. 7, section 6.2",
        better="higher",
    )
)


@dataclass(frozen=True)
class Derived:
    """Measurements that rest on several records.

    Attributes:
        name: What they are.
        inputs: Ids of the records they rest on.
        measurements: By name.
    """

    name: str
    inputs: tuple[str, ...]
    measurements: Mapping[str, Measurement]


def over_trials(
    trials: Sequence[Mapping[str, Measurement]], pilot: int | None = None
) -> Mapping[str, Measurement]:
    """What a cell's valid trials say together, by metric.

    The mean over trials with Student's t interval, or Stein's where a pilot fixed their number:
    given the pilot's spread the number of trials is no longer chance, whichever metric fixed it,
    so that his interval holds for every metric. The mean of a percentile is the expected
    percentile of a trial, not the percentile of all requests pooled. One trial alone keeps
    its own value and interval. A metric that some trial lacks is absent.

    Args:
        trials: The measurements of each valid trial, in the order they were run.
        pilot: How many of them, the first, were the pilot that fixed their number; None where
            it was fixed beforehand.
    """
    if len(trials) == 1:
        return dict(trials[0])
    names = sorted({name for trial in trials for name in trial})
    return {name: _together(name, trials, pilot) for name in names}


def batching_efficiency(
    records: Mapping[int, Sequence[Record]], throughput: str = "tp.samples"
) -> Derived:
    """Equation 7 over records of one workload, adapter and platform.

    Args:
        records: By batch size, the trials at it; those that are not valid are left out.
        throughput: The measurement that is the throughput.
    """
    valid = {
        size: [record for record in records[size] if record.status == "valid"]
        for size in sorted(records)
    }
    rates = {
        size: trial_values(throughput, trials, f"batch size {size}")
        for size, trials in valid.items()
    }
    single = rates.get(1, Absent("there is no record at batch size 1"))
    return Derived(
        "batch.efficiency",
        tuple(record.id for trials in valid.values() for record in trials),
        {
            f"batch.efficiency.{size}": measurement(BATCHING, _efficiency(size, rate, single))
            for size, rate in rates.items()
        },
    )


def trial_values(name: str, records: Sequence[Record], where: str) -> tuple[float, ...] | Absent:
    """A measurement's value in each of these trials, or why they do not all have one.

    Args:
        name: The measurement.
        records: Valid trials of one cell.
        where: What the cell is, for the reason.
    """
    if not records:
        return Absent(f"no valid record at {where}")
    found = [record.measurements.get(name) for record in records]
    values = tuple(item.value for item in found if item is not None and item.value is not None)
    if len(values) < len(records):
        return Absent(f"no {name} in every valid record at {where}", len(values))
    return values


def trial_ratio(
    above: tuple[str, Sequence[Record], str], below: tuple[str, Sequence[Record], str]
) -> Outcome:
    """The mean of a measurement over one set of trials over that of another.

    Args:
        above: Measurement, valid trials and what they are of, as `trial_values` takes them.
        below: The same of the other set.
    """
    top, bottom = trial_values(*above), trial_values(*below)
    if isinstance(top, Absent):
        return top
    if isinstance(bottom, Absent):
        return bottom
    return ratio_of_means(top, bottom)


def _together(
    name: str, trials: Sequence[Mapping[str, Measurement]], pilot: int | None
) -> Measurement:
    present = [trial[name] for trial in trials if name in trial]
    known = [item for item in present if item.value is not None]
    first = present[0]
    if len(known) < len(trials):
        return Measurement(
            None, first.unit, len(known), reason=_why(present, trials), version=first.version
        )
    values = [item.value for item in known if item.value is not None]
    estimate = stein_interval(values, pilot) if pilot else mean_estimate(values)
    bounds = estimate.bounds
    notes = [item.energy for item in known]
    return Measurement(
        estimate.value,
        first.unit,
        estimate.n,
        interval=Interval(bounds.low, bounds.high, bounds.level, bounds.method, "trials")
        if bounds
        else None,
        energy=notes[0] if all(note == notes[0] for note in notes) else None,
        version=first.version,
    )


def _why(present: Sequence[Measurement], trials: Sequence[Mapping[str, Measurement]]) -> str:
    reasons = [item.reason for item in present if item.value is None and item.reason]
    if len(reasons) == len(trials) and len(set(reasons)) == 1:
        return reasons[0]
    absent = len(trials) - sum(item.value is not None for item in present)
    told = f": {reasons[0]}" if reasons else ""
    return f"absent in {absent} of {len(trials)} trials{told}"


def _efficiency(
    size: int, rate: tuple[float, ...] | Absent, single: tuple[float, ...] | Absent
) -> Outcome:
    if isinstance(single, Absent):
        return single
    if isinstance(rate, Absent):
        return rate
    if not any(single):
        return Absent("the throughput at batch size 1 is 0", len(single))
    if size == 1:
        return Value(1.0, len(single), reason="1 by definition, so no interval")
    return times(ratio_of_means(rate, single), 1 / size)
