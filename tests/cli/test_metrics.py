"""`accelbench metrics TRACE`: a trace that anybody wrote, measured."""

import json
from pathlib import Path

import pytest

S = 1_000_000_000


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Two requests of a service level, written by hand as JSON lines."""
    folder = tmp_path / "trace"
    folder.mkdir()
    head = {
        "schema": "accelbench.trace/1",
        "clock": "wall",
        "evidence": "measured",
        "window_ns": [0, 10 * S],
        "precision": "fp32",
    }
    (folder / "trace.json").write_text(json.dumps(head))
    rows = [
        {"id": 1, "due_ns": 0, "sent_ns": 0, "done_ns": S, "status": "ok"},
        {"id": 2, "due_ns": S, "sent_ns": S, "done_ns": 4 * S, "status": "ok"},
    ]
    (folder / "requests.jsonl").write_text("\n".join(map(json.dumps, rows)))
    work = {"name": "f", "kind": "steady", "start_ns": 0, "end_ns": S, "flops": 1e9, "bytes": 1e9}
    (folder / "phases.jsonl").write_text(json.dumps(work))
    return folder


def test_the_document_has_every_metric_that_applies(accelbench_here, trace: Path) -> None:
    """Values as numbers, absent ones null beside a reason; exit 0."""
    ended = accelbench_here("metrics", str(trace), "--json")
    assert ended.code == 0
    document = ended.document()
    assert document["schema"] == "accelbench.metrics/1"
    found = document["measurements"]
    assert found["e2e.response.mean"]["value"] == pytest.approx(2.0)
    assert found["tp.requests"]["value"] == pytest.approx(0.2)
    assert found["flops.utilization"]["value"] is None
    assert found["flops.utilization"]["reason"] == "no platform sheet is known"
    assert "e2e.response.mlperf.p99" not in found


def test_a_sheet_and_order_statistics_are_given_when_asked(accelbench_here, trace: Path) -> None:
    """`--platform` brings the peak, `--mlperf` the order statistic floor(N p)."""
    ended = accelbench_here(
        "metrics", str(trace), "--json", "--mlperf", "--platform", "fig3_reference"
    )
    found = ended.document()["measurements"]
    assert found["e2e.response.mlperf.p50"]["value"] == pytest.approx(3.0)
    assert found["e2e.response.p50"]["value"] == pytest.approx(2.0)
    assert found["flops.utilization"]["reason"] != "no platform sheet is known"


def test_people_get_a_line_each(accelbench_here, trace: Path) -> None:
    """Name and value, or name and reason."""
    ended = accelbench_here("metrics", str(trace))
    assert "tp.requests" in ended.out
    assert "none: no platform sheet is known" in ended.out


def test_a_folder_without_a_trace_is_a_wrong_request(accelbench_here, tmp_path: Path) -> None:
    """One line: what, where, what to do; exit 2."""
    ended = accelbench_here("metrics", str(tmp_path))
    assert ended.code == 2
    assert "no trace here" in ended.complaint()
    unknown = accelbench_here("metrics", str(tmp_path), "--platform", "nosuch")
    assert unknown.code == 2
