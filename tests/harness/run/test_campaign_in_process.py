"""A whole campaign on virtual time, in this process: plan, trials, records, bundle, report."""

from importlib.resources import files
from pathlib import Path

import pytest

from accelbench.cli.compose import compose_suite
from accelbench.cli.show import show_document
from accelbench.cli.suite_file import read_suite
from accelbench.harness.bundle.layout import LOG
from accelbench.harness.bundle.manifest import seal
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.bundle.summary import derive, read_bundle
from accelbench.harness.bundle.verify import verify
from accelbench.harness.run import registry
from accelbench.harness.run.campaign import ask, run
from accelbench.harness.run.job import Outcome, SessionJob
from accelbench.harness.run.planner import resolve
from accelbench.harness.run.worker import do_trial, task_of
from accelbench.harness.schema.decode import decode, encode
from accelbench.reports.terminal import bundle_table

NOW = "2026-01-01T00:00:00+00:00"
SUITES = ("rehearsal", "rehearsal_loads")
SCENARIOS = files("accelbench.conf").joinpath("scenario")


class InThisProcess:
    """An executor that starts no process, for engines that cannot crash."""

    def run(self, job, listen):
        """Does all trials of a job and tells their outcomes."""
        session_job = decode(SessionJob, job)
        adapter = registry.adapter(session_job.first.adapter)
        with adapter.open(task_of(session_job)) as session:
            for trial in session_job.trials:
                listen({"event": "trial_started", "cell": trial.cell, "repeat": trial.repeat})
                do_trial(session_job, trial, adapter, session, lambda _: None)
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


def campaign(folder, monkeypatch, *overrides, suite="rehearsal"):
    """A suite, done in this process, and the events it told."""
    monkeypatch.setattr(registry, "executor", lambda _choice: InThisProcess())
    cells = resolve(compose_suite(suite, ["tracker=none", *overrides]))
    told = []
    run(ask(suite, cells, overrides, ["accelbench"]), folder, told.append)
    return read_bundle(folder), told


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """With two per cent of jitter; tests must not change it."""
    options = ("adapter.jitter=0.02", "adapter.power_w=50")
    with pytest.MonkeyPatch.context() as patch:
        found, told = campaign(tmp_path_factory.mktemp("bundle") / "bundle", patch, *options)
    assert [event["event"] for event in told].count("trial_finished") == 15
    return found


def test_the_whole_program_runs_on_virtual_time(bundle):
    """Records, intervals, derived figures and the table come out, and the bundle holds."""
    assert verify(bundle.path).ok
    cells = {cell["cell"]: cell for cell in show_document(bundle)["cells"]}
    assert {cell["status"] for cell in cells.values()} == {"valid"}
    median = cells["stream"]["measurements"]["e2e.service.p50"]
    assert median["interval"]["over"] == "trials"
    assert median["interval"]["low"] < 1.1e-3 < median["interval"]["high"]
    assert "batch.efficiency.8" in bundle_table(bundle)


def test_every_way_in_which_work_arrives_is_rehearsed(tmp_path, monkeypatch):
    """Each scenario preset is in a rehearsal, every trial is valid, and the bundle holds.

    A search that ends after fewer trials than other cells have is whole.
    """
    found, _ = campaign(tmp_path / "b", monkeypatch, suite="rehearsal_loads")
    assert {cell.cell: cell.status for cell in found.summaries() if cell.status != "valid"} == {}
    assert verify(found.path).problems == ()
    chosen = [entry.choose for name in SUITES for entry in read_suite(name).cells.values()]
    presets = {file.name.removesuffix(".yaml") for file in SCENARIOS.iterdir()}
    assert {choice["scenario"] for choice in chosen} == presets
    derived = {item.name for item in derive(found.campaign, found.records)}
    assert {
        "curve.from_rate-rate_per_s=20",
        "curve.from_users-concurrency=1",
        "slowdown.over_single",
        "sustainable.sustainable",
    } <= derived
    first = tmp_path / "b/records/sustainable/0"
    first.rename(tmp_path / "gone")
    seal(tmp_path / "b")
    lost = [problem.path for problem in verify(found.path).problems if "missing" in problem.what]
    assert lost == ["records/sustainable/0"]


def test_what_is_refused_is_recorded_with_the_reason(tmp_path, monkeypatch):
    """As after a deadline: what was done stays, the rest did not begin, and the bundle holds."""
    monkeypatch.setattr(registry, "executor", lambda _choice: InThisProcess())
    cells = resolve(compose_suite("rehearsal", ["tracker=none", "rules.trials=1"]))
    asked, folder = ask("rehearsal", cells, [], ["accelbench"]), tmp_path / "bundle"
    answers = iter([""])
    run(asked, folder, lambda _: None, lambda: next(answers, "not begun: it is late"))
    records = read_bundle(folder).records
    assert len(records) == len(cells)
    late = [record for record in records if record.status == "failed"]
    assert 0 < len(late) < len(records)
    untrained = "cell 'train' has no valid trial to take weights from"
    assert {record.reasons[0].detail for record in late} == {"not begun: it is late", untrained}
    assert verify(folder).ok


def test_the_same_seed_gives_the_same_numbers(bundle, tmp_path, monkeypatch):
    """On virtual time a campaign is repeated to the last bit."""
    monkeypatch.setattr(registry, "executor", lambda _choice: InThisProcess())
    cells = bundle.campaign.cells
    again = tmp_path / "again"
    run(ask("rehearsal", cells, bundle.campaign.overrides, ["accelbench"]), again, lambda _: None)
    found = {cell.cell: cell for cell in read_bundle(again).summaries()}
    assert found == {cell.cell: cell for cell in bundle.summaries()}


def test_a_wanted_precision_fixes_the_trials_from_the_pilot(tmp_path, monkeypatch):
    """The pilot's spread asks once for more; the interval is Stein's and as narrow as asked."""
    wanted = "rules.precision={metric: e2e.service.mean, relative: 0.01, most_trials: 9}"
    found, told = campaign(tmp_path / "b", monkeypatch, "adapter.jitter=0.5", wanted)
    stream = {cell.cell: cell for cell in found.summaries()}["stream"]
    (more,) = [e for e in told if e["event"] == "more" and e["cell"] == "stream"]
    assert 3 < stream.trials == more["trials"] < 9
    mean = stream.measurements["e2e.service.mean"]
    assert mean.interval.method.startswith("Stein two-stage, pilot of 3")
    half = (mean.interval.high - mean.interval.low) / 2
    assert half <= 0.01 * mean.value * 1.01
    assert verify(found.path).ok


def test_a_pilot_that_is_precise_enough_asks_for_nothing(tmp_path, monkeypatch):
    """Without jitter every trial is the same."""
    wanted = "rules.precision={metric: e2e.service.mean, relative: 0.01, most_trials: 40}"
    found, told = campaign(tmp_path / "b", monkeypatch, wanted)
    assert not [event for event in told if event["event"] == "more"]
    assert {cell.trials for cell in found.summaries()} == {3}
