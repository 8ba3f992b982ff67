"""Speed-up and parallel efficiency over devices or threads (eq. 16).

Strong scaling has the same work at every count; weak scaling has work in proportion to it.
Nothing is clipped: more than n times as fast on n devices happens where caches begin to hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from accelbench.harness.metrics.derived import Derived, trial_values
from accelbench.harness.metrics.ratio import ratio_of_means, times
from accelbench.harness.metrics.registry import (
    Absent,
    Definition,
    Outcome,
    Value,
    define,
    measurement,
)
from accelbench.harness.schema.record import Record

Pace: TypeAlias = Literal["time", "rate"]

_PACE = "T the mean time, or the inverse of the mean rate, over valid trials"


def _defined(name: str, summary: str, formula: str) -> Definition:
    source = "eq. 16, section 6.2"
    return define(Definition(name, "1", summary, f"{formula}; {_PACE}", source, "higher"))


SPEEDUP = _defined(
    "speedup.<n>",
    "How many times as fast the same work is on n devices or threads as on one.",
    "T(1) / T(n)",
)
EFFICIENCY = _defined(
    "parallel_efficiency.<n>",
    "Speed-up on n devices or threads over n, for the same work.",
    "T(1) / (n T(n)), not clipped above 1",
)
RELATIVE_SPEEDUP = _defined(
    "relative_speedup.<n>",
    "Speed-up against the smallest feasible count, where the work is not feasible on one.",
    "T(n0) / T(n), n0 in the name of the derived set",
)
RELATIVE_EFFICIENCY = _defined(
    "relative_efficiency.<n>",
    "Parallel efficiency against the smallest feasible count, where one is not feasible.",
    "n0 T(n0) / (n T(n)), n0 in the name of the derived set, not clipped above 1",
)
WEAK_SPEEDUP = _defined(
    "weak_speedup.<n>",
    "How many times as much work a second is done where work grows with the count.",
    "rate(n) / rate(n0), work in proportion to n, n0 in the name of the derived set",
)
WEAK_EFFICIENCY = _defined(
    "weak_efficiency.<n>",
    "Speed-up over the growth in count, where work grows with it.",
    "n0 rate(n) / (n rate(n0)), work in proportion to n, n0 in the name of the derived set, not"
    " clipped above 1",
)


@dataclass(frozen=True)
class Scaling:
    """Speed-up and parallel efficiency against one base.

    Attributes:
        base: The count they are taken against; None where no count has a value.
        speedup: By count.
        efficiency: Speed-up over the growth in count, by count.
    """

    base: int | None
    speedup: Mapping[int, Outcome]
    efficiency: Mapping[int, Outcome]


def scaling(
    points: Mapping[int, Sequence[float] | Absent], pace: Pace, base: int | None = None
) -> Scaling:
    """Equation 16 against a base.

    Args:
        points: By count, one value for each valid trial, or why there is none.
        pace: Whether the values are times or rates.
        base: The count to take it against; None takes the smallest that has values.
    """
    counts = sorted(points)
    if base is None:
        base = next((n for n in counts if not isinstance(points[n], Absent)), None)
    if base is None:
        nothing = {n: found for n, found in points.items() if isinstance(found, Absent)}
        return Scaling(None, nothing, nothing)
    speedup = {n: _speedup(points, n, base, pace) for n in counts}
    return Scaling(base, speedup, {n: times(speedup[n], base / n) for n in counts})


def strong_scaling(
    what: str, records: Mapping[int, Sequence[Record]], metric: str, pace: Pace
) -> Derived:
    """Speed-up and efficiency of the same work.

    Args:
        what: What is counted, e.g. "devices", "threads".
        records: By count, the trials at it; those that are not valid are left out.
        metric: The measurement that tells how fast it went.
        pace: Whether that is a time or a rate.
    """
    valid = _valid(records)
    points = {n: trial_values(metric, trials, f"{what} = {n}") for n, trials in valid.items()}
    one = scaling(points, pace, 1)
    found = _named(one, SPEEDUP, EFFICIENCY)
    relative = scaling(points, pace)
    if relative.base not in (1, None):
        found += _named(relative, RELATIVE_SPEEDUP, RELATIVE_EFFICIENCY)
    return _derived(f"strong_scaling.{what}", relative.base, valid, found)


def weak_scaling(what: str, records: Mapping[int, Sequence[Record]], metric: str) -> Derived:
    """Speed-up and efficiency of work in proportion to the count (GAP-13).

    Args:
        what: What is counted, e.g. "devices", "threads".
        records: By count, the trials at it; those that are not valid are left out.
        metric: The rate at which work is done.
    """
    valid = _valid(records)
    points = {n: trial_values(metric, trials, f"{what} = {n}") for n, trials in valid.items()}
    against = scaling(points, "rate")
    found = _named(against, WEAK_SPEEDUP, WEAK_EFFICIENCY)
    return _derived(f"weak_scaling.{what}", against.base, valid, found)


def _speedup(
    points: Mapping[int, Sequence[float] | Absent], n: int, base: int, pace: Pace
) -> Outcome:
    first = points.get(base, Absent(f"nothing was run on {base}"))
    here = points[n]
    if isinstance(first, Absent):
        return first
    if isinstance(here, Absent):
        return here
    if n == base:
        return Value(1.0, len(here), reason="1 by definition, so no interval")
    return ratio_of_means(first, here) if pace == "time" else ratio_of_means(here, first)


def _named(
    found: Scaling, speedup: Definition, efficiency: Definition
) -> list[tuple[str, Definition, Outcome]]:
    rows = []
    for definition, outcomes in ((speedup, found.speedup), (efficiency, found.efficiency)):
        stem = definition.name.removesuffix("<n>")
        rows += [(f"{stem}{n}", definition, outcome) for n, outcome in outcomes.items()]
    return rows


def _derived(
    name: str,
    base: int | None,
    valid: Mapping[int, Sequence[Record]],
    found: Sequence[tuple[str, Definition, Outcome]],
) -> Derived:
    return Derived(
        name if base is None else f"{name}.from_{base}",
        tuple(record.id for trials in valid.values() for record in trials),
        {full: measurement(definition, outcome) for full, definition, outcome in found},
    )


def _valid(records: Mapping[int, Sequence[Record]]) -> dict[int, list[Record]]:
    return {
        n: [record for record in records[n] if record.status == "valid"] for n in sorted(records)
    }
