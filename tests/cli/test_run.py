"""`accelbench run`: the whole program, on the fake engine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NO_TRACKER = "tracker=none"


def _records(bundle: Path) -> dict[str, int]:
    """When each record that is in place was written, by its id."""
    return {
        path.parent.relative_to(bundle / "records").as_posix(): path.stat().st_mtime_ns
        for path in bundle.glob("records/*/[!.]*/record.json")
    }


def test_a_campaign_ends_with_its_table_and_the_bundles_path(accelbench, tmp_path):
    """The table is on standard output, and its last line is the bundle's path."""
    ended = accelbench("run", "rehearsal", NO_TRACKER, "rules.trials=1", "--out", "bundle")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[-1] == "bundle"
    for cell in ("train", "offline-batch_size=1", "offline-batch_size=8", "stream", "generate"):
        assert cell in ended.out
    assert "simulated" in ended.out
    assert "[1/5]" in ended.err


def test_json_is_one_document_and_the_show_answer(accelbench, accelbench_here):
    """With --json, standard output holds the `show` document and nothing else."""
    ended = accelbench("run", "rehearsal", NO_TRACKER, "--out", "bundle", "--json")
    document = ended.document()
    assert document["schema"] == "accelbench.show/1"
    stream = next(cell for cell in document["cells"] if cell["cell"] == "stream")
    assert stream["status"] == "valid"
    assert stream["trials"] == 3
    assert stream["measurements"]["e2e.service.p50"]["unit"] == "s"
    assert accelbench_here("show", "bundle", "--json").document()["cells"] == document["cells"]


def test_without_out_the_bundle_lies_in_results_local(accelbench, tmp_path):
    """The default folder tells suite, time and campaign."""
    ended = accelbench("run", _one_cell(tmp_path), NO_TRACKER, "rules.trials=1")
    folder = tmp_path / ended.out.splitlines()[-1]
    assert folder.parent == tmp_path / "results" / "local"
    assert folder.name.startswith("own-")
    assert (folder / "manifest.json").is_file()


def test_the_bundle_holds_what_the_architecture_lists(rehearsal):
    """Every part of a bundle is there."""
    for name in (
        "manifest.json",
        "ro-crate-metadata.json",
        "campaign.json",
        "environment/before.json",
        "environment/after.json",
        "environment/changes.json",
        "environment/packages.json",
        "records/train/0/record.json",
        "records/train/0/log.txt",
        "records/train/0/trace/requests.parquet",
        "records/train/0/artifacts/weights.safetensors",
        "derived/cells.json",
        "derived/derived.json",
        "calibration/clock.json",
    ):
        assert (rehearsal / name).is_file(), name
    assert not list(rehearsal.rglob(".*"))


def test_weights_of_an_earlier_cell_are_used_and_named(rehearsal):
    """A consumer's record holds the cell, the record and the hash of the weights it used."""
    trained = json.loads((rehearsal / "records/train/0/record.json").read_text())
    used = json.loads((rehearsal / "records/offline-batch_size=1/0/record.json").read_text())
    assert used["weights"] == {
        "cell": "train",
        "record": "train/0",
        "sha256": trained["artifacts_sha256"]["weights.safetensors"],
    }


def test_rounds_do_every_cell_once_before_any_cell_twice(rehearsal):
    """A warming machine favours no cell: repeat r of all cells lies before repeat r + 1."""
    order = json.loads((rehearsal / "campaign.json").read_text())["order"]
    repeats = [int(name.rpartition("/")[2]) for name in order]
    assert repeats == sorted(repeats)
    assert len(order) == 15


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "smokey"], "no suite named 'smokey'; did you mean 'smoke'?"),
        (["run", "rehearsal", "adapter=fakk"], "no adapter preset named 'fakk'"),
        (["run", "rehearsal", "workload=nothing"], "no workload preset named 'nothing'"),
        (["run", "rehearsal", "rules.trails=2"], "did you mean 'rules.trials'?"),
        (["run", "rehearsal", "rules.trials=two"], "expected an integer, got 'two'"),
        (["run", "rehearsal", "rules.trials=0"], "trials >= 1"),
        (["run", "rehearsal", "rules.invalid=[odd]"], "unknown validity code 'odd'"),
        (["run", "rehearsal", "adapter.latency=1"], "did you mean 'adapter.latency_s'?"),
        (["run", "rehearsal", "adapter.name=warp"], "no adapter named 'warp' is installed"),
        (["run", "rehearsal", "trials"], "not of the form key=value"),
        (["run", "rehearsal", "+rules.new=1"], "keys cannot be added or removed"),
        (["run", "nowhere.yaml"], "cannot read the suite"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(accelbench_here, tmp_path, words, said):
    """What is wrong is said in one line; nothing is run and no folder is made."""
    ended = accelbench_here(*words, "--out", "bundle")
    assert ended.code == 2
    assert said in ended.complaint()
    assert not (tmp_path / "bundle").exists()


def test_an_override_applies_to_every_cell_that_has_its_key(accelbench):
    """A key that only some cells have is set where it is, and is no error elsewhere."""
    ended = accelbench(
        *("run", "rehearsal", NO_TRACKER, "rules.trials=1", "scenario.requests=7"),
        *("--out", "bundle", "--json"),
    )
    cells = {cell["cell"]: cell["measurements"] for cell in ended.document()["cells"]}
    assert cells["stream"]["e2e.service.mean"]["n"] == 7
    assert cells["generate"]["ttft.response.mean"]["n"] == 7
    assert cells["offline-batch_size=1"]["tp.samples"]["value"] > 0


def test_a_folder_that_is_not_ours_is_refused(accelbench_here, tmp_path):
    """A folder with something else in it is left alone."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "diary.txt").write_text("dear diary")
    ended = accelbench_here("run", "rehearsal", NO_TRACKER, "--out", "mine")
    assert ended.code == 2
    assert "holds something else ('diary.txt')" in ended.complaint()
    assert [path.name for path in folder.iterdir()] == ["diary.txt"]


def test_a_file_in_place_of_the_folder_is_refused(accelbench_here, tmp_path):
    """A file is no folder."""
    (tmp_path / "taken").write_text("")
    ended = accelbench_here("run", "rehearsal", NO_TRACKER, "--out", "taken")
    assert ended.code == 2
    assert "cannot write there" in ended.complaint()


def test_another_campaign_in_the_folder_is_refused(accelbench_here, rehearsal):
    """Other overrides make another campaign."""
    ended = accelbench_here("run", "rehearsal", NO_TRACKER, "--out", str(rehearsal))
    assert ended.code == 2
    assert "another overrides" in ended.complaint()


def test_a_finished_campaign_is_not_run_again(accelbench, tmp_path):
    """The same command with the same folder is refused once all is done."""
    words = ("run", _one_cell(tmp_path), NO_TRACKER, "rules.trials=1", "--out", "bundle")
    assert accelbench(*words).code == 0
    before = _records(tmp_path / "bundle")
    ended = accelbench(*words)
    assert ended.code == 2
    assert "finished" in ended.complaint()
    assert _records(tmp_path / "bundle") == before


def test_a_worker_that_crashes_costs_one_trial(accelbench, accelbench_here, tmp_path):
    """The trial becomes a failed record with reason and log; the campaign goes on; exit code 1."""
    ended = accelbench(
        *("run", "rehearsal", NO_TRACKER, "adapter.crash_at=3", "adapter.crash_on_repeat=1"),
        *("rules.trials=2", "--out", "bundle", "--json"),
    )
    assert ended.code == 1
    cells = {cell["cell"]: cell for cell in ended.document()["cells"]}
    assert cells["stream"]["status"] == "failed"
    assert cells["stream"]["trials"] == 2
    reason = cells["stream"]["reasons"][0]
    assert reason["code"] == "crashed"
    assert "SIGKILL" in reason["detail"]
    record = json.loads((tmp_path / "bundle/records/stream/1/record.json").read_text())
    assert record["log_tail"]
    assert accelbench_here("verify", "bundle").code == 0


def test_a_worker_that_hangs_is_ended_at_its_time_limit(accelbench, tmp_path):
    """A trial past its limit fails with the reason "timeout"; the other trial is done."""
    suite = _one_cell(tmp_path)
    ended = accelbench(
        *("run", suite, NO_TRACKER, "adapter.hang_at=2", "adapter.crash_on_repeat=0"),
        *("rules.trials=2", "rules.time_limit_s=4", "--out", "bundle", "--json"),
    )
    assert ended.code == 1
    (cell,) = ended.document()["cells"]
    assert cell["status"] == "failed"
    assert cell["reasons"][0]["code"] == "timeout"
    assert "raise rules.time_limit_s" in cell["reasons"][0]["detail"]
    assert cell["measurements"]["e2e.service.p50"]["n"] == 20


def _one_cell(folder: Path) -> str:
    """A suite of one single-stream cell; returns its path."""
    suite = folder / "own.yaml"
    suite.write_text(
        "summary: one cell\n"
        "choose: {rules: smoke, adapter: fake, platform: fig3_reference, probe: none}\n"
        "cells:\n"
        "  one:\n"
        "    choose: {workload: fake_classifier, scenario: single_stream}\n"
        "    set: {scenario.requests: 20}\n"
    )
    return str(suite)


def test_an_engine_that_fails_says_so_in_its_record(accelbench):
    """An engine's error is the record's reason; other trials are done."""
    ended = accelbench(
        *("run", "rehearsal", NO_TRACKER, "adapter.fail_at=0", "adapter.crash_on_repeat=0"),
        *("rules.trials=2", "--out", "bundle", "--json"),
    )
    cells = {cell["cell"]: cell for cell in ended.document()["cells"]}
    assert cells["generate"]["status"] == "failed"
    assert "as it was told to" in cells["generate"]["reasons"][0]["detail"]
    assert cells["generate"]["measurements"]["tp.decode"]["value"] > 0


def test_a_failed_trial_is_tried_again_on_resume(accelbench, accelbench_here, tmp_path):
    """The same command again does the failed trials only; the failed attempt is kept and told."""
    words = ("run", _one_cell(tmp_path), NO_TRACKER, "--out", "bundle")
    ended = accelbench(*words)
    assert ended.code == 0, ended.err
    _fail(tmp_path / "bundle", "one", 1)
    before = _records(tmp_path / "bundle")
    ended = accelbench(*words, "--json")
    assert ended.code == 0, ended.err
    after = _records(tmp_path / "bundle")
    assert after["one/0"] == before["one/0"]
    assert after["one/2"] == before["one/2"]
    assert after["one/1"] != before["one/1"]
    (cell,) = ended.document()["cells"]
    assert cell["reasons"][0]["code"] == "failed_attempt"
    assert (tmp_path / "bundle/records/one/1.failed-1/record.json").is_file()
    assert accelbench_here("verify", "bundle").code == 0


def _fail(bundle: Path, cell: str, repeat: int) -> None:
    """Turns a finished trial into a failed one, as a killed worker leaves it."""
    path = bundle / "records" / cell / str(repeat) / "record.json"
    record = json.loads(path.read_text())
    record["status"] = "failed"
    record["reasons"] = [{"code": "crashed", "detail": "killed", "level": "failed"}]
    path.write_text(json.dumps(record))


def test_a_killed_campaign_goes_on_and_repeats_nothing(tmp_path, accelbench, accelbench_here):
    """After `kill -9` of the parent the workers are gone, and only missing trials are done."""
    bundle = tmp_path / "bundle"
    words = ["run", "rehearsal", NO_TRACKER, "rules.session=fresh", "rules.trials=2"]
    words += ["--out", "bundle"]
    with subprocess.Popen(
        [sys.executable, "-m", "accelbench.cli.main", *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as parent:
        _wait(lambda: len(_records(bundle)) >= 4)
        parent.send_signal(signal.SIGKILL)
    before = _records(bundle)
    assert 4 <= len(before) < 10
    _wait(lambda: not _workers(bundle))
    assert not (bundle / "manifest.json").exists()
    ended = accelbench(*words)
    assert ended.code == 0, ended.err
    after = _records(bundle)
    assert len(after) == 10
    assert {name: after[name] for name in before} == before
    assert accelbench_here("verify", "bundle").code == 0


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(tmp_path):
    """Ctrl-C ends the workers; the message holds the command that resumes; exit code 1."""
    bundle = tmp_path / "bundle"
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "accelbench.cli.main", "run", "rehearsal", NO_TRACKER),
            *("rules.session=fresh", "--out", "bundle"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as parent:
        _wait(lambda: len(_records(bundle)) >= 2)
        parent.send_signal(signal.SIGINT)
        _, err = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "go on with: accelbench run rehearsal" in err
    assert "--out bundle" in err
    assert "Traceback" not in err
    assert not _workers(bundle)
    assert len(_records(bundle)) >= 2


def _wait(until) -> None:
    """Waits for a condition of another process, at most a minute."""
    for _ in range(1200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass within a minute")


def _workers(bundle: Path) -> list[int]:
    """Worker processes of a bundle that are alive."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"accelbench.harness.run.worker" in words and os.fsencode(bundle) in words:
                found.append(int(entry.name))
    return found
