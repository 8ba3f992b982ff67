"""A whole campaign on virtual time, in this process: plan, trials, records, bundle, report."""

from pathlib import Path

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.cli.show import show_document
from accelbench.harness.bundle.layout import LOG
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.bundle.verify import verify
from accelbench.harness.run import registry
from accelbench.harness.run.campaign import ask, run
from accelbench.harness.run.job import Outcome, SessionJob
from accelbench.harness.run.planner import resolve
from accelbench.harness.run.worker import do_trial, task_of
from accelbench.harness.schema.decode import decode, encode
from accelbench.reports.terminal import bundle_table

NOW = "2026-01-01T00:00:00+00:00"


class InThisProcess:
    """An executor that starts no process, for engines that cannot crash."""

    def run(self, job, listen):
        """Does all trials of a job and tells their outcomes."""
        session_job = decode(SessionJob, job)
        adapter = registry.adapter(session_job.first.adapter)
        with adapter.open(task_of(session_job)) as session:
            for trial in session_job.trials:
                listen({"event": "trial_started", "cell": trial.cell, "repeat": trial.repeat})
                do_trial(session_job, trial, adapter, session)
                write_file(Path(trial.folder) / LOG, b"")
                outcome = Outcome(
                    session=session_job.id,
                    round=session_job.round,
                    trial=trial,
                    done=True,
                    code="done",
                    detail="",
                    facts=session.facts(),
                    started_utc=NOW,
                    finished_utc=NOW,
                    weights=session_job.weights_source,
                )
                listen({"event": "trial_finished", "outcome": encode(outcome)})


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """The suite `rehearsal`, done in this process, with two per cent of jitter."""
    monkeypatch.setattr(registry, "executor", lambda _choice: InThisProcess())
    overrides = ["tracker=none", "adapter.jitter=0.02", "adapter.power_w=50"]
    cells = resolve(compose_suite("rehearsal", overrides))
    told = []
    run(ask("rehearsal", cells, overrides, ["accelbench"]), tmp_path / "bundle", told.append)
    assert [event["event"] for event in told].count("trial_finished") == 15
    return read_bundle(tmp_path / "bundle")


def test_the_whole_program_runs_on_virtual_time(bundle):
    """Records, intervals, derived figures and the table come out, and the bundle holds."""
    assert verify(bundle.path).ok
    cells = {cell["cell"]: cell for cell in show_document(bundle)["cells"]}
    assert {cell["status"] for cell in cells.values()} == {"valid"}
    median = cells["stream"]["measurements"]["e2e.service.p50"]
    assert median["interval"]["over"] == "trials"
    assert median["interval"]["low"] < 1.1e-3 < median["interval"]["high"]
    assert "batch.efficiency.8" in bundle_table(bundle)


def test_the_same_seed_gives_the_same_numbers(bundle, tmp_path, monkeypatch):
    """On virtual time a campaign is repeated to the last bit."""
    cells = bundle.campaign.cells
    again = tmp_path / "again"
    run(ask("rehearsal", cells, bundle.campaign.overrides, ["accelbench"]), again, lambda _: None)
    found = {cell.cell: cell for cell in read_bundle(again).summaries()}
    assert found == {cell.cell: cell for cell in bundle.summaries()}
