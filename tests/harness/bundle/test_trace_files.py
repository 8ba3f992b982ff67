"""Trace folders, written by us or by anyone."""

import json

import pyarrow as pa
import pytest

from accelbench.harness.bundle.trace_files import add_rows, read_trace, write_trace
from accelbench.harness.errors import BundleError
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.trace import TABLES, Meter


def _trace():
    clock = VirtualClock()
    recorder = Recorder(clock)
    recorder.open_window()
    clock.advance_ns(5)
    recorder.request("b", 3, 3, 5, samples=2)
    recorder.request("a", 0, 1, None, status="failed", error="no")
    recorder.close_window()
    return recorder.freeze("simulated")


def test_what_is_written_is_read_back_in_time_order(tmp_path):
    """Rows come back by due time, with nulls as nulls."""
    write_trace(_trace(), tmp_path)
    requests = read_trace(tmp_path).table("requests")
    assert requests.column("id").to_pylist() == ["a", "b"]
    assert requests.column("done_ns").to_pylist() == [None, 5]
    assert requests.column("output_tokens").to_pylist() == [None, None]


def test_rows_watched_from_outside_are_added(tmp_path):
    """Samples and their meter join the trace; what was there stays."""
    write_trace(_trace(), tmp_path)
    meter = Meter("estimated", "by hand", "process", ("cpu",), 0.1)
    row = {"probe": "p", "channel": "c", "kind": "power", "at_ns": 1, "value": 2.0, "unit": "W"}
    add_rows(tmp_path, {"samples": [row]}, {"p": meter})
    add_rows(tmp_path, {"samples": [{**row, "at_ns": 0}]}, {})
    trace = read_trace(tmp_path)
    assert trace.head.meters == {"p": meter}
    assert trace.table("samples").column("at_ns").to_pylist() == [0, 1]
    assert trace.table("requests").num_rows == 2


def test_a_person_can_write_a_trace_as_json_lines(tmp_path):
    """Any order, integer ids, missing optional columns: it is read."""
    head = {"schema": "accelbench.trace/1", "clock": "wall", "evidence": "measured"}
    (tmp_path / "trace.json").write_text(json.dumps({**head, "window_ns": [0, 10]}))
    (tmp_path / "requests.jsonl").write_text(
        '{"id": 2, "due_ns": 5, "sent_ns": 5, "done_ns": 9, "status": "ok"}\n\n'
        '{"id": 1, "due_ns": 0, "sent_ns": 0, "done_ns": 4, "status": "ok"}\n'
    )
    trace = read_trace(tmp_path)
    assert trace.table("requests").column("id").to_pylist() == ["1", "2"]
    assert trace.table("tokens").num_rows == 0


@pytest.mark.parametrize(
    "line", ['{"id": 1, "due_ns": "soon"}', "[1]", "{", '{"id": 1, "due_ns": 1.5}', "nonsense"]
)
def test_a_broken_line_is_one_error_with_its_file(tmp_path, line):
    """The message names the file."""
    head = {"schema": "accelbench.trace/1", "clock": "wall", "evidence": "measured"}
    (tmp_path / "trace.json").write_text(json.dumps({**head, "window_ns": [0, 10]}))
    (tmp_path / "requests.jsonl").write_text(line)
    with pytest.raises(BundleError, match=r"requests\.jsonl"):
        read_trace(tmp_path)


def test_a_folder_without_a_trace_says_what_to_do(tmp_path):
    """The remedy names the file that is looked for."""
    with pytest.raises(BundleError, match=r"trace\.json"):
        read_trace(tmp_path)


def _streamed(folder, tokens):
    """A trace of one request with so many token arrivals, written as ours are."""
    clock = VirtualClock()
    recorder = Recorder(clock)
    recorder.open_window()
    for at in range(tokens):
        recorder.token("a", at)
    clock.advance_ns(tokens)
    recorder.request("a", 0, 0, tokens, output_tokens=tokens)
    recorder.close_window()
    write_trace(recorder.freeze("simulated"), folder)


def test_token_arrivals_stay_on_the_disk_until_they_are_read(tmp_path, monkeypatch):
    """They come in parts, which together are the table; a column that is not there is null."""
    monkeypatch.setattr("accelbench.harness.bundle.trace_files._PART_ROWS", 100)
    _streamed(tmp_path, 250)
    trace = read_trace(tmp_path)
    assert not isinstance(trace.tables["tokens"], pa.Table)
    assert trace.num_rows("tokens") == 250
    parts = list(trace.parts("tokens", ("at_ns", "kind")))
    assert max(part.num_rows for part in parts) == 100
    assert [at for part in parts for at in part.column("at_ns").to_pylist()] == list(range(250))
    assert trace.table("tokens").schema == TABLES["tokens"]


def test_a_changed_byte_in_a_page_is_noticed_when_it_is_read(tmp_path):
    """Our files carry a checksum a page."""
    _streamed(tmp_path, 5000)
    path = tmp_path / "tokens.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(BundleError, match="cannot be read"):
        read_trace(tmp_path).table("tokens")
