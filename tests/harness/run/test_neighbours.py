"""A cell that is measured beside another, with real processes and an engine that takes real time."""

import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from accelbench.cli.compose import compose_suite
from accelbench.harness.bundle.checklist import checklist_of
from accelbench.harness.bundle.comparison import compare_bundles
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.bundle.verify import verify
from accelbench.harness.errors import ConfigError
from accelbench.harness.run import registry
from accelbench.harness.run.beside import Pass, tally
from accelbench.harness.run.campaign import ask, run
from accelbench.harness.run.neighbour import MODULE
from accelbench.harness.run.planner import plan_round, resolve, sources
from accelbench.harness.schema.cell import Choice, Neighbour
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.record import WeightsSource

SUITE = """
summary: cells beside one another
choose: {rules: smoke, adapter: fake, platform: fig3_reference, probe: none, tracker: none}
cells:
  train:
    choose: {workload: fake_classifier, scenario: train_to_target}
    set: {scenario.metric: accuracy, scenario.target: 0.96}
  search: {choose: {workload: fake_generator, scenario: sustainable}}
  alone: &one
    choose: {workload: fake_classifier, scenario: single_stream}
    set: {scenario.requests: 40, rules.trials: 2, rules.warmup: 1}
  beside: {<<: *one, beside: batch}
  batch:
    choose: {workload: fake_classifier, scenario: offline}
    set: {scenario.samples: 200, scenario.batch_size: 2, rules.trials: 2, rules.warmup: 1}
    weights_from: train
"""

ENGINE = '''
"""An engine that takes a millisecond a batch, and breaks down as it is told."""

import os
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

from accelbench.harness.errors import TrialError
from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import drive
from accelbench.harness.schema.protocols import Readiness
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import WallClock
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.training import Step


@dataclass(frozen=True)
class RealTime:
    """Takes a millisecond a batch."""

    opens: bool = True
    passes: int | None = None
    then: str = "fail"

    evidence: ClassVar = "measured"
    clock: ClassVar = "wall"

    def readiness(self):
        return Readiness("ready", "a test")

    def supports(self, builder, scenario):
        return None

    def open(self, task):
        if not self.opens:
            raise TrialError("no room for this engine")
        return nullcontext(Session(self, task))


class Session(HostEngine):
    precision = "fp32"

    def __init__(self, options, task):
        self.options, self.builder, self.clock, self.done = options, task.builder, WallClock(), 0
        super().__init__(self.clock.now_ns)

    def facts(self):
        return {"weights": "none"}

    def execute(self, work, recorder):
        if self.done == self.options.passes:
            if self.options.then == "die":
                os.kill(os.getpid(), 9)
            if self.options.then == "fail":
                raise TrialError("out of memory")
            recorder.open_window()
            at = recorder.now_ns()
            time.sleep(0.01)
            recorder.request("0", at, at, recorder.now_ns(), status="error", error="refused")
            return recorder.close_window()
        self.done += 1
        samples = None if isinstance(work.scenario, TrainToTarget) else self.builder.samples()
        drive(self, self.builder, samples, None, work, recorder)

    def prepare(self, inputs):
        return inputs

    def infer(self, inputs):
        until = time.perf_counter_ns() + 1_000_000
        while time.perf_counter_ns() < until:
            pass
        return inputs

    def train(self, batch_size, seed):
        return Training()


class Training:
    def batches(self, epoch):
        return [1]

    def step(self, batch, mark):
        return Step(1, 0.5)

    def evaluate(self):
        return [Quality("accuracy", "test", 1.0, 1)]

    def save(self, path):
        path.write_bytes(b"weights")

    def facts(self):
        return {}
'''


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """The cells of the suite, on the fake engine, by name."""
    path = tmp_path_factory.mktemp("suite") / "own.yaml"
    path.write_text(SUITE)
    return {cell.name: cell for cell in compose_suite(str(path), [])}


@pytest.fixture(scope="module")
def real_time(composed, tmp_path_factory):
    """The same on an engine that takes real time, which this process and its children know of."""
    folder = tmp_path_factory.mktemp("plugin")
    info = folder / "realtime-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: realtime\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[accelbench.adapters]\nrealtime = realtime_engine:RealTime\n"
    )
    (folder / "realtime_engine.py").write_text(ENGINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        patch.setattr(tempfile, "tempdir", str(folder))  # a machine lock of its own
        patch.setenv("TMPDIR", str(folder))
        registry.names.cache_clear()
        importlib.invalidate_caches()

        def cells(*names, **more):
            """Some of them; `batch={...}` gives options of its engine."""
            return [
                replace(composed[name], adapter=Choice("realtime", more.get(name, {})))
                for name in names
            ]

        yield cells
    registry.names.cache_clear()


def done(folder, cells):
    """A campaign of these cells."""
    run(ask("own", resolve(cells), [], ["accelbench"]), folder, lambda _: None)
    return read_bundle(folder)


@pytest.fixture(scope="module")
def bundle(real_time, tmp_path_factory):
    """A finished campaign: a cell alone, beside a neighbour with weights, and the neighbour."""
    cells = real_time("train", "alone", "beside", "batch")
    return done(tmp_path_factory.mktemp("beside") / "bundle", cells)


def test_a_suite_names_a_neighbour(composed):
    """By the name of a cell; its hash is found when the campaign is planned."""
    assert composed["beside"].beside == Neighbour("batch")
    assert composed["alone"].beside is None


def test_the_neighbour_is_part_of_what_is_measured(real_time):
    """Its hash is written down, and enters that of the cell; a cell alone has the hash it had."""
    cells = resolve(real_time("train", "alone", "beside", "batch"))
    assert cells["beside"].beside == Neighbour("batch", cells["batch"].hash)
    other = replace(cells["beside"], beside=Neighbour("batch", "0" * 64))
    assert other.hash != cells["beside"].hash
    assert replace(cells["alone"], beside=None).hash == cells["alone"].hash
    again = resolve([*cells.values()])
    assert again["beside"].beside == cells["beside"].beside
    with pytest.raises(ConfigError, match=r"asks for another 'batch' than the campaign has"):
        resolve([cells["train"], cells["batch"], other])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nobody", "beside names no cell: 'nobody'"),
        ("beside", "cannot be measured beside 'beside': that is the cell itself"),
        ("second", "it is itself measured beside another"),
        ("train", "'train_to_target' is no steady work"),
        ("search", "'sustainable' is no steady work"),
        ("simulated", "'simulated' has a simulated clock"),
    ],
)
def test_what_cannot_be_a_neighbour_is_refused_before_anything_runs(real_time, composed, name, why):
    """In a line that says why."""
    train, search, alone, beside, batch = real_time("train", "search", "alone", "beside", "batch")
    second = replace(alone, name="second", beside=Neighbour("batch"))
    simulated = replace(composed["alone"], name="simulated")
    cells = [train, search, batch, second, simulated, replace(beside, beside=Neighbour(name))]
    with pytest.raises(ConfigError, match=why):
        resolve(cells)


def test_a_simulated_cell_feels_no_neighbour(composed):
    """Two cells on virtual time do not meet."""
    with pytest.raises(ConfigError, match="'beside' has a simulated clock"):
        resolve([composed["train"], composed["beside"], composed["batch"]])


def test_weights_of_a_neighbour_are_waited_for_and_given_to_it(real_time, tmp_path):
    """A job carries its neighbours with all that they need; a cell alone has none."""
    cells = resolve(real_time("train", "alone", "beside", "batch"))
    assert sources(cells["beside"], cells) == ["train"]
    assert sources(cells["alone"], cells) == []
    weights = {"train": (tmp_path / "w", WeightsSource("train", "train/0", "0"))}
    jobs = plan_round(cells, {}, [("alone", 0), ("beside", 0)], 0, weights, tmp_path)
    (its,) = [job.neighbours for job in jobs if "beside" in job.cells]
    assert its["batch"].cell == cells["batch"]
    assert its["batch"].weights == str(tmp_path / "w")
    alone = plan_round(cells, {}, [("alone", 0)], 0, {}, tmp_path)
    assert alone[0].neighbours == {}


def test_what_a_neighbour_did_is_counted_in_the_window():
    """Completions by their end; failures by when they were due; overlaps are busy once."""
    nan = float("nan")
    first = Pass(*(np.array(t, float) for t in ([0, 0], [0, 2], [4, 6])), np.array([True, True]))
    due, sent, gone = ([8, 9, 30, 12], [8, 9, 30, nan], [12, 40, 31, nan])
    second = Pass(*(np.array(t, float) for t in (due, sent, gone)), np.array([1, 1, 1, 0], bool))
    assert tally([first, second], 3, 13) == (3, 1, pytest.approx((3 + 5) / 10))
    assert tally([first, second], 6, 6) == (1, 0, 0.0)
    assert tally([first], 100, 200) == (0, 0, 0.0)


@pytest.mark.slow
def test_the_neighbour_works_all_the_while(bundle):
    """It is busy through the window, and no stranger on the machine; the record names it."""
    cells = bundle.campaign.cells
    records = [record for record in bundle.records if record.cell == "beside"]
    assert {record.status for record in records} == {"valid"}
    for record in records:
        assert record.engine["beside"] == {
            "cell": "batch", "hash": cells["batch"].hash, "adapter": "realtime",
            "scenario": "offline", "workload": "fake_classifier",
        }  # fmt: skip
        found = record.measurements
        assert 0.2 < found["neighbour.busy"].value <= 1
        assert found["neighbour.rate"].value > 10
        assert found["neighbour.cpu_share"].value > 0.05
    alone = [record for record in bundle.records if record.cell == "alone"]
    assert all("beside" not in record.engine for record in alone)
    assert not [n for record in alone for n in record.measurements if n.startswith("neighbour")]


@pytest.mark.slow
def test_its_counters_stand_in_the_trace_with_its_name(bundle):
    """The engine's own processor time does not hold the neighbour's."""
    rows = read_trace(bundle.path / "records/beside/0/trace").table("counters").to_pylist()
    counters = {row["name"]: row for row in rows}
    names = {name for name in counters if name.startswith("neighbour.")}
    assert names == {f"neighbour.{what}" for what in ("completed", "busy", "cpu_time", "time")}
    assert {counters[name]["scope"] for name in names} == {"batch"}
    passed = counters["neighbour.time"]["value"]
    assert 0 < counters["neighbour.cpu_time"]["value"] < 2 * passed
    assert counters["cpu.engine_time"]["value"] < 2 * passed


@pytest.mark.slow
def test_the_bundle_holds_and_tells_the_interference(bundle):
    """Derived figures are recomputed by `verify`, and the item on co-tenants is answered."""
    assert verify(bundle.path).problems == ()
    derived = json.loads((bundle.path / "derived/derived.json").read_text())["derived"]
    (cost,) = [item for item in derived if item["name"] == "interference.beside"]
    assert {"interference.e2e.response.p50", "interference.neighbour"} <= {*cost["measurements"]}
    assert cost["measurements"]["interference.e2e.response.p50"]["value"] > 0.5
    answers = {cell.cell: cell.answer("GEN-48") for cell in checklist_of(bundle).cells}
    assert answers["beside"].status == "answered"
    assert answers["beside"].pointers[0] == "record:/engine/beside"


@pytest.mark.slow
def test_cells_beside_different_neighbours_are_not_compared_unless_that_is_meant(bundle):
    """Neither with none, nor with one that did other work."""

    def verdict(factor=None, **changed):
        """That of the bundle against itself with these cells."""
        cells = {**bundle.campaign.cells, **changed}
        other = replace(bundle, campaign=replace(bundle.campaign, cells=cells))
        asked = {"beside": ["e2e.response.p50"]}
        (found,) = compare_bundles(bundle, other, asked, margin=0.1, factor=factor)
        return found.found

    assert verdict().verdict == "equivalent"
    batch, beside = bundle.campaign.cells["batch"], bundle.campaign.cells["beside"]
    alone = verdict(beside=replace(beside, beside=None))
    assert alone.reason == (
        "the cells were not measured beside the same neighbour; if that is what is compared, say"
        " --factor neighbour"
    )
    larger = replace(batch, scenario=replace(batch.scenario, batch_size=4))
    assert verdict(batch=larger).reason == "the neighbours differ in their scenario"
    assert verdict("neighbour", batch=larger).verdict == "equivalent"
    assert verdict("neighbour", beside=replace(beside, beside=None)).verdict == "equivalent"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"opens": False}, "no room for this engine"),
        ({"passes": 0}, "out of memory"),
        ({"passes": 1}, "out of memory"),
        ({"passes": 1, "then": "die"}, "ended by SIGKILL"),
        ({"passes": 1, "then": "refuse"}, "were not served beside the trial"),
    ],
)
def test_a_trial_whose_neighbour_is_lost_has_failed(real_time, tmp_path, options, said):
    """Whether it cannot open, breaks down, dies or serves nobody; other trials are done."""
    cells = real_time("train", "alone", "beside", "batch", batch=options)
    once = [replace(cell, rules=replace(cell.rules, trials=1)) for cell in cells]
    weightless = [replace(cell, weights_from=None) for cell in once if cell.name != "train"]
    found = done(tmp_path / "bundle", weightless)
    records = {record.cell: record for record in found.records}
    assert records["alone"].status == "valid"
    (reason,) = records["beside"].reasons
    assert (records["beside"].status, reason.code) == ("failed", "neighbour")
    assert said in reason.detail
    assert "'batch'" in reason.detail
    assert records["beside"].engine["beside"]["cell"] == "batch"
    assert verify(found.path).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_a_neighbour_is_left_behind(real_time, tmp_path, end):
    """Neither by Ctrl-C nor by the death of the program."""
    (beside, batch) = real_time("beside", "batch")
    long = replace(beside, scenario=replace(beside.scenario, requests=10**6))
    cells = resolve([long, replace(batch, weights_from=None)])
    job = plan_round(cells, {}, [("beside", 0)], 0, {}, tmp_path)[0]
    program = tmp_path / "program.py"
    program.write_text(
        "import json, sys\n"
        "from accelbench.harness.run.job import SessionJob\n"
        "from accelbench.harness.run.session import supervise\n"
        "from accelbench.harness.schema.decode import decode\n"
        "job = decode(SessionJob, json.load(open(sys.argv[1])))\n"
        "supervise(job, lambda _: None)\n"
    )
    (tmp_path / "job.json").write_text(json.dumps(encode(job)))
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "job.json")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as parent:
        _wait((Path(job.folder) / "beside-beside-0" / "trial").exists)
        assert _processes(tmp_path)
        parent.send_signal(end)
    _wait(lambda: not _processes(tmp_path))


def _wait(until) -> None:
    """Waits for a condition of other processes, at most a minute."""
    for _ in range(1200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to pass within a minute")


def _processes(folder: Path) -> list[int]:
    """Processes of neighbours and workers whose job lies in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            ours = MODULE.rpartition(".")[0].encode() in words
            if ours and os.fsencode(folder / ".sessions") in words:
                found.append(int(entry.name))
    return found
