"""Measurements across trials: a cell's mean over its trials, and batching efficiency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
from accelbench.harness.statistics.intervals import mean_estimate

BATCHING = define(
    Definition(
        "batch.efficiency.<B>",
        unit="1",
        summary="Throughput at batch size B over B times the throughput at batch size 1.",
        formula="TP(B) / (B TP(1)), TP the mean of tp.samples over valid trials; 1 at B = 1,"
        " not clipped above 1",
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
    trials: Sequence[Mapping[str, Measurement]],
) -> Mapping[str, Measurement]:
    """What a cell's valid trials say together, by metric.

    The mean over trials with Student's t interval; the mean of a percentile is the expected
    percentile of a trial, not the percentile of all requests pooled. One trial alone keeps
    its own value and interval. A metric that some trial lacks is absent.

    Args:
        trials: The measurements of each valid trial.
    """
    if len(trials) == 1:
        return dict(trials[0])
    names = sorted({name for trial in trials for name in trial})
    return {name: _together(name, trials) for name in names}


def batching_efficiency(records: Mapping[int, Sequence[Record]]) -> Derived:
    """Equation 7 over records of one workload, adapter and platform.

    Args:
        records: By batch size, the trials at it; those that are not valid are left out.
    """
    valid = {
        size: [record for record in records[size] if record.status == "valid"]
        for size in sorted(records)
    }
    rates = {size: _mean_rate(size, trials) for size, trials in valid.items()}
    single = rates.get(1, Absent("there is no record at batch size 1"))
    return Derived(
        "batch.efficiency",
        tuple(record.id for trials in valid.values() for record in trials),
        {
            f"batch.efficiency.{size}": measurement(BATCHING, _efficiency(size, rate, single))
            for size, rate in rates.items()
        },
    )


def _together(name: str, trials: Sequence[Mapping[str, Measurement]]) -> Measurement:
    present = [trial[name] for trial in trials if name in trial]
    known = [item for item in present if item.value is not None]
    first = present[0]
    if len(known) < len(trials):
        return Measurement(
            None, first.unit, len(known), reason=_why(present, trials), version=first.version
        )
    estimate = mean_estimate([item.value for item in known if item.value is not None])
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


def _mean_rate(size: int, records: Sequence[Record]) -> Outcome:
    if not records:
        return Absent(f"no valid record at batch size {size}")
    found = over_trials([record.measurements for record in records]).get("tp.samples")
    if found is None or found.value is None:
        return Absent(f"no tp.samples in every valid record at batch size {size}", len(records))
    return Value(found.value, len(records))


def _efficiency(size: int, rate: Outcome, single: Outcome) -> Outcome:
    if isinstance(single, Absent):
        return single
    if isinstance(rate, Absent):
        return rate
    if single.value == 0:
        return Absent("the throughput at batch size 1 is 0", single.n)
    return Value(rate.value / (size * single.value), rate.n)
