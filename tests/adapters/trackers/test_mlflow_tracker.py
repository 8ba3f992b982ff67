"""The MLflow tracker, against real stores and servers that do not answer."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelbench.adapters.trackers import mlflow
from accelbench.adapters.trackers.mlflow import MlflowTracker
from accelbench.harness.errors import ForeignError
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem

Query = Callable[[str], Sequence[tuple[Any, ...]]]

EVERYTHING = (
    "SELECT 'run', run_uuid, status, end_time, name FROM RUNS",
    "SELECT 'metric', m.run_uuid, key, value, timestamp, step FROM metrics m JOIN RUNS USING (run_uuid)",
    "SELECT 'param', p.run_uuid, key, value FROM params p JOIN RUNS USING (run_uuid)",
    "SELECT 'tag', t.run_uuid, key, value FROM tags t JOIN RUNS USING (run_uuid)",
)


@pytest.fixture
def tracker(store: Path) -> MlflowTracker:
    """A tracker on the prepared store."""
    return MlflowTracker(tracking_uri=f"sqlite:///{store}")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever answered."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_first_use_makes_the_local_store_and_prints_nothing(first_use: Any) -> None:
    """Tables, folder and files are made under results/local, with no word on any stream."""
    assert (first_use.stdout, first_use.stderr) == ("", "")
    local = first_use.folder / "results" / "local"
    assert sorted(path.name for path in local.iterdir()) == ["mlartifacts", "mlflow.db"]
    made = {path.name for path in first_use.folder.iterdir()}
    assert made == {"job.pickle", "records", "results"}


def test_a_campaign_is_one_parent_and_a_child_a_record(
    tracker: MlflowTracker, campaign: CampaignFacts, items: Sequence[MirrorItem], rows: Query
) -> None:
    """Each run ends when its record ended, a failed record as FAILED, all complete."""
    where = tracker.mirror(campaign, items)
    assert where == tracker.tracking_uri
    assert sorted(rows("SELECT name, status, start_time, end_time FROM RUNS")) == [
        ("digits/0", "FINISHED", 1767323045000, 1767323046500),
        ("digits/1", "FAILED", 1767323045000, 1767323100000),
        ("smoke c0ffee", "FINISHED", 1767323045000, 1767323100000),
    ]
    children = rows(
        "SELECT p.name FROM tags t JOIN RUNS USING (run_uuid) JOIN runs p ON p.run_uuid = t.value "
        "WHERE t.key = 'mlflow.parentRunId'"
    )
    assert children == [("smoke c0ffee",)] * 2
    states = rows(
        "SELECT value FROM tags JOIN RUNS USING (run_uuid) WHERE key = 'accelbench.mirror_state'"
    )
    assert states == [("complete",)] * 3


def test_metrics_carry_the_records_time_and_repeat(
    tracker: MlflowTracker, campaign: CampaignFacts, items: Sequence[MirrorItem], rows: Query
) -> None:
    """Resent rows are the same rows only if their times come from the record."""
    tracker.mirror(campaign, items)
    found = rows(
        "SELECT key, value, timestamp, step FROM metrics JOIN RUNS USING (run_uuid) ORDER BY key"
    )
    assert found == [
        ("e2e.response.p50", 0.25, 1767323046500, 0),
        ("e2e.response.p50.high", 0.3, 1767323046500, 0),
        ("e2e.response.p50.low", 0.2, 1767323046500, 0),
        ("energy.total", 3.5, 1767323046500, 0),
    ]


def test_files_of_the_record_lie_beside_its_run(
    tracker: MlflowTracker,
    campaign: CampaignFacts,
    items: Sequence[MirrorItem],
    rows: Query,
    store: Path,
) -> None:
    """The record itself, its log and its trace can be read from the mirror."""
    tracker.mirror(campaign, items)
    [(run,)] = rows("SELECT run_uuid FROM RUNS WHERE name = 'digits/0'")
    folder = store.parent / "mlartifacts" / run / "artifacts"
    assert (folder / "record.json").read_bytes() == (items[0].folder / "record.json").read_bytes()
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {"record.json", "log.txt", "trace/requests.parquet"}


def test_a_second_call_adds_nothing_and_a_new_record_only_itself(
    tracker: MlflowTracker, campaign: CampaignFacts, items: Sequence[MirrorItem], rows: Query
) -> None:
    """Each record is sent once however often it is given."""
    tracker.mirror(campaign, items[:1])
    assert len(rows("SELECT * FROM RUNS")) == 2
    tracker.mirror(campaign, items)
    assert len(rows("SELECT * FROM RUNS")) == 3
    before = [rows(query) for query in EVERYTHING]
    tracker.mirror(campaign, items)
    assert [rows(query) for query in EVERYTHING] == before


def test_runs_are_found_again_on_whichever_page_they_are(
    tracker: MlflowTracker,
    campaign: CampaignFacts,
    items: Sequence[MirrorItem],
    rows: Query,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A campaign may have more runs than one answer of a search holds."""
    monkeypatch.setattr(mlflow, "_RUNS_A_PAGE", 1)
    tracker.mirror(campaign, items)
    tracker.mirror(campaign, items)
    assert len(rows("SELECT * FROM RUNS")) == 3


def test_a_half_sent_record_is_completed(
    tracker: MlflowTracker,
    campaign: CampaignFacts,
    items: Sequence[MirrorItem],
    rows: Query,
    store: Path,
) -> None:
    """The first failure ends the call; the next call goes on with the same runs."""
    obstacle = store.parent / "mlartifacts"
    obstacle.write_text("a file where a folder is needed")
    with pytest.raises(ForeignError, match="mirroring to MLflow"):
        tracker.mirror(campaign, items)
    half = rows("SELECT run_uuid, status FROM RUNS ORDER BY run_uuid")
    assert [status for _, status in half] == ["RUNNING"] * 2
    metrics = rows(EVERYTHING[1])
    assert len(metrics) == 4

    obstacle.unlink()
    tracker.mirror(campaign, items)
    assert len(rows("SELECT * FROM RUNS")) == 3
    assert {run for run, _ in half} < {run for (run,) in rows("SELECT run_uuid FROM RUNS")}
    assert not rows("SELECT * FROM RUNS WHERE status = 'RUNNING'")
    assert rows(EVERYTHING[1]) == metrics


def test_no_password_reaches_the_store(
    tracker: MlflowTracker, campaign: CampaignFacts, items: Sequence[MirrorItem], rows: Query
) -> None:
    """Neither the command line nor the cell's tracker brings one along."""
    tracker.mirror(campaign, items)
    texts = [str(row) for query in EVERYTHING for row in rows(query)]
    assert not [text for text in texts if "hunter2" in text]
    [(argv,)] = rows(
        "SELECT value FROM tags JOIN RUNS USING (run_uuid) "
        "WHERE key = 'mlflow.source.name' AND name = 'digits/0'"
    )
    assert argv == "accelbench run smoke tracker.uri=https://host/base"


def test_more_metrics_and_params_than_one_call_takes_are_sent(
    tracker: MlflowTracker, campaign: CampaignFacts, items: Sequence[MirrorItem], rows: Query
) -> None:
    """A call carries at most 1000 metrics and 100 parameters; there is no such limit to a record."""
    cell = campaign.cells["digits"]
    wide = replace(cell, declare={f"item{n}": n for n in range(250)})
    [measurement] = [m for m in items[0].record.measurements.values() if m.unit == "J"]
    many = replace(items[0].record, measurements={f"m{n}": measurement for n in range(1001)})
    tracker.mirror(replace(campaign, cells={"digits": wide}), [replace(items[0], record=many)])
    assert len(rows(EVERYTHING[1])) == 1001
    assert len([row for row in rows(EVERYTHING[2]) if row[2].startswith("declare.")]) == 250


def test_nothing_to_mirror_asks_nobody(campaign: CampaignFacts) -> None:
    """Without records there is no reason to fail."""
    tracker = MlflowTracker(tracking_uri="http://user:pw@127.0.0.1:1")
    assert tracker.mirror(campaign, []) == "http://127.0.0.1:1"


def test_a_server_that_is_down_is_told_at_once(
    campaign: CampaignFacts, items: Sequence[MirrorItem]
) -> None:
    """One line, no password, no retries of the first request, whatever max_retries says."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    tracker = MlflowTracker(tracking_uri=f"http://user:hunter2@127.0.0.1:{port}")
    began = time.monotonic()
    with pytest.raises(ForeignError, match="Connection refused") as caught:
        tracker.mirror(campaign, items)
    assert time.monotonic() - began < 15
    assert str(caught.value).startswith(f"http://127.0.0.1:{port}: mirroring to MLflow")
    assert "hunter2" not in str(caught.value)


def test_a_server_that_hangs_is_told_after_one_timeout(
    campaign: CampaignFacts, items: Sequence[MirrorItem], silent_port: int
) -> None:
    """A server that takes connections but never answers costs one request's wait."""
    tracker = MlflowTracker(tracking_uri=f"http://127.0.0.1:{silent_port}", request_timeout_s=1)
    began = time.monotonic()
    with pytest.raises(ForeignError, match="timed out"):
        tracker.mirror(campaign, items)
    assert time.monotonic() - began < 10


def test_a_database_that_cannot_be_opened_is_told_at_once(
    campaign: CampaignFacts, items: Sequence[MirrorItem], tmp_path: Path
) -> None:
    """MLflow alone would try for a hundred seconds."""
    began = time.monotonic()
    with pytest.raises(ForeignError, match="unable to open database file"):
        MlflowTracker(tracking_uri=f"sqlite:///{tmp_path}").mirror(campaign, items)
    assert time.monotonic() - began < 15


def test_readiness_tells_where_records_would_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is told without its password."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://user:hunter2@host/base")
    readiness = MlflowTracker().readiness()
    assert (readiness.status, readiness.detail) == ("ready", "records go to https://host/base")


@pytest.mark.parametrize(
    "options", [{"experiment": ""}, {"request_timeout_s": 0}, {"max_retries": 11}]
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    """MLflow refuses more than ten retries; without a name or a wait nothing can be sent."""
    with pytest.raises(ValueError, match="need"):
        MlflowTracker(**options)
