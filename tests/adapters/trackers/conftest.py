"""A campaign of two finished records, and an MLflow store whose tables are made already."""

import pickle
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.schema.cell import Cell, Choice, Workload
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import EnergyNote, Interval, Measurement
from accelbench.harness.schema.plain import file_digest, pretty
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.protocols import CampaignFacts, MirrorItem
from accelbench.harness.schema.record import Reason, Record
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline

Query = Callable[[str], Sequence[tuple[Any, ...]]]

_MIRROR_ELSEWHERE = """
import pickle, sys
from accelbench.adapters.trackers.mlflow import MlflowTracker
campaign, items = pickle.load(open(sys.argv[1], "rb"))
tracker = MlflowTracker(experiment="elsewhere")
tracker.readiness()
assert "mlflow" not in sys.modules
tracker.mirror(campaign, items)
"""


@dataclass(frozen=True)
class FirstUse:
    """What was seen when a store was used for the first time, in a folder of its own."""

    folder: Path
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def cell() -> Cell:
    """A resolved cell; its tracker's address holds a password."""
    platform = Platform(
        name="sheet",
        summary="A machine",
        family="cpu",
        peak={"fp32": Figure(1e12, "a data sheet", "vendor")},
        memory=(MemoryLevel("DDR4", None, None),),
        power=None,
        power_scope=None,
        notes=(),
        sources=("a data sheet",),
    )
    rules = Rules("quick", "One trial", 2, 0, "shared", 60.0, 7, Limits(), (), ())
    return Cell(
        name="digits",
        workload=Workload("digits_cnn", "digits_cnn", "cnn", "A network", {"channels": [8, 16]}),
        scenario=Offline("offline", 4, 8),
        rules=rules,
        adapter=Choice("torch"),
        platform=platform,
        probe=Choice("none"),
        tracker=Choice("mlflow", {"tracking_uri": "https://user:hunter2@host/base"}),
        executor=Choice("local"),
    )


@pytest.fixture(scope="session")
def record(cell: Cell) -> Record:
    """A valid record with an interval, an energy figure and an absent quantity."""
    note = EnergyNote("estimated", "design power times load", "package", ("cpu",), net_of_idle=True)
    return Record(
        schema="accelbench.record/1",
        cell=cell.name,
        cell_hash=cell.hash,
        repeat=0,
        round=0,
        session="s0",
        workload="digits_cnn",
        scenario="offline",
        adapter="torch",
        platform="sheet",
        evidence="measured",
        clock="wall",
        status="valid",
        reasons=(Reason("unsteady", "drift 0.12 > 0.1", "warning"),),
        measurements={
            "e2e.response.p50": Measurement(
                0.25, "s", 8, Interval(0.2, 0.3, 0.95, "order statistics", "requests")
            ),
            "energy.total": Measurement(3.5, "J", 1, energy=note),
            "ttft.response.p50": Measurement(None, "s", 0, reason="no tokens"),
        },
        engine={},
        started_utc="2026-01-02T03:04:05Z",
        finished_utc="2026-01-02T03:04:06.500Z",
    )


@pytest.fixture(scope="session")
def campaign(cell: Cell) -> CampaignFacts:
    """The campaign both records belong to."""
    return CampaignFacts(
        id="c0ffee",
        suite="smoke",
        argv=("accelbench", "run", "smoke", "tracker.uri=https://user:hunter2@host/base"),
        cells={cell.name: cell},
        git={"harness": {"commit": "abc123", "branch": "main", "dirty": True}, "cwd": None},
    )


@pytest.fixture
def items(record: Record, tmp_path: Path) -> Sequence[MirrorItem]:
    """A valid and a failed record, each with its folder."""
    return _items(record, tmp_path / "records")


@pytest.fixture(scope="session")
def first_use(
    record: Record, campaign: CampaignFacts, tmp_path_factory: pytest.TempPathFactory
) -> FirstUse:
    """Another process mirrors into the default store of a new folder."""
    folder = tmp_path_factory.mktemp("first_use")
    job = folder / "job.pickle"
    job.write_bytes(pickle.dumps((campaign, _items(record, folder / "records"))))
    done = subprocess.run(
        [sys.executable, "-c", _MIRROR_ELSEWHERE, str(job)],
        cwd=folder,
        env={"HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return FirstUse(folder, done.stdout, done.stderr)


@pytest.fixture
def store(first_use: FirstUse, tmp_path: Path) -> Path:
    """A SQLite store of MLflow's that knows no experiment `accelbench` yet."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(first_use.folder / "results/local/mlflow.db", path)
    return path


@pytest.fixture
def rows(store: Path) -> Query:
    """Reads the store by SQL; `RUNS` in a query stands for the runs of `accelbench`."""
    mine = (
        "(SELECT r.* FROM runs r JOIN experiments e USING (experiment_id) "
        "WHERE e.name = 'accelbench')"
    )

    def query(text: str) -> Sequence[tuple[Any, ...]]:
        """Stands in for the real `query`."""
        with closing(sqlite3.connect(store)) as connection:
            return connection.execute(text.replace("RUNS", mine)).fetchall()

    return query


def _items(record: Record, folder: Path) -> Sequence[MirrorItem]:
    failed = replace(
        record,
        repeat=1,
        status="failed",
        measurements={},
        reasons=(Reason("crashed", "exit code -9", "failed"),),
        finished_utc="2026-01-02T03:05:00Z",
    )
    return [_item(one, folder / str(one.repeat)) for one in (record, failed)]


def _item(record: Record, folder: Path) -> MirrorItem:
    (folder / "trace").mkdir(parents=True)
    (folder / "record.json").write_bytes(pretty(encode(record)))
    (folder / "log.txt").write_text("a line\n")
    (folder / "trace" / "requests.parquet").write_bytes(b"not looked into")
    return MirrorItem(record, folder, file_digest(folder / "record.json"))
