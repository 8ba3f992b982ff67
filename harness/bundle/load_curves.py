"""Latency-throughput curves of a campaign: cells that differ in their load alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from accelbench.harness.bundle.groups import Cells, key_of, sweeps, together, valid
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
from accelbench.harness.schema.scenario import ClosedLoop, OpenLoop


def curves(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """A curve for each set of cells that differ in nothing but name, load and length of the window.

    The load is the rate of an open loop's process, where it has one rate, or the users of a
    closed loop. A curve is named after its cell of the lowest load; with a service level it tells
    the load that can be sustained too.
    """
    return tuple(_curve(cells, loads) for loads in sweeps(cells, records, _load))


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
    counted = {load: valid(loads[load]) for load in sorted(loads)}
    first = cells[loads[min(loads)][0].cell]
    points = [LoadPoint(load, together(first, trials)) for load, trials in counted.items()]
    ids = tuple(record.id for trials in counted.values() for record in trials)
    found = {**_sustainable(first, points), **curve(points)}
    return Derived(f"curve.from_{first.name}", ids, found)


def _sustainable(cell: Cell, points: Sequence[LoadPoint]) -> Mapping[str, Measurement]:
    """What can be sustained; nothing where the scenario has no service level."""
    scenario = cell.scenario
    if not isinstance(scenario, OpenLoop | ClosedLoop) or scenario.slo is None:
        return {}
    load = SUSTAINABLE if isinstance(scenario, OpenLoop) else SUSTAINABLE_USERS
    return sustainable(points, objective(scenario.slo), load)
