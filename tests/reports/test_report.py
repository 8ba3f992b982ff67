"""`accelbench report` and the table for the terminal."""

import csv
import html.parser
from dataclasses import replace

from accelbench.harness.bundle.summary import read_bundle
from accelbench.reports.figures import FIGURES
from accelbench.reports.page import write_report
from accelbench.reports.terminal import bundle_table


class _Tags(html.parser.HTMLParser):
    """Collects the addresses a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag, attrs):
        """Notes sources and scripts."""
        self.scripts += tag == "script"
        if tag != "a":
            self.fetched += [value for name, value in attrs if name in ("src", "href") and value]


def test_a_report_is_one_page_with_figures_and_tables(accelbench, rehearsal, tmp_path):
    """The page fetches nothing; each figure and table has three files; the path comes last."""
    ended = accelbench("report", str(rehearsal), "--out", "page")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "page/index.html"
    out = tmp_path / "page"
    drawn = {path.stem for path in (out / "figures").glob("*.svg")}
    assert len(drawn) >= 4
    assert drawn <= set(FIGURES)
    for name in drawn:
        for ending in ("svg", "png", "pdf"):
            assert (out / f"figures/{name}.{ending}").stat().st_size > 500, name
    for name in ("cells", "measurements"):
        for ending in ("csv", "md", "tex"):
            assert (out / f"tables/{name}.{ending}").is_file()
    tags = _Tags()
    tags.feed((out / "index.html").read_text())
    assert tags.scripts == 0
    assert not [address for address in tags.fetched if not address.startswith("#")]


def test_the_tables_hold_the_bundles_values(rehearsal, tmp_path):
    """Every value of every cell stands in the CSV to the last bit."""
    bundle = read_bundle(rehearsal)
    write_report([bundle], tmp_path)
    with (tmp_path / "tables/measurements.csv").open() as stream:
        rows = {(row["cell"], row["metric"]): row for row in csv.DictReader(stream)}
    for cell in bundle.summaries():
        for name, found in cell.measurements.items():
            row = rows[cell.cell, name]
            assert (float(row["value"]) if row["value"] else None) == found.value
            assert found.value is not None or row["reason"]


def test_hostile_text_of_a_bundle_is_escaped(rehearsal, tmp_path):
    """What a bundle says is text, never markup."""
    bundle = read_bundle(rehearsal)
    hostile = replace(bundle.campaign, suite="<script>alert(1)</script>")
    page = write_report([replace(bundle, campaign=hostile)], tmp_path).read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_table_names_every_cell_its_evidence_and_how_energy_was_obtained(rehearsal):
    """Modelled energy says so beside its number."""
    text = bundle_table(read_bundle(rehearsal))
    for cell in ("train", "stream", "generate", "offline-batch_size=1", "offline-batch_size=8"):
        assert cell in text
    line = next(line for line in text.splitlines() if "energy.per_inference" in line)
    assert "model" in line
    assert "batch.efficiency.8" in text


def test_a_file_in_place_of_the_report_is_refused(accelbench, rehearsal, tmp_path):
    """One line, exit code 2."""
    (tmp_path / "taken").write_text("")
    ended = accelbench("report", str(rehearsal), "--out", "taken")
    assert ended.code == 2
    assert "cannot write there" in ended.complaint()
