"""Tables of a report as CSV for programs, Markdown and LaTeX for readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.harness.schema.measurement import Measurement
from accelbench.reports.gates import rejected
from accelbench.reports.headline import headline
from accelbench.reports.shown import Shown, over_cells
from accelbench.reports.wording import told, verdict, what

Row = Mapping[str, Any]

TABLES = ("cells", "measurements")
"""Names of the tables."""


@dataclass(frozen=True)
class Table:
    """A table with values at full precision and, in `reads`, as a person reads them.

    Attributes:
        name: Name of its files.
        rows: All with the same columns; None where there is nothing.
        reading: The columns for people.
    """

    name: str
    rows: Sequence[Row]
    reading: Sequence[str]

    def files(self) -> dict[str, bytes]:
        """The table as bytes, by file ending."""
        import pandas as pd  # noqa: PLC0415  (slow to import)

        frame = pd.DataFrame(list(self.rows), dtype=object)
        read = frame.reindex(columns=list(self.reading))
        return {
            "csv": frame.to_csv(index=False, lineterminator="\n").encode(),
            "md": self._markdown().encode(),
            "tex": read.to_latex(index=False, escape=True, longtable=True).encode(),
        }

    def _markdown(self) -> str:
        head = [list(self.reading), ["---"] * len(self.reading)]
        body = [[str(row[column]) for column in self.reading] for row in self.rows]
        lines = (" | ".join(_plain(text) for text in line) for line in (*head, *body))
        return "".join(f"| {line} |\n" for line in lines)


def tables(shown: Sequence[Shown]) -> tuple[Table, Table]:
    """The cells with the main numbers that no rule withholds, and every measurement."""
    main = [
        {**_cell(one), **_number(name, found), **_without(one, name)}
        for one in shown
        for name, found in _numbers(one)
    ]
    return (
        Table("cells", main, ("cell", "evidence", "what", "metric", "reads", "verdict")),
        Table("measurements", _all(shown), ("cell", "evidence", "metric", "reads", "n", "reason")),
    )


def _numbers(one: Shown) -> list[tuple[str, Measurement | None]]:
    return [*headline(one.cell).items()] or [("-", None)]


def _all(shown: Sequence[Shown]) -> list[Row]:
    rows: list[Row] = [
        {**_cell(one), **_number(name, found), "rules": _ids([one], name)}
        for one in shown
        for name, found in one.cell.measurements.items()
    ]
    rows += [
        {
            **_cell(cells[0]),
            "cell": " + ".join(one.label for one in cells),
            **_number(name, found),
            "rules": _ids(cells, name),
        }
        for cells, item in over_cells(shown)
        for name, found in item.measurements.items()
    ]
    return rows


def _without(one: Shown, name: str) -> Row:
    """What stands in place of a number that a rule withholds; the rules alone if none does."""
    rules = rejected(one, name)
    if not rules:
        return {"rules": ""}
    told = "; ".join(f"{rule.id}: {rule.detail}" for rule in rules)
    ids = _ids([one], name)
    nothing = dict.fromkeys(("value", "low", "high"))
    return {**nothing, "reads": f"withheld by {ids}", "reason": told, "rules": ids}


def _ids(cells: Sequence[Shown], name: str) -> str:
    """The rules that withhold a measurement."""
    return ", ".join(dict.fromkeys(rule.id for one in cells for rule in rejected(one, name)))


def _cell(one: Shown) -> Row:
    return {
        "suite": one.bundle.campaign.suite,
        "bundle": one.bundle.id,
        "cell": one.label,
        "evidence": one.cell.evidence,
        "what": what(one.cell),
        "workload": one.cell.workload,
        "adapter": one.cell.adapter,
        "platform": one.cell.platform,
        "verdict": verdict(one.cell),
    }


def _number(name: str, found: Measurement | None) -> Row:
    interval = found.interval if found else None
    energy = found.energy if found else None
    return {
        "metric": name,
        "reads": told(found) if found else "no measurement",
        "value": found.value if found else None,
        "unit": found.unit if found else None,
        "n": found.n if found else None,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "level": interval.level if interval else None,
        "method": interval.method if interval else None,
        "energy": energy.quality if energy else None,
        "scope": energy.scope if energy else None,
        "reason": (found.reason or "") if found else "the cell has no valid trial",
    }


def _plain(text: str) -> str:
    return " ".join(text.replace("\\", "\\\\").replace("|", "\\|").split())
