"""The page: one HTML file that needs nothing else, with figures and tables as files beside it."""

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.storage import storing, write_file
from accelbench.harness.bundle.summary import Bundle, CellSummary
from accelbench.harness.errors import OutputRefused
from accelbench.harness.foreign import foreign
from accelbench.harness.metrics.catalogue import catalogue
from accelbench.harness.metrics.registry import Definition
from accelbench.harness.schema.measurement import EnergyNote
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.record import Status
from accelbench.reports.drawing import demand_extra, inlined, rendered
from accelbench.reports.figures import FIGURES, drawing
from accelbench.reports.gates import rejected, rules_once
from accelbench.reports.headline import headline
from accelbench.reports.machine import changed, code, machine
from accelbench.reports.shown import Shown, marks, over_cells, shown_cells
from accelbench.reports.tables import TABLES, tables
from accelbench.reports.template import filled
from accelbench.reports.wording import (
    ENERGY_MARK,
    count,
    energy_told,
    intervals_told,
    reasons_once,
    told,
    value_told,
    verdict,
    what,
)

_FIGURE_ENDINGS = ("svg", "png", "pdf")
_TABLE_ENDINGS = ("csv", "md", "tex")


@dataclass(frozen=True)
class _Figure:
    """A figure on the page.

    Attributes:
        name: Name of its files.
        title: What it shows.
        caption: What is drawn and how it was obtained.
        svg: To be put into the page; empty where there is none.
        lacks: Why there is none.
    """

    name: str
    title: str
    caption: str
    svg: str
    lacks: str


def write_report(bundles: Sequence[Bundle], out: Path) -> Path:
    """Writes the page, the figures as SVG, PNG and PDF, and the tables as CSV, Markdown and LaTeX.

    Args:
        bundles: What is reported.
        out: The folder; files of an earlier report in it are replaced.

    Returns:
        The path of the page.

    Raises:
        MissingPart: The extra `report` is not installed.
        BundleError: What a bundle tells of its machine cannot be read.
        OutputRefused: The folder cannot be made or written.
        StorageError: The disk refused.
    """
    demand_extra("a report")
    _make(out)
    shown = shown_cells(bundles)
    for table in tables(shown):
        for ending, content in table.files().items():
            write_file(out / "tables" / f"{table.name}.{ending}", content)
    figures = [_figure(name, shown, out / "figures") for name in FIGURES]
    page = out / "index.html"
    write_file(page, _page(bundles, shown, figures).encode())
    return page


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputRefused(
            f"cannot write there: {error.strerror}", where=str(out), remedy="choose another --out"
        ) from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise OutputRefused("not writable", where=str(out), remedy="choose another --out")


def _figure(name: str, shown: Sequence[Shown], folder: Path) -> _Figure:
    """Draws a figure and writes its files; those of an earlier report go if it lacks its data."""
    drawn, title = drawing(name, shown), FIGURES[name]
    if drawn.chart is None:
        with storing(folder):
            for ending in _FIGURE_ENDINGS:
                (folder / f"{name}.{ending}").unlink(missing_ok=True)
        return _Figure(name, title, "", "", drawn.lacks)
    content = rendered(drawn.chart, name)
    for ending, data in content.items():
        write_file(folder / f"{name}.{ending}", data)
    svg = inlined(content["svg"].decode(), f"figure-{name}", title)
    return _Figure(name, title, drawn.caption, svg, "")


def _page(bundles: Sequence[Bundle], shown: Sequence[Shown], figures: Sequence[_Figure]) -> str:
    numbers = [found for one in shown for found in headline(one.cell).values()]
    with foreign("writing the page"):
        return filled(
            "page.html.j2",
            _filters(),
            bundles=list(zip(marks(bundles), bundles, strict=True)),
            shown=shown,
            several=over_cells(shown),
            figures=figures,
            tables=TABLES,
            figure_endings=_FIGURE_ENDINGS,
            table_endings=_TABLE_ENDINGS,
            intervals=intervals_told(numbers),
            energy=energy_told(numbers),
            definitions=_definitions(shown),
        )


def _filters() -> Mapping[str, Callable[..., Any]]:
    """What the template may ask of bundles, cells and figures."""
    return {
        "told": told,
        "value_told": value_told,
        "verdict": verdict,
        "what": what,
        "headline": headline,
        "count": count,
        "command": shlex.join,
        "plain": _plain,
        "machine": machine,
        "changed": changed,
        "code": code,
        "energies": _energies,
        "moment": _moment,
        "tally": _tally,
        "reasons_once": reasons_once,
        "rejected": rejected,
        "rules_once": rules_once,
        "mark": ENERGY_MARK.__getitem__,
    }


def _energies(cell: CellSummary) -> Mapping[EnergyNote, str]:
    """How the cell's energies were obtained, each way with the metrics it holds for."""
    ways: dict[EnergyNote, list[str]] = {}
    for name, found in cell.measurements.items():
        if found.energy is not None:
            ways.setdefault(found.energy, []).append(name)
    return {note: ", ".join(names) for note, names in ways.items()}


def _definitions(shown: Sequence[Shown]) -> list[Definition]:
    """The definitions of all metrics on the page."""
    names = {name for one in shown for name in one.cell.measurements}
    names |= {name for _, item in over_cells(shown) for name in item.measurements}
    return [
        found
        for found in catalogue()
        if found.name in names
        or ("<" in found.name and any(n.startswith(found.name.partition("<")[0]) for n in names))
    ]


def _tally(cells: Sequence[CellSummary]) -> list[tuple[Status, int]]:
    """How many cells are valid, invalid and failed."""
    statuses = [cell.status for cell in cells]
    every: tuple[Status, ...] = ("valid", "invalid", "failed")
    return [(status, statuses.count(status)) for status in every if status in statuses]


def _plain(value: Plain) -> str:
    """Plain data as a person reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, Sequence):
        return ", ".join(_plain(item) for item in value)
    return json.dumps(value)


def _moment(utc: str) -> str:
    """An instant in ISO 8601, to the minute."""
    return f"{utc[:16].replace('T', ' ')} UTC"
