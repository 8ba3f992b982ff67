"""Tables as CSV, Markdown and LaTeX."""

import csv
import io

import pytest

from accelbench.reports.shown import over_cells, shown_cells
from accelbench.reports.tables import TABLES, Table, tables


def rows_of(table):
    """The rows of a table's CSV."""
    return list(csv.DictReader(io.StringIO(table.files()["csv"].decode())))


def number(text):
    """A number of a CSV file, or None where the field is empty."""
    return float(text) if text else None


def test_the_csv_of_all_measurements_holds_the_bundles_values(cells):
    """Every value and interval to the last bit, every absence with its reason."""
    table = tables(cells)[1]
    rows = {(row["cell"], row["metric"]): row for row in rows_of(table)}
    seen = 0
    for one in cells:
        for name, found in one.cell.measurements.items():
            row = rows[one.label, name]
            assert number(row["value"]) == found.value
            assert number(row["low"]) == (found.interval.low if found.interval else None)
            assert number(row["high"]) == (found.interval.high if found.interval else None)
            assert (row["unit"], int(row["n"])) == (found.unit, found.n)
            assert row["energy"] == (found.energy.quality if found.energy else "")
            assert found.value is not None or row["reason"] == found.reason
            seen += 1
    derived = [found for _, item in over_cells(cells) for found in item.measurements.values()]
    assert len(derived) == 2
    assert len(rows) == seen + len(derived)
    name = "offline-batch_size=1 + offline-batch_size=8"
    assert number(rows[name, "batch.efficiency.8"]["value"]) == derived[1].value


def test_the_table_of_cells_has_every_cell_even_if_it_failed(troubled):
    """With verdict, evidence and bundle."""
    rows = rows_of(tables(shown_cells([troubled]))[0])
    assert {row["cell"] for row in rows} == set(troubled.campaign.cell_names)
    verdicts = {row["cell"]: row["verdict"] for row in rows}
    assert verdicts["stream"] == "failed: crashed"
    assert verdicts["train"] == "invalid: target_not_met"
    (lost,) = [row for row in rows if row["cell"] == "stream"]
    assert (lost["value"], lost["reason"]) == ("", "the cell has no valid trial")


def test_markdown_and_latex_take_text_as_text():
    """What would be a column, a command or a line end is none."""
    row = {"cell": "a|b\\c\nd", "reads": "5_0 % & more", "value": 1.5}
    files = Table("cells", [row], ("cell", "reads")).files()
    lines = files["md"].decode().splitlines()
    assert lines == ["| cell | reads |", "| --- | --- |", "| a\\|b\\\\c d | 5_0 % & more |"]
    latex = files["tex"].decode()
    assert r"5\_0 \% \& more" in latex
    assert r"\textbackslash c" in latex


@pytest.mark.parametrize("place", [0, 1])
def test_people_and_programs_get_the_same_rows(cells, place):
    """One row a number in each of the three files."""
    table = tables(cells)[place]
    assert table.name == TABLES[place]
    files = table.files()
    assert len(files["md"].splitlines()) == len(table.rows) + 2
    body = files["tex"].decode().partition(r"\endlastfoot")[2]
    assert body.count(r"\\") == len(table.rows)
    assert len(rows_of(table)) == len(table.rows)
