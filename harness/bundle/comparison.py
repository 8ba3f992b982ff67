"""Two bundles side by side: a verdict for each metric of each cell that both have."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from accelbench.harness.bundle.checklist import CellChecklist, checklist_of
from accelbench.harness.bundle.layout import ENVIRONMENT
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.environment.changes import changes
from accelbench.harness.errors import BundleError
from accelbench.harness.judge.checklist.rules import gate_comparison
from accelbench.harness.judge.comparison import compare_trials
from accelbench.harness.metrics.catalogue import definition
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.record import Record
from accelbench.harness.statistics.comparison import Comparison

Factor: TypeAlias = Literal["platform", "software", "config", "neighbour"]

_MEANT: Mapping[Factor | None, tuple[str, ...]] = {
    None: (),
    "config": ("adapter", "rules"),
    "software": ("adapter",),
    "platform": ("adapter", "platform", "probe"),
    "neighbour": ("beside",),
}
"""Parts of a cell that may differ, by what is meant to differ."""


@dataclass(frozen=True)
class MetricVerdict:
    """How one metric of one cell came out.

    Attributes:
        cell: Name of the cell.
        metric: Name of the metric.
        found: The verdict with its ratio, interval and reason.
        confounded_by: Facts of the environment that differ and were not meant to.
    """

    cell: str
    metric: str
    found: Comparison
    confounded_by: tuple[str, ...] = ()


def compare_bundles(
    base: Bundle,
    new: Bundle,
    metrics: Mapping[str, Sequence[str]],
    *,
    margin: float,
    factor: Factor | None = None,
) -> tuple[MetricVerdict, ...]:
    """Holds a new bundle against a base.

    Cells are paired by name. Where more of a pair differs than is meant to, or a gating rule
    rejects it, the verdict is "incomparable".

    Args:
        base: What is compared with.
        new: What is judged.
        metrics: The metrics to compare, by cell.
        margin: The relative difference that makes no difference in practice.
        factor: What is meant to differ; None for nothing but the moment.

    Raises:
        BundleError: A file of a bundle cannot be read.
    """
    lists = [{cell.cell: cell for cell in checklist_of(side).cells} for side in (base, new)]
    confounded = tuple(_confounding(base, new, factor))
    return tuple(
        MetricVerdict(
            cell,
            metric,
            _pair(base, new, cell, metric, margin=margin, factor=factor, lists=lists),
            confounded,
        )
        for cell in dict.fromkeys([*base.campaign.cell_names, *new.campaign.cell_names])
        for metric in metrics.get(cell, ())
    )


def _pair(
    base: Bundle,
    new: Bundle,
    cell: str,
    metric: str,
    *,
    margin: float,
    factor: Factor | None,
    lists: Sequence[Mapping[str, CellChecklist]],
) -> Comparison:
    sides = [(_asked(side, cell), _trials(side, cell)) for side in (base, new)]
    for name, (asked, _) in zip(("base", "new"), sides, strict=True):
        if not asked:
            return _incomparable(f"the {name} bundle has no cell of this name")
    other = next(_differences(sides[0][0], sides[1][0], factor), None)
    if other:
        return _incomparable(other)
    found = compare_trials(
        sides[0][1], sides[1][1], replace(definition(metric), name=metric), margin
    )
    if found.verdict == "incomparable" or not all(cell in side for side in lists):
        return found
    a, b = (side[cell] for side in lists)
    gate = gate_comparison(a.documents, a.answers, b.documents, b.answers, metric)
    return found if gate.verdict == "comparable" else _incomparable(gate.reason)


def _asked(bundle: Bundle, cell: str) -> tuple[Cell, ...]:
    """The cell and, where it has one, the neighbour that worked beside it; none if not there."""
    cells = bundle.campaign.cells
    found = cells.get(cell)
    its = cells.get(found.beside.cell) if found and found.beside else None
    return tuple(one for one in (found, its) if one is not None)


def _trials(bundle: Bundle, cell: str) -> list[Record]:
    return [record for record in bundle.records if record.cell == cell]


def _differences(base: Sequence[Cell], new: Sequence[Cell], factor: Factor | None) -> Iterator[str]:
    """Parts of the cell, and of its neighbour, that differ and were not meant to."""
    if [cell.name for cell in base] != [cell.name for cell in new] and factor != "neighbour":
        yield f"the cells were not measured beside the same neighbour{_ways('beside')}"
    for whose, one, other in zip(("cells", "neighbours"), base, new, strict=False):
        if whose == "neighbours" and factor == "neighbour":
            return
        for part in ("workload", "scenario", "rules", "adapter", "platform", "probe"):
            if getattr(one, part) != getattr(other, part) and part not in _MEANT[factor]:
                yield f"the {whose} differ in their {part}{_ways(part)}"


def _ways(part: str) -> str:
    """The factors that free a part of a cell, in words."""
    meant = [name for name, parts in _MEANT.items() if name and part in parts]
    return f"; if that is what is compared, say --factor {' or '.join(meant)}" if meant else ""


def _confounding(base: Bundle, new: Bundle, factor: Factor | None) -> Iterator[str]:
    """Facts of the environment that differ, those that the factor frees left out."""
    if factor == "platform":
        return
    facts = [_read(side, "before.json").get("facts", {}) for side in (base, new)]
    for change in changes(*facts):
        if factor != "software" or not str(change["fact"]).startswith("python."):
            yield str(change["fact"])
    if factor == "software":
        return
    one, other = (_packages(side) for side in (base, new))
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield f"package {name}"


def _packages(bundle: Bundle) -> dict[str, str]:
    found = _read(bundle, "packages.json").get("packages", [])
    return {item["name"]: item["version"] for item in found}


def _read(bundle: Bundle, name: str) -> Mapping[str, Any]:
    path = bundle.path / ENVIRONMENT / name
    try:
        data: Mapping[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    return data


def _incomparable(reason: str) -> Comparison:
    return Comparison("incomparable", None, None, reason, None, None)
