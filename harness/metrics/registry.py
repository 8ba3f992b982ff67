"""The one registry of metrics: what a metric is, and how it gets in.

A metric is a pure function of an observation. It gives a value with its count, or says why
there is none; it never gives 0, NaN or infinity for "not measured".

When a metric is there: one that does not *apply* to a trace, because the trace has nothing of
the kind it is about (no tokens, no probe, no training target), is left out; one that applies
but has no value is present with its reason. Headline quantities apply to every trace.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.measurement import Better, EnergyNote, Interval, Measurement


@dataclass(frozen=True)
class Value:
    """A value of a metric.

    Attributes:
        value: In the metric's unit.
        n: How many requests, samples or readings it rests on.
        interval: Its confidence interval, or None.
        reason: Why there is no interval, where a reader would expect one.
        energy: How it was obtained, for what rests on energy.
    """

    value: float
    n: int
    interval: Interval | None = None
    reason: str | None = None
    energy: EnergyNote | None = None


@dataclass(frozen=True)
class Absent:
    """Why a metric has no value.

    Attributes:
        reason: In words.
        n: How many requests, samples or readings there were.
    """

    reason: str
    n: int = 0


Outcome: TypeAlias = Value | Absent
Applies: TypeAlias = Callable[[Observation], bool]


@dataclass(frozen=True)
class Definition:
    """What a metric is.

    Attributes:
        name: `<quantity>[.<form>].<statistic>`; `<...>` in it stands for a name from the trace.
        unit: SI base units, "1" for a pure ratio.
        summary: One sentence for a reader.
        formula: The formula in words, with its convention.
        source: The equation and section it comes from.
        better: Whether lower or higher is better, or neither.
        version: Counts changes of the definition, from 1.
    """

    name: str
    unit: str
    summary: str
    formula: str
    source: str
    better: Better
    version: int = 1


@dataclass(frozen=True)
class Metric:
    """What computes one definition, or a family of them, from one trial.

    Attributes:
        name: The definition's name, or what the family's names begin with.
        applies: Whether a trace has anything of its kind.
        compute: The outcomes by full name; each name has a definition (see `definition_of`).
    """

    name: str
    applies: Applies
    compute: Callable[[Observation], Mapping[str, Outcome]]


DEFINITIONS: dict[str, Definition] = {}
"""Every definition by name, those over several trials too."""

METRICS: dict[str, Metric] = {}
"""What one trial gives, by name."""

ON_REQUEST: dict[str, Metric] = {}
"""What one trial gives only when asked."""


def define(definition: Definition) -> Definition:
    """Registers a definition.

    Raises:
        ValueError: The name is taken.
    """
    if definition.name in DEFINITIONS:
        raise ValueError(f"metric {definition.name!r} is defined twice")
    DEFINITIONS[definition.name] = definition
    return definition


def definition_of(name: str) -> Definition:
    """The definition of a measurement; `quality.accuracy` is one of `quality.<metric>`.

    A family that may have no members is known by what its names begin with, `quality`.

    Raises:
        KeyError: No metric has this name.
    """
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    for pattern, definition in DEFINITIONS.items():
        stem, opened, rest = pattern.partition("<")
        tail = rest.partition(">")[2]
        whole = len(name) > len(stem) + len(tail)
        if opened and whole and name.startswith(stem) and name.endswith(tail):
            return definition
        if opened and not tail and name == stem.rstrip("."):
            return definition
    raise KeyError(name)


def metric(
    name: str,
    *,
    unit: str,
    summary: str,
    formula: str,
    source: str,
    better: Better,
    applies: Applies,
    version: int = 1,
) -> Callable[[Callable[[Observation], Outcome]], Callable[[Observation], Outcome]]:
    """Registers a function as the metric of this name; see `Definition`."""
    define(Definition(name, unit, summary, formula, source, better, version))

    def register(
        function: Callable[[Observation], Outcome],
    ) -> Callable[[Observation], Outcome]:
        METRICS[name] = Metric(name, applies, lambda seen: {name: function(seen)})
        return function

    return register


def measurement(definition: Definition, outcome: Outcome) -> Measurement:
    """The measurement that stands in a record for an outcome."""
    if isinstance(outcome, Value) and not math.isfinite(outcome.value):
        outcome = Absent(f"the trace gives {outcome.value}, which is no finite number", outcome.n)
    if isinstance(outcome, Absent):
        return Measurement(
            None, definition.unit, outcome.n, reason=outcome.reason, version=definition.version
        )
    return Measurement(
        outcome.value,
        definition.unit,
        outcome.n,
        interval=outcome.interval,
        reason=outcome.reason,
        energy=outcome.energy,
        version=definition.version,
    )
