"""A bundle as a plain table for a terminal or a log."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

from accelbench.harness.bundle.summary import Bundle, CellSummary, derive
from accelbench.reports.headline import headline
from accelbench.reports.wording import (
    count,
    energy_told,
    intervals_told,
    reasons_once,
    told,
    verdict,
    what,
)

_HEAD = ("cell", "evidence", "what", "main numbers", "", "verdict")
_GAP = "  "
_INDENT = "    "
_UNBOUNDED = 100_000


def bundle_table(bundle: Bundle) -> str:
    """Every cell with evidence class, main numbers and verdict; then what else a reader needs.

    A terminal that is too narrow for the table gets a block a cell; nothing is ever cut off.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _UNBOUNDED
    cells = bundle.summaries()
    lines = _table(cells)
    if max(len(line) for line in lines) > width:
        lines = [line for cell in cells for line in _block(cell)]
    lines += [*_derived(bundle), *_reasons(cells), *_notes(bundle, cells)]
    return "\n".join(piece for line in lines for piece in _wrapped(line, width))


def _numbers(cell: CellSummary) -> list[tuple[str, str]]:
    return [(name, told(found)) for name, found in headline(cell).items()] or [("-", "")]


def _table(cells: Sequence[CellSummary]) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for cell in cells:
        first, *others = _numbers(cell)
        rows.append((cell.cell, cell.evidence, what(cell), *first, verdict(cell)))
        rows += [("", "", "", *number, "") for number in others]
    return _aligned([_HEAD, *rows])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, the first row with a rule under it."""
    widths = [max(len(text) for text in column) for column in zip(*rows, strict=True)]
    lines = [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(len(line) for line in lines), *lines[1:]]


def _block(cell: CellSummary) -> list[str]:
    numbers = _numbers(cell)
    width = max(len(name) for name, _ in numbers)
    lines = [f"{_GAP}{name:<{width}}{_GAP}{value}".rstrip() for name, value in numbers]
    return [f"{cell.cell}: {verdict(cell)}", f"{_GAP}{cell.evidence}: {what(cell)}", *lines, ""]


def _derived(bundle: Bundle) -> list[str]:
    lines: list[str] = []
    for item in derive(bundle.campaign, bundle.records):
        cells = dict.fromkeys(name.rpartition("/")[0] for name in item.inputs)
        lines += ["", f"{item.name} over {', '.join(cells) or 'no valid cell'}"]
        lines += [f"{_GAP}{name}{_GAP}{told(found)}" for name, found in item.measurements.items()]
    return lines


def _reasons(cells: Sequence[CellSummary]) -> list[str]:
    lines = [
        f"{reason.level}: {names}: {reason.code}: {reason.detail}"
        for reason, names in reasons_once(cells)
    ]
    return ["", *lines] if lines else []


def _notes(bundle: Bundle, cells: Sequence[CellSummary]) -> list[str]:
    shown = [found for cell in cells for found in headline(cell).values()]
    trials = max((cell.trials for cell in cells), default=0)
    said = [f"Up to {count(trials, 'trial')} a cell.", intervals_told(shown), energy_told(shown)]
    lines = ["", " ".join(part for part in said if part)]
    waiting = [name for name in bundle.campaign.cell_names if name not in {c.cell for c in cells}]
    if bundle.id is None:
        lines.append(f"The campaign is not finished; no trial yet: {', '.join(waiting) or 'none'}.")
    return lines


def _wrapped(line: str, width: int) -> list[str]:
    """A long line broken at words, the rest indented."""
    if len(line) <= width:
        return [line]
    return textwrap.wrap(line, max(width, 2 * len(_INDENT)), subsequent_indent=_INDENT)
