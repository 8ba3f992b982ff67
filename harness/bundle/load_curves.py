"""Latency-throughput curves of a campaign: cells that differ in their load alone, and searches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from accelbench.harness.bundle.groups import Cells, by_cell, key_of, sweeps, together, valid
from accelbench.harness.metrics.curve import (
    SUSTAINABLE,
    SUSTAINABLE_USERS,
    LoadPoint,
    curve,
    objective,
    sustainable,
)
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.arrivals import Constant, Gamma, Poisson
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import ClosedLoop, OpenLoop, Sustainable


def curves(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """A curve for each set of cells that differ in nothing but name, load and length of the window.

    The load is the rate of an open loop's process, where it has one rate, or the users of a
    closed loop. A curve is named after its cell of the lowest load; with a service level it tells
    the load that can be sustained too. A cell that searches is a curve by itself.
    """
    swept = [_curve(cells, loads) for loads in sweeps(cells, records, _load)]
    searches = [
        _search(cells[name], group)
        for name, group in by_cell(records).items()
        if isinstance(cells[name].scenario, Sustainable)
    ]
    return (*swept, *searches)


def by_rate(records: Sequence[Record]) -> dict[float, list[Record]]:
    """The trials of a search by their rate, ascending; those that had none are left out."""
    found: dict[float, list[Record]] = {}
    for record in records:
        if record.rate_per_s is not None:
            found.setdefault(record.rate_per_s, []).append(record)
    return dict(sorted(found.items()))


def searched(cell: Cell, loads: Mapping[float, Sequence[Record]]) -> dict[str, Measurement]:
    """The rate that a cell which searches can sustain, with the tokens at it.

    Args:
        cell: The cell, whose scenario is a search.
        loads: Its trials by rate.
    """
    scenario = cell.scenario
    assert isinstance(scenario, Sustainable)
    return sustainable(_points(cell, loads), objective(scenario.slo))


def _load(cell: Cell) -> tuple[str, float] | None:
    """What the cell shares with the others of its curve, and its load."""
    scenario = cell.scenario
    if isinstance(scenario, ClosedLoop):
        like = replace(scenario, concurrency=1, requests=1)
        return key_of(cell, cell.adapter, like), float(scenario.concurrency)
    if isinstance(scenario, OpenLoop) and isinstance(scenario.arrivals, Constant | Poisson | Gamma):
        rate = scenario.arrivals.rate_per_s
        arrivals = replace(scenario.arrivals, rate_per_s=1.0)
        like_loop = replace(scenario, arrivals=arrivals, requests=1, tail=0)
        return key_of(cell, cell.adapter, like_loop), rate
    return None


def _curve(cells: Cells, loads: Mapping[float, Sequence[Record]]) -> Derived:
    ascending = {load: loads[load] for load in sorted(loads)}
    first = cells[next(iter(ascending.values()))[0].cell]
    points = _points(first, ascending)
    found = {**_sustainable(first, points), **curve(points)}
    return Derived(f"curve.from_{first.name}", _ids(ascending), found)


def _search(cell: Cell, records: Sequence[Record]) -> Derived:
    loads = by_rate(records)
    found = {**searched(cell, loads), **curve(_points(cell, loads))}
    return Derived(f"sustainable.{cell.name}", _ids(loads), found)


def _points(cell: Cell, loads: Mapping[float, Sequence[Record]]) -> list[LoadPoint]:
    return [LoadPoint(load, together(cell, valid(trials))) for load, trials in loads.items()]


def _ids(loads: Mapping[float, Sequence[Record]]) -> tuple[str, ...]:
    """The records that a curve rests on: the valid ones."""
    return tuple(record.id for trials in loads.values() for record in valid(trials))


def _sustainable(cell: Cell, points: Sequence[LoadPoint]) -> Mapping[str, Measurement]:
    """What can be sustained; nothing where the scenario has no service level."""
    scenario = cell.scenario
    if not isinstance(scenario, OpenLoop | ClosedLoop) or scenario.slo is None:
        return {}
    load = SUSTAINABLE if isinstance(scenario, OpenLoop) else SUSTAINABLE_USERS
    return sustainable(points, objective(scenario.slo), load)
