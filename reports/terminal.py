"""A bundle as a plain table for a terminal or a log."""

import shutil
import sys
import textwrap
from collections.abc import Sequence

from accelbench.harness.bundle.summary import Bundle, CellSummary, derive
from accelbench.reports.headline import headline
from accelbench.reports.wording import count, reason_lines, told, verdict

_HEAD = ("cell", "evidence", "what", "main numbers", "verdict")
_GAP = "  "
_WIDEST = 400
_LEGEND = (
    "in brackets 95 % intervals (Student's t over the trials). "
    "est.: energy estimated, not metered; model: from a simulator's ledger."
)


def bundle_table(bundle: Bundle) -> str:
    """Every cell with evidence class, main numbers and verdict; then what else a reader needs."""
    cells = bundle.summaries()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _WIDEST
    lines = _table([row for cell in cells for row in _rows(cell)])
    for item in derive(bundle.campaign, bundle.records):
        lines.append("")
        lines += [f"{name}  {told(found)}" for name, found in item.measurements.items()]
    reasons = reason_lines(cells)
    if reasons:
        lines += ["", *reasons]
    trials = max((cell.trials for cell in cells), default=0)
    lines += [
        "",
        f"Means over up to {count(trials, 'trial')}; {_LEGEND}",
    ]
    return "\n".join(piece for line in lines for piece in _wrapped(line, width))


def _rows(cell: CellSummary) -> list[tuple[str, ...]]:
    place = f" on {cell.platform}" if cell.evidence != "measured" else ""
    what = f"{cell.workload}, {cell.adapter}{place}"
    numbers = [f"{name}  {told(found)}" for name, found in headline(cell).items()] or ["-"]
    first = (cell.cell, cell.evidence, what, numbers[0], verdict(cell))
    return [first, *(("", "", "", number, "") for number in numbers[1:])]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    every = [_HEAD, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(_HEAD))]
    lines = [
        _GAP.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]
    return [lines[0], _GAP.join("-" * width for width in widths), *lines[1:]]


def _wrapped(line: str, width: int) -> list[str]:
    """Long lines broken at words, the rest indented, so that nothing is cut off."""
    return textwrap.wrap(line, width, subsequent_indent="    ", replace_whitespace=False) or [""]
