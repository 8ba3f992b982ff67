"""The fake engine: exact times, answers, training and failures, as told."""

import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from accelbench.adapters.engines.fake import FakeAdapter
from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    TrainToTarget,
)
from accelbench.harness.schema.trace import Trace
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator

OFFLINE = Offline("offline", 10, 100)
STREAM = SingleStream("single_stream", 5)
QUERIES = MultiStream("multi_stream", 3, 4)
USERS = ClosedLoop("closed_loop", 2, 12)
SCHEDULE = OpenLoop("open_loop", Constant("constant", 100.0), 12)
TRAIN = TrainToTarget("train_to_target", "accuracy", 0.9, 8, 5)
CONF = Path(__file__).parents[3] / "conf" / "adapter"


ANSWERS = FakeClassifier()
PROMPTS = FakeGenerator(prompt_tokens=10, output_tokens=4)


@dataclass(frozen=True)
class Asking(FakeClassifier):
    """Asks for answers to texts, and says how it would be trained."""

    def facts(self) -> Mapping[str, Plain]:
        """Of training alone."""
        return {"training": {"schedule": "none", "loss": "as the workload has it"}}

    def samples(self) -> Any:
        """One text."""
        return SimpleNamespace(count=1, batch=lambda indices: ["text"] * len(indices))


def run(
    adapter: FakeAdapter,
    scenario: Scenario,
    *,
    of: WorkloadBuilder = ANSWERS,
    repeat: int = 0,
    warmup: int = 0,
    artifacts: Path = Path(),
) -> Trace:
    """One trial."""
    machine = Platform("machine", "", "reference", {}, (), None, None, (), ("a test",))
    rules = Rules("r", "", 3, warmup, "shared", 10.0, 100, Limits(), (), ())
    with adapter.open(Task(of, machine, None, 0)) as session:
        recorder = Recorder(session.clock)
        session.execute(Work(scenario, rules, rules.seed + repeat, artifacts), recorder)
        return recorder.freeze(adapter.evidence, precision=session.precision)


def service_ns(trace: Trace) -> list[int]:
    """Time from sent to done of each request in the window."""
    start = trace.head.window_ns[0]
    rows = trace.table("requests").to_pylist()
    return [r["done_ns"] - r["sent_ns"] for r in rows if r["due_ns"] >= start]


def on_test(trace: Trace) -> list[float]:
    """Quality on the test split, evaluation by evaluation."""
    return [row["value"] for row in trace.table("evals").to_pylist() if row["split"] == "test"]


def quality(trace: Trace) -> float:
    """The last quality of a trial."""
    value = trace.table("evals").to_pylist()[-1]["value"]
    assert isinstance(value, float)
    return value


def test_batches_take_the_time_they_are_told_to() -> None:
    """Ten batches of ten samples at 1 ms and 0.1 ms each take 2 ms each, on a virtual clock."""
    trace = run(FakeAdapter(), OFFLINE, warmup=2)
    assert service_ns(trace) == pytest.approx([2_000_000] * 10, abs=1)
    assert (trace.head.evidence, trace.head.clock) == ("simulated", "simulated")


def test_tokens_take_the_time_they_are_told_to() -> None:
    """The first token comes with the prefill of ten tokens, each further one after 1 ms."""
    trace = run(FakeAdapter(), STREAM, of=PROMPTS, warmup=1)
    request = trace.table("requests").to_pylist()[1]
    at = [row["at_ns"] - request["sent_ns"] for row in trace.table("tokens").to_pylist()[4:8]]
    assert at == pytest.approx([100_000, 1_100_000, 2_100_000, 3_100_000], abs=1)


def test_jitter_is_bounded_and_repeats_with_the_seed() -> None:
    """A tenth of jitter keeps each time within a tenth; another repeat draws other times."""
    adapter = FakeAdapter(jitter=0.1)
    first, again, other = (service_ns(run(adapter, OFFLINE, repeat=n)) for n in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) > 1
    assert all(1_799_999 <= taken <= 2_200_001 for taken in first)


@pytest.mark.parametrize(("accuracy", "low", "high"), [(1.0, 1, 1), (0.0, 0, 0), (0.7, 0.5, 0.9)])
def test_answers_are_as_right_as_told(accuracy: float, low: float, high: float) -> None:
    """All, none, or about the asked share of a hundred answers are right."""
    assert low <= quality(run(FakeAdapter(accuracy=accuracy), OFFLINE)) <= high


def test_samples_that_are_no_integers_are_refused() -> None:
    """It cannot answer a real model's inputs, and says which workload it can."""
    with pytest.raises(TrialError, match="workload 'fake_classifier'"):
        run(FakeAdapter(), OFFLINE, of=Asking())


@pytest.mark.parametrize("epochs", [1, 3, 5])
def test_training_meets_the_target_in_the_epoch_it_is_told_to(tmp_path: Path, epochs: int) -> None:
    """The evaluation of that epoch is the first that meets the target."""
    trace = run(FakeAdapter(epochs_to_target=epochs), TRAIN, artifacts=tmp_path, warmup=3)
    values = on_test(trace)
    assert len(values) == epochs
    assert [value >= 0.9 for value in values] == [False] * (epochs - 1) + [True]
    assert trace.table("requests").num_rows == 10 * epochs


def test_training_can_miss_the_target(tmp_path: Path) -> None:
    """Told to need more epochs than there are, it never meets it."""
    trace = run(FakeAdapter(epochs_to_target=6), TRAIN, artifacts=tmp_path)
    assert len(on_test(trace)) == 5
    assert quality(trace) < 0.9


def test_a_target_that_is_better_lower_is_met_from_above(tmp_path: Path) -> None:
    """A loss falls to its target, in the epoch it is told to."""
    scenario = TrainToTarget("train_to_target", "loss", 0.5, 8, 5)
    trace = run(FakeAdapter(epochs_to_target=2), scenario, artifacts=tmp_path)
    assert on_test(trace) == [1.0, 0.5]


def test_what_the_workload_says_of_training_is_told_beside_what_the_run_says(
    tmp_path: Path,
) -> None:
    """The run knows better where both tell of the same."""
    machine = Platform("machine", "", "reference", {}, (), None, None, (), ("a test",))
    rules = Rules("r", "", 3, 0, "shared", 10.0, 100, Limits(), (), ())
    with FakeAdapter().open(Task(Asking(), machine, None, 0)) as session:
        session.execute(Work(TRAIN, rules, 100, tmp_path), Recorder(session.clock))
        training: Any = session.facts()["training"]
    assert (training["schedule"], training["optimizer"]) == ("none", "none: fake")
    assert training["loss"].startswith("one over")


def test_its_training_has_parts_and_a_loss(tmp_path: Path) -> None:
    """A third of a step forward, the rest backward; the loss is one over the steps."""
    trace = run(FakeAdapter(per_sample_s=0.0, latency_s=3e-3), TRAIN, artifacts=tmp_path)
    lasted = {
        row["kind"]: row["end_ns"] - row["start_ns"]
        for row in trace.table("phases").to_pylist()
        if row["request"] == "0.0"
    }
    assert lasted == {"input": 0, "forward": 1_000_000, "backward": 2_000_000, "optimizer": 0}
    losses = [row["value"] for row in trace.table("evals").to_pylist() if row["split"] == "train"]
    assert losses[:3] == [1, 1 / 2, 1 / 3]


def test_it_saves_a_safetensors_file_without_tensors(tmp_path: Path) -> None:
    """Eight bytes of the header's length, then a JSON header: what a reader of the format wants."""
    run(FakeAdapter(), TRAIN, artifacts=tmp_path)
    content = (tmp_path / "weights.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    assert json.loads(content[8 : 8 + size]) == {}
    assert len(content) == 8 + size
    safetensors = pytest.importorskip("safetensors")
    assert safetensors.deserialize(content) == []


@pytest.mark.parametrize(
    ("scenario", "of"), [(OFFLINE, ANSWERS), (STREAM, PROMPTS), (TRAIN, ANSWERS)]
)
def test_energy_is_power_times_the_window(
    scenario: Scenario, of: WorkloadBuilder, tmp_path: Path
) -> None:
    """50 W fill the ledger with 50 J a second of the window; the warm-up does not count."""
    adapter = FakeAdapter(power_w=50.0, jitter=0.3)
    trace = run(adapter, scenario, of=of, warmup=4, artifacts=tmp_path)
    energy = sum(row["energy_j"] for row in trace.table("ledger").to_pylist())
    start, end = trace.head.window_ns
    assert energy == pytest.approx(50 * (end - start) / 1e9, rel=1e-6)
    assert trace.head.meters["ledger"].quality == "modelled"


def test_without_power_there_is_no_energy() -> None:
    """No ledger, rather than one of zeros."""
    trace = run(FakeAdapter(), OFFLINE)
    assert trace.table("ledger").num_rows == 0
    assert trace.head.meters == {}


@pytest.mark.parametrize("scenario", [OFFLINE, STREAM, TRAIN])
def test_it_fails_at_the_request_it_is_told_to(scenario: Scenario, tmp_path: Path) -> None:
    """The trial ends with the error that was asked for."""
    with pytest.raises(TrialError, match="a fuse has blown"):
        run(FakeAdapter(fail_at=2, error="a fuse has blown"), scenario, artifacts=tmp_path)


def test_the_warm_up_does_not_fail() -> None:
    """Told to fail at request 5 of five, it counts from the window on and comes through."""
    assert len(service_ns(run(FakeAdapter(fail_at=5), STREAM, warmup=5))) == 5
    with pytest.raises(TrialError):
        run(FakeAdapter(fail_at=0), STREAM, warmup=5)


def test_the_warm_up_of_offline_prompts_is_counted_in_batches() -> None:
    """Two batches of four come before the window, so that its ninth request is never reached."""
    offline = Offline("offline", 4, 8)
    trace = run(FakeAdapter(max_batch=4, fail_at=8), offline, of=PROMPTS, warmup=2)
    rows = trace.table("requests").to_pylist()
    opened = trace.head.window_ns[0]
    assert sum(row["due_ns"] < opened for row in rows) == len(rows) - 8 == 8
    with pytest.raises(TrialError):
        run(FakeAdapter(max_batch=4, fail_at=7), offline, of=PROMPTS, warmup=2)


def test_only_the_repeat_it_is_told_to_break_breaks() -> None:
    """Repeat 1 fails; those before and after come through."""
    adapter = FakeAdapter(fail_at=0, crash_on_repeat=1)
    run(adapter, STREAM, repeat=0)
    run(adapter, STREAM, repeat=2)
    with pytest.raises(TrialError):
        run(adapter, STREAM, repeat=1)


def test_it_crashes_by_killing_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the request it is told to, its own process gets a signal that cannot be caught."""

    class Killed(BaseException):
        """Stands in for `Killed` of the real one."""

    def kill(pid: int, sign: int) -> None:
        """Stands in for `kill` of the real one."""
        assert (pid, sign) == (os.getpid(), signal.SIGKILL)
        raise Killed

    monkeypatch.setattr(os, "kill", kill)
    with pytest.raises(Killed):
        run(FakeAdapter(crash_at=3), STREAM)


def test_it_hangs_in_real_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the request it is told to, it sleeps again and again, whatever wakes it."""
    slept = []

    class EnoughSeen(BaseException):
        """Stands in for `EnoughSeen` of the real one."""

    def sleep(seconds: float) -> None:
        """Stands in for `sleep` of the real one."""
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughSeen

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(EnoughSeen):
        run(FakeAdapter(hang_at=1), STREAM)


def test_it_prints_one_line_when_it_starts(capsys: pytest.CaptureFixture[str]) -> None:
    """A session's log has something in it."""
    run(FakeAdapter(), STREAM)
    assert capsys.readouterr().out == "fake engine: started\n"


def test_its_facts_say_that_nothing_is_real() -> None:
    """Weights and times are named as made up."""
    machine = Platform("machine", "", "reference", {}, (), None, None, (), ("a test",))
    with FakeAdapter().open(Task(ANSWERS, machine, None, 0)) as session:
        facts = session.facts()
    assert (facts["cost_model"], facts["weights"]) == ("fake", "none: fake")
    assert facts["assumptions"]


def test_it_supports_all_but_a_queue_of_samples() -> None:
    """Classifying, generating under any load, and training; ready anywhere."""
    adapter = FakeAdapter()
    assert adapter.readiness().status == "ready"
    for builder, scenario in (
        (ANSWERS, OFFLINE),
        (ANSWERS, STREAM),
        (ANSWERS, TRAIN),
        (ANSWERS, QUERIES),
        (PROMPTS, STREAM),
        (PROMPTS, OFFLINE),
        (PROMPTS, QUERIES),
        (PROMPTS, USERS),
        (PROMPTS, SCHEDULE),
    ):
        assert adapter.supports(builder, scenario) is None
    assert adapter.supports(ANSWERS, USERS)
    assert adapter.supports(ANSWERS, SCHEDULE)


def test_a_batch_of_prompts_takes_its_prefill_by_tokens_and_its_steps_once() -> None:
    """Four prompts of ten tokens at 10 us: 0.4 ms until the first tokens, then a step of 1 ms."""
    trace = run(FakeAdapter(max_batch=4), Offline("offline", 4, 8), of=PROMPTS)
    rows = trace.table("requests").to_pylist()
    begun = sorted({row["queue_exit_ns"] for row in rows})
    assert [at - begun[0] for at in begun] == pytest.approx([0, 3_400_000], abs=1)
    assert {row["prefill_end_ns"] - row["queue_exit_ns"] for row in rows} <= {399_999, 400_000}


@pytest.mark.parametrize("max_batch", [1, 3, 8])
def test_a_request_has_its_number_in_any_batch_and_load(max_batch: int) -> None:
    """Told to fail at the last request of the window it fails, one further it comes through."""
    for scenario, requests in (
        (QUERIES, 12),
        (USERS, 12),
        (SCHEDULE, 12),
        (Offline("offline", 4, 12), 12),
    ):
        adapter = FakeAdapter(max_batch=max_batch, fail_at=requests - 1)
        with pytest.raises(TrialError, match="told to"):
            run(adapter, scenario, of=PROMPTS, warmup=2)
        tail = 2 if scenario is USERS else 0
        adapter = FakeAdapter(max_batch=max_batch, fail_at=requests + tail)
        assert len(service_ns(run(adapter, scenario, of=PROMPTS, warmup=2))) == requests + tail


@pytest.mark.parametrize("max_batch", [1, 3])
def test_energy_is_that_of_the_time_it_worked_in_the_window(max_batch: int) -> None:
    """At twice the load that it can take it never rests: 50 W times a window amid the work."""
    load = OpenLoop("open_loop", Constant("constant", 2000.0), 40, tail=10)
    adapter = FakeAdapter(power_w=50.0, max_batch=max_batch)
    trace = run(adapter, load, of=PROMPTS, warmup=10)
    energy = sum(row["energy_j"] for row in trace.table("ledger").to_pylist())
    start, end = trace.head.window_ns
    assert energy == pytest.approx(50 * (end - start) / 1e9, rel=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"latency_s": -1.0},
        {"jitter": 1.0},
        {"accuracy": 1.5},
        {"epochs_to_target": 0},
        {"max_batch": 0},
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    """A negative time, a jitter that could undo one, or a share above one is a wrong request."""
    with pytest.raises(ConfigError):
        decode(FakeAdapter, wrong)


def test_its_preset_is_its_defaults() -> None:
    """The configuration names every option, with the value the class has."""
    preset = yaml.safe_load((CONF / "fake.yaml").read_text())
    assert preset.pop("name") == "fake"
    assert set(preset) == {field.name for field in fields(FakeAdapter)}
    assert decode(FakeAdapter, preset) == FakeAdapter()
