"""Over offered load: the latency-throughput curve and the load that can be sustained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from accelbench.harness.metrics.registry import Absent, Definition, Value, define, measurement
from accelbench.harness.schema.measurement import Measurement

SUSTAINABLE = define(
    Definition(
        "sustainable.load",
        unit="request/s",
        summary="The largest offered load that meets the service-level objective.",
        formula="the largest offered load tried that meets every limit, and all lower ones tried"
        " too; 0 where the lowest does not",
        source="section 3.6.1",
        better="higher",
    )
)
SUSTAINABLE_TOKENS = define(
    Definition(
        "sustainable.tokens",
        unit="token/s",
        summary="Tokens emitted a second at the largest load that meets the objective.",
        formula="tp.system at sustainable.load",
        source="section 3.6.1",
        better="higher",
    )
)

COLUMNS = (
    "tp.requests",
    "tp.system",
    "goodput.requests",
    "goodput.tokens",
    "slo.attainment",
    *(
        f"{quantity}.{percentile}"
        for quantity in ("ttft.response", "itl.gap", "e2e.response")
        for percentile in ("p50", "p95", "p99")
    ),
)
"""Measurements of a row of the curve."""


@dataclass(frozen=True)
class LoadPoint:
    """What was measured at one offered load.

    Attributes:
        offered: Offered load, request/s.
        measurements: By name.
    """

    offered: float
    measurements: Mapping[str, Measurement]


@dataclass(frozen=True)
class Objective:
    """What a load must meet as a whole; every given limit holds.

    Attributes:
        at_most: The largest value allowed, by name of a measurement. The censored percentiles
            count failures, the plain ones are of completed requests alone.
        attainment: The least share of requests that meet their own objective, or None.
    """

    at_most: Mapping[str, float]
    attainment: float | None = None

    def met_by(self, point: LoadPoint) -> bool:
        """Whether a load meets it; what was not measured is not met."""
        limits = [
            (value, limit)
            for name, limit in self.at_most.items()
            if (value := _value(point, name)) is not None
        ]
        if len(limits) < len(self.at_most):
            return False
        if self.attainment is not None:
            share = _value(point, "slo.attainment")
            if share is None or share < self.attainment:
                return False
        return all(value <= limit for value, limit in limits)


def curve(points: Sequence[LoadPoint]) -> tuple[LoadPoint, ...]:
    """The rows of the latency-throughput curve (D-03), by offered load.

    A row has those of `COLUMNS` that its cell has.

    Args:
        points: Cells that differ in offered load alone.
    """
    return tuple(
        LoadPoint(
            point.offered,
            {name: point.measurements[name] for name in COLUMNS if name in point.measurements},
        )
        for point in sorted(points, key=lambda point: point.offered)
    )


def sustainable(points: Sequence[LoadPoint], objective: Objective) -> dict[str, Measurement]:
    """The largest load that meets an objective, and the tokens a second at it (D-02).

    The reason beside the value states the bracket that was tried.

    Args:
        points: Every load that was tried; a load tried twice must meet the objective twice.
        objective: What it must meet.
    """
    loads = sorted({point.offered for point in points})
    failing = {point.offered for point in points if not objective.met_by(point)}
    first_failing = min(failing, default=None)
    met = [load for load in loads if first_failing is None or load < first_failing]
    if not loads:
        none = Absent("no load was tried")
        return {item.name: measurement(item, none) for item in (SUSTAINABLE, SUSTAINABLE_TOKENS)}
    if not met:
        reason = f"no load tried meets the objective, the lowest being {loads[0]:g} request/s"
        none = Absent(reason, len(points))
        return {
            SUSTAINABLE.name: measurement(SUSTAINABLE, Value(0, len(points), reason=reason)),
            SUSTAINABLE_TOKENS.name: measurement(SUSTAINABLE_TOKENS, none),
        }
    best = next(point for point in points if point.offered == met[-1])
    load = Value(met[-1], len(points), reason=_bracket(met[-1], first_failing, len(loads)))
    tokens = best.measurements.get("tp.system")
    return {
        SUSTAINABLE.name: measurement(SUSTAINABLE, load),
        SUSTAINABLE_TOKENS.name: replace(tokens, version=SUSTAINABLE_TOKENS.version)
        if tokens
        else measurement(SUSTAINABLE_TOKENS, Absent("tp.system was not measured at this load")),
    }


def _bracket(met: float, failing: float | None, tried: int) -> str:
    if failing is None:
        return f"met at {met:g} request/s, the highest of {tried} loads tried: a lower bound"
    return f"met at {met:g}, not at {failing:g} request/s; {tried} loads tried"


def _value(point: LoadPoint, name: str) -> float | None:
    found = point.measurements.get(name)
    return None if found is None else found.value
