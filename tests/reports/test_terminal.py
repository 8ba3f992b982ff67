"""The table that `run` and `show` print."""

import os
import shutil
import sys
from dataclasses import replace

import pytest

from accelbench.reports.headline import headline
from accelbench.reports.terminal import bundle_table
from accelbench.reports.wording import told


@pytest.fixture
def narrow(monkeypatch):
    """A terminal of 60 columns."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((60, 24)))


def lines_of(text, cell):
    """The lines of the table from a cell's first to the next cell's."""
    rows = iter(text.splitlines())
    found = [next(row for row in rows if row.startswith(f"{cell} "))]
    for row in rows:
        if not row.startswith(" "):
            break
        found.append(row)
    return found


def test_every_cell_stands_with_its_evidence_numbers_and_verdict(rehearsed):
    """One line a number; nothing is cut off where there is no terminal."""
    text = bundle_table(rehearsed)
    assert text.splitlines()[0].split() == [
        "cell",
        "evidence",
        "what",
        "main",
        "numbers",
        "verdict",
    ]
    for cell in rehearsed.summaries():
        rows = lines_of(text, cell.cell)
        assert cell.evidence in rows[0]
        assert rows[0].endswith(cell.status)
        for row, (name, found) in zip(rows, headline(cell).items(), strict=True):
            assert name in row
            assert told(found) in row


def test_plain_text_only(rehearsed):
    """No escape codes, no box drawing: a log takes it as it is."""
    text = bundle_table(rehearsed)
    assert all(line.isprintable() for line in text.splitlines())
    assert not any(0x2500 <= ord(char) <= 0x259F for char in text)


def test_energy_that_is_estimated_says_so_beside_the_number(rehearsed, with_records):
    """And what the mark means, once."""

    def estimated(record):
        found = {
            name: replace(one, energy=replace(one.energy, quality="estimated"))
            if one.energy
            else one
            for name, one in record.measurements.items()
        }
        return replace(record, measurements=found)

    text = bundle_table(with_records(rehearsed, estimated))
    rows = [row for row in text.splitlines() if "energy.per_inference" in row]
    assert rows
    assert all("/inference est." in row for row in rows)
    assert text.count("est. = estimated, not metered") == 1


def test_a_cell_that_failed_shows_why_and_no_number(rehearsed, with_records, failed):
    """The code in its line, the detail once below the table."""
    bundle = with_records(rehearsed, lambda one: failed(one) if one.cell == "stream" else one)
    text = bundle_table(bundle)
    (row,) = lines_of(text, "stream")
    assert row.endswith("failed: crashed")
    assert row.split()[-3] == "-"
    assert text.count("failed: stream: crashed: the process was killed by signal 9") == 1


def test_what_rests_on_several_cells_names_them(rehearsed, with_records, failed):
    """Batching efficiency stands below the table, or the reason why there is none."""
    text = bundle_table(rehearsed)
    assert "batch.efficiency over offline-batch_size=1, offline-batch_size=8" in text
    assert "batch.efficiency.8  0.6" in text
    nothing = bundle_table(with_records(rehearsed, failed))
    assert "batch.efficiency over no valid cell" in nothing
    assert "none: no valid record at batch size 1" in nothing
    assert "No number here has an interval." in nothing


def test_an_unfinished_campaign_says_what_has_no_trial_yet(rehearsed):
    """A table of half a campaign is not taken for all of it."""
    begun = tuple(record for record in rehearsed.records if record.cell == "train")
    text = bundle_table(replace(rehearsed, id=None, records=begun))
    assert "not finished; no trial yet: offline-batch_size=1, offline-batch_size=8, stream" in text
    assert "not finished" not in bundle_table(rehearsed)
    assert "not finished" in bundle_table(replace(rehearsed, id=None, records=()))


def test_a_narrow_terminal_gets_a_block_a_cell(rehearsed, narrow):
    """No line is wider than the terminal, and no number is lost."""
    text = bundle_table(rehearsed)
    assert max(len(line) for line in text.splitlines()) <= 60
    for cell in rehearsed.summaries():
        assert f"{cell.cell}: valid" in text
        for name, found in headline(cell).items():
            assert f"{name} " in text
            assert told(found) in " ".join(text.split())


def test_the_first_number_of_a_cell_is_shown_even_if_it_is_absent(rehearsed):
    """That a target was not met is the news; what else is absent would only be noise."""
    cell = next(one for one in rehearsed.summaries() if one.scenario == "train_to_target")
    absent = {
        name: replace(found, value=None, interval=None, energy=None, reason="it was not reached")
        for name, found in cell.measurements.items()
    }
    shown = headline(replace(cell, measurements=absent))
    assert list(shown) == ["train.time_to_target"]
    assert headline(replace(cell, measurements={})) == {}
    assert all(1 <= len(headline(one)) <= 4 for one in rehearsed.summaries())
