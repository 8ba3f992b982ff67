"""Tables of a report as CSV, Markdown and LaTeX."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from accelbench.harness.bundle.summary import Bundle, CellSummary
from accelbench.reports.headline import headline
from accelbench.reports.wording import told, verdict

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "µ": r"\textmu{}",
    }
)


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        name: Name of its files.
        head: The columns.
        rows: The cells.
    """

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def csv(self) -> str:
        """As CSV."""
        sink = io.StringIO()
        csv.writer(sink, lineterminator="\n").writerows([self.head, *self.rows])
        return sink.getvalue()

    def markdown(self) -> str:
        """As a Markdown table."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "".join(
            "| " + " | ".join(text.replace("|", r"\|") for text in row) + " |\n" for row in lines
        )

    def latex(self) -> str:
        """As a LaTeX table with the rules of booktabs."""
        body = [" & ".join(text.translate(_TEX) for text in row) + r" \\" for row in self.rows]
        head = " & ".join(text.translate(_TEX) for text in self.head) + r" \\"
        columns = "l" * len(self.head)
        lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *body]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def tables(bundles: Sequence[Bundle]) -> tuple[Table, Table]:
    """The cells with their main numbers, and every measurement of every cell."""
    cells = [(bundle, cell) for bundle in bundles for cell in bundle.summaries()]
    return (
        Table(
            "cells",
            ("suite", "cell", "evidence", "workload", "adapter", "platform", "numbers", "verdict"),
            tuple(_cell(bundle, cell) for bundle, cell in cells),
        ),
        Table(
            "measurements",
            ("suite", "cell", "metric", "value", "unit", "low", "high", "n", "energy", "reason"),
            tuple(row for bundle, cell in cells for row in _measurements(bundle, cell)),
        ),
    )


def _cell(bundle: Bundle, cell: CellSummary) -> tuple[str, ...]:
    numbers = "; ".join(f"{name} {told(found)}" for name, found in headline(cell).items())
    return (
        bundle.campaign.suite,
        cell.cell,
        cell.evidence,
        cell.workload,
        cell.adapter,
        cell.platform,
        numbers,
        verdict(cell),
    )


def _measurements(bundle: Bundle, cell: CellSummary) -> list[tuple[str, ...]]:
    return [
        (
            bundle.campaign.suite,
            cell.cell,
            name,
            "" if found.value is None else repr(found.value),
            found.unit,
            repr(found.interval.low) if found.interval else "",
            repr(found.interval.high) if found.interval else "",
            str(found.n),
            found.energy.quality if found.energy else "",
            found.reason or "",
        )
        for name, found in cell.measurements.items()
    ]
