"""Cells of a campaign that differ in one thing alone, and what the records of a cell say together."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar

from accelbench.harness.metrics.derived import over_trials
from accelbench.harness.schema.cell import Cell, Choice
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import digest
from accelbench.harness.schema.record import Record

Cells: TypeAlias = Mapping[str, Cell]

Count = TypeVar("Count", int, float)


def sweeps(
    cells: Cells, records: Sequence[Record], of: Callable[[Cell], tuple[str, Count] | None]
) -> list[dict[Count, list[Record]]]:
    """Records by count, for each group of cells with one key and more than one count.

    Args:
        cells: By name.
        records: Of these cells.
        of: The key of a cell's group (see `key_of`) and its count; None where it has none.
    """
    groups: dict[str, dict[Count, list[Record]]] = {}
    for record in records:
        found = of(cells[record.cell])
        if found is not None:
            key, count = found
            groups.setdefault(key, {}).setdefault(count, []).append(record)
    return [group for group in groups.values() if len(group) > 1]


def key_of(cell: Cell, adapter: Choice, *more: object) -> str:
    """What cells of a sweep share: all but name and scenario, and what is given beside it."""
    shared = (cell.workload, cell.rules, adapter, cell.platform, cell.probe, *more)
    return digest([[encode(part) for part in shared], cell.weights_from, encode(cell.beside)])


def by_cell(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Records by the name of their cell."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.cell, []).append(record)
    return found


def valid(records: Sequence[Record]) -> list[Record]:
    """Those that count."""
    return [record for record in records if record.status == "valid"]


def together(cell: Cell, counted: Sequence[Record]) -> Mapping[str, Measurement]:
    """What the records of a cell that count say together.

    Args:
        cell: The cell.
        counted: Its records in order of their repeats.
    """
    if not counted:
        return {}
    pilot = [r for r in counted if r.repeat < cell.rules.trials and r.status == "valid"]
    planned = cell.rules.precision is not None and len(pilot) == cell.rules.trials
    return over_trials(
        [record.measurements for record in counted], cell.rules.trials if planned else None
    )
