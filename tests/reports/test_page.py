"""The page of a report."""

import html.parser
import re
from dataclasses import replace
from pathlib import Path

import pytest

from accelbench.harness.errors import MissingPart, OutputRefused, StorageError
from accelbench.reports import drawing
from accelbench.reports import page as page_module
from accelbench.reports.figures import FIGURES
from accelbench.reports.page import write_report
from accelbench.reports.tables import TABLES
from accelbench.reports.wording import told

pytest.importorskip("vl_convert")

VOID = {"meta", "br", "link", "img", "input", "hr", "wbr"}


class Outline(html.parser.HTMLParser):
    """Reads a page strictly: every tag is closed in order; collects what tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        """Opens an element."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        """An element of an SVG that closes itself."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        """Closes the element that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Collects the text outside of styles."""
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        """All that a reader sees, in one line."""
        return " ".join(" ".join(self.words).split())

    def attributes(self, name: str) -> list[str]:
        """Every value of an attribute."""
        return [value for _, attrs in self.tags if (value := attrs.get(name)) is not None]


@pytest.fixture(scope="module")
def out(rehearsed, tmp_path_factory) -> Path:
    """The report of the rehearsal."""
    folder = tmp_path_factory.mktemp("report") / "deep" / "page"
    assert write_report([rehearsed], folder) == folder / "index.html"
    return folder


@pytest.fixture(scope="module")
def outline(out) -> Outline:
    """Its page, read."""
    return Outline((out / "index.html").read_text())


@pytest.fixture(scope="module")
def both(rehearsed, troubled, tmp_path_factory) -> str:
    """The page of two bundles, one of them with hostile names."""
    return write_report([rehearsed, troubled], tmp_path_factory.mktemp("both")).read_text()


def test_the_page_needs_nothing_but_itself(out, outline):
    """No script, nothing fetched, styles and figures inside."""
    text = (out / "index.html").read_text()
    tags = {tag for tag, _ in outline.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "image", "use"}
    assert outline.attributes("src") == []
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")]
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert not re.search(r"https?://", text)
    assert sum(tag == "svg" for tag, _ in outline.tags) >= 4


def test_every_link_leads_somewhere(out, outline):
    """To a place on the page, or to a file beside it."""
    ids = outline.attributes("id")
    assert len(ids) == len(set(ids))
    for address in outline.attributes("href"):
        assert address.removeprefix("#") in ids if address[0] == "#" else (out / address).is_file()


def test_a_screen_reader_finds_its_way(outline):
    """A language, a title, one h1, captions, headers with scope, and a name for each figure."""
    tags = [tag for tag, _ in outline.tags]
    assert outline.tags[0] == ("html", {"lang": "en"})
    assert tags.count("title") == tags.count("h1") == 1
    assert tags.count("table") == tags.count("caption") > 1
    assert tags.count("figure") == tags.count("figcaption") == tags.count("svg")
    assert all("scope" in attrs for tag, attrs in outline.tags if tag == "th")
    assert all(attrs.get("aria-label") for tag, attrs in outline.tags if tag == "svg")


def test_the_page_says_what_a_reader_needs(rehearsed, outline):
    """Every number as the table words it, and how to check it and run it again."""
    text = outline.text
    assert rehearsed.id in text
    assert f"accelbench verify {rehearsed.path}" in text
    assert "adapter.power_w=50" in text
    assert "Python 3." in text
    for cell in rehearsed.summaries():
        assert f"{cell.cell} {cell.evidence}" in text
        for name, found in cell.measurements.items():
            assert name in text
            assert found.value is not None or found.reason in text
        assert told(cell.measurements["energy.total"]) in text
    assert re.search(r"modelled \([^)]*\benergy\.per_inference\b", text)
    assert "batch.efficiency over offline-batch_size=1, offline-batch_size=8" in text


def test_what_a_rule_rejects_is_withheld_and_the_page_is_not(rehearsed, with_records, tmp_path):
    """The rule stands in place of the main number; the number stays with its cell below."""
    silent = with_records(rehearsed, lambda record: replace(record, engine={}))
    text = Outline(write_report([silent], tmp_path).read_text()).text
    assert "energy.per_inference withheld by RULE-02" in text
    assert "Energy per inference or token, by how it is known is left out: " in text
    assert "reject : offline-batch_size=1, offline-batch_size=8, stream: RULE-02 : energy" in text
    (one, *_) = [cell for cell in silent.summaries() if cell.cell == "stream"]
    assert told(one.measurements["energy.per_inference"]) in text
    assert len(list((tmp_path / "figures").glob("*.svg"))) >= 4


def test_figures_and_tables_are_files_too(out):
    """Each in three formats, which are what their names say."""
    drawn = {path.stem for path in (out / "figures").iterdir()}
    assert len(drawn) >= 4
    assert drawn <= set(FIGURES)
    for name in drawn:
        assert (out / f"figures/{name}.svg").read_text().startswith("<svg")
        assert (out / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
    for name in TABLES:
        for ending in ("csv", "md", "tex"):
            assert (out / f"tables/{name}.{ending}").stat().st_size > 500


def test_what_a_bundle_says_is_text_never_markup(both, hostile):
    """Names, reasons, facts and logs of a bundle cannot break out of the page."""
    outline = Outline(both)
    assert not {tag for tag, _ in outline.tags} & {"script"}
    assert both.count("&lt;/td&gt;&lt;script&gt;") >= 5
    assert hostile in outline.text


def test_several_bundles_are_told_apart(both, troubled):
    """Every cell has the mark of its bundle, and an unfinished one says so."""
    text = Outline(both).text
    for cell in troubled.campaign.cell_names:
        assert f"A: {cell} " in text
        assert f"B: {cell} " in text
    assert "B: stream simulated fake_classifier on fig3_reference (fake) no valid trial" in text
    assert "1 failed" in text
    assert "1 invalid" in text
    assert text.count("The campaign is not finished.") == 1


def test_a_report_is_written_over_an_earlier_one(rehearsed, with_records, failed, tmp_path):
    """Files of ours are replaced, a figure that lacks its data now is gone, the rest stays."""
    (tmp_path / "figures").mkdir()
    for name in ("index.html", "figures/energy.png", "mine.txt"):
        (tmp_path / name).write_text("earlier")
    page = write_report([with_records(rehearsed, failed)], tmp_path)
    assert "earlier" not in page.read_text()
    assert not (tmp_path / "figures/energy.png").exists()
    assert (tmp_path / "mine.txt").read_text() == "earlier"
    assert (
        "Energy per inference or token, by how it is known is left out"
        in Outline(page.read_text()).text
    )


def test_a_place_that_is_a_file_is_refused(rehearsed, tmp_path):
    """Before anything is written."""
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputRefused, match="cannot write there"):
        write_report([rehearsed], tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_that_is_not_writable_is_refused(rehearsed, tmp_path, monkeypatch):
    """One line, not a traceback halfway."""
    monkeypatch.setattr(page_module.os, "access", lambda *_: False)
    with pytest.raises(OutputRefused, match="not writable"):
        write_report([rehearsed], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_one_error_of_ours(rehearsed, tmp_path):
    """As where a file stands in place of a folder of ours."""
    (tmp_path / "tables").write_text("")
    with pytest.raises(StorageError, match="tables"):
        write_report([rehearsed], tmp_path)


def test_without_its_extra_a_report_says_what_to_install(rehearsed, tmp_path, monkeypatch):
    """And writes nothing."""
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    with pytest.raises(MissingPart) as caught:
        write_report([rehearsed], tmp_path / "page")
    assert 'pip install "accelbench[report]"' in str(caught.value)
    assert not (tmp_path / "page").exists()
