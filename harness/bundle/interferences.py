"""Cells of a campaign that are measured beside a neighbour and alone, and what that cost."""

from collections.abc import Sequence
from dataclasses import replace

from accelbench.harness.bundle.groups import Cells, by_cell, key_of, valid
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.metrics.interference import interference
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import Sustainable


def interferences(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """One for each cell beside a neighbour that a cell without differs from in nothing but name.

    Several such cells alone are taken together. A search has trials of different loads, which
    say nothing together.
    """
    groups = by_cell(records)
    found = []
    for name in groups:
        cell = cells[name]
        if cell.beside is None or isinstance(cell.scenario, Sustainable):
            continue
        alone = [other for other in groups if _is_alone(cell, cells[other])]
        if alone:
            its = cell.beside.cell
            pooled = [record for other in alone for record in valid(groups[other])]
            own = valid(groups.get(its, []))
            found.append(interference(name, valid(groups[name]), pooled, (its, own)))
    return tuple(found)


def _is_alone(cell: Cell, other: Cell) -> bool:
    """Whether a cell is another without its neighbour."""
    if other.beside is not None:
        return False
    without = replace(cell, beside=None)
    return key_of(without, cell.adapter, cell.scenario) == key_of(
        other, other.adapter, other.scenario
    )
