"""What a neighbour costs: the same cell beside it and alone, and the neighbour's own loss.

`interference.e2e.response.p99` is `e2e.response.p99` beside the neighbour over the same alone.
"""

from collections.abc import Mapping, Sequence

from accelbench.harness.metrics.derived import Derived, trial_ratio
from accelbench.harness.metrics.registry import Definition, define, measurement
from accelbench.harness.schema.measurement import Better, Measurement
from accelbench.harness.schema.record import Record

_SOURCE = "sections 3.2.4 and 3.6.4"
_OVER = "means over the valid trials of each; both are cells of one campaign"

COMPARED: Mapping[str, Better] = {
    **{
        f"{quantity}.{percentile}": "lower"
        for quantity in ("e2e.response", "ttft.response", "itl.gap", "tpot", "query.response")
        for percentile in ("p50", "p99")
    },
    "train.time_to_target": "lower",
    "tp.requests": "higher",
    "tp.samples": "higher",
    "tp.system": "higher",
    "goodput.requests": "higher",
    "goodput.tokens": "higher",
    "slo.attainment": "higher",
}
"""What is held against itself, and the direction of the ratio: times above 1 are slower, rates
below 1 are slower."""

_DEFINED: Mapping[str, Definition] = {
    name: define(
        Definition(
            f"interference.{name}",
            "1",
            f"Metric {name} beside a neighbour, over the same alone.",
            f"{name} beside / {name} alone, {_OVER}; they differ in name and neighbour only",
            _SOURCE,
            better,
        )
    )
    for name, better in COMPARED.items()
}

NEIGHBOUR = define(
    Definition(
        "interference.neighbour",
        "1",
        "Rate of the neighbour beside the measured cell, over its rate alone.",
        f"neighbour.rate / tp.requests of the neighbour's own trials, {_OVER}; the pauses between"
        " two passes of its work are in the first only, so that it is below 1 by their share",
        _SOURCE,
        "higher",
    )
)


def interference(
    cell: str,
    beside: Sequence[Record],
    alone: Sequence[Record],
    neighbour: tuple[str, Sequence[Record]],
) -> Derived:
    """What a cell and its neighbour cost each other.

    Args:
        cell: Name of the cell that is measured beside the neighbour.
        beside: Its valid trials.
        alone: Valid trials of the same work alone.
        neighbour: Name of the neighbour, and its own valid trials.
    """
    name, its = neighbour
    shared = _names(beside) & _names(alone)
    found = {
        f"interference.{metric}": measurement(
            definition,
            trial_ratio((metric, beside, f"cell {cell}"), (metric, alone, "the cell alone")),
        )
        for metric, definition in _DEFINED.items()
        if metric in shared
    }
    told = trial_ratio(
        ("neighbour.rate", beside, f"cell {cell}"), ("tp.requests", its, f"the neighbour {name}")
    )
    lost: dict[str, Measurement] = {NEIGHBOUR.name: measurement(NEIGHBOUR, told)}
    inputs = tuple(dict.fromkeys(record.id for record in (*alone, *beside, *its)))
    return Derived(f"interference.{cell}", inputs, {**found, **lost})


def _names(records: Sequence[Record]) -> set[str]:
    return {name for record in records for name in record.measurements}
