"""Two sets of trials under one metric: better, worse, equivalent, inconclusive, or incomparable.

Numbers are compared only where they are the same quantity of the same work, obtained in the same
way: adapter, platform and configuration may differ, because they are what is compared.
"""

from collections.abc import Iterator, Mapping, Sequence

from accelbench.harness.metrics.registry import Definition
from accelbench.harness.schema.measurement import EnergyNote, Measurement
from accelbench.harness.schema.record import Record
from accelbench.harness.statistics.comparison import Comparison, compare


def compare_trials(
    base: Sequence[Record], new: Sequence[Record], definition: Definition, margin: float
) -> Comparison:
    """How the new trials of a cell stand to the base under one metric.

    Args:
        base: Trials to compare with.
        new: Trials to be judged.
        definition: The metric; its name is that of the measurement, without `<...>`.
        margin: The relative difference that makes no difference in practice.

    Returns:
        "incomparable" with the first reason found where records or numbers do not match; else
        what the values say (see `statistics.comparison`).

    Raises:
        ValueError: The margin is not positive.
    """
    reason = next(_obstacles(base, new, definition.name), None)
    if reason:
        return Comparison("incomparable", None, None, reason, None, None)
    values = [[_value(record, definition.name) for record in side] for side in (base, new)]
    return compare(values[0], values[1], margin=margin, better=definition.better)


def _obstacles(base: Sequence[Record], new: Sequence[Record], name: str) -> Iterator[str]:
    """Why the two sides cannot be compared, in words."""
    for side, records in (("base", base), ("new", new)):
        if not records:
            yield f"the {side} side has no trials"
        for record in records:
            where = f"trial {record.id} of the {side} side"
            if record.status != "valid":
                codes = [reason.code for reason in record.reasons if reason.level != "warning"]
                yield f"{where} is {record.status}: {', '.join(codes) or 'no reason told'}"
            found = record.measurements.get(name)
            if found is None:
                yield f"{where} has no {name}"
            elif found.value is None:
                yield f"{where} has no value of {name}: {found.reason}"
    records = [*base, *new]
    for trait in _traits(records[0], name):
        told = sorted({_traits(record, name)[trait] for record in records})
        if len(told) > 1:
            yield f"{trait} differs: {' and '.join(told)}"


def _traits(record: Record, name: str) -> Mapping[str, str]:
    """What has to be the same in all trials, by what it is called."""
    found = record.measurements[name]
    return {
        "the workload": record.workload,
        "the scenario": record.scenario,
        "the precision": _precision(record),
        "the evidence class": record.evidence,
        "the clock": record.clock,
        "the unit": found.unit,
        "the version of the metric": str(found.version),
        "the boundary of energy (RULE-03)": _boundary(found.energy),
        "whether idle power is subtracted": _idle(found.energy),
    }


def _precision(record: Record) -> str:
    """The number format of the weights, as the engine tells it."""
    formats = record.engine.get("precision_map")
    told = formats.get("weights") if isinstance(formats, Mapping) else record.engine.get("dtype")
    return str(told) if told else "not told"


def _boundary(note: EnergyNote | None) -> str:
    return f"{note.scope} ({', '.join(sorted(note.covers))})" if note else "none told"


def _idle(note: EnergyNote | None) -> str:
    return "net of idle" if note and note.net_of_idle else "gross"


def _value(record: Record, name: str) -> float:
    found: Measurement = record.measurements[name]
    if found.value is None:
        raise ValueError(f"{record.id} has no value of {name}")
    return found.value
