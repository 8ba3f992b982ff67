"""What the loops of an engine in this process can do, on a virtual clock."""

import time
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load import engines
from accelbench.harness.load.in_process import Driven, drive, lacks
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    Sustainable,
    TrainToTarget,
)
from accelbench.harness.schema.trace import ServiceLevel, Trace
from accelbench.suites.workloads.fake import FakeWorkload

MS = 1_000_000
LEVEL = ServiceLevel(e2e_s=0.1)
OPEN = OpenLoop("open_loop", Constant("constant", 100.0), 4, LEVEL, tail=1)
CLOSED = ClosedLoop("closed_loop", 2, 6)
QUERIES = MultiStream("multi_stream", 4, 5, LEVEL)
TRAIN = TrainToTarget("train_to_target", "accuracy", 0.9, 8, 2)


class Counted:
    """A batch of samples takes 1 ms each."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.seen: list[list[int]] = []

    def prepare(self, inputs: Any) -> Any:
        """Nothing to do."""
        return inputs

    def infer(self, inputs: list[int]) -> list[int]:
        """Each is its own answer."""
        self.seen.append(inputs)
        self.clock.advance_ns(MS * len(inputs))
        return inputs


class Generating(Counted):
    """A batch of prompts takes 1 ms a step."""

    max_batch = 8

    def generate_batch(self, prompts: Any, prefilled: Any, tokens: Any) -> None:
        """Prefill and steps alike."""
        for step, members in enumerate(engines.steps_of(prompts)):
            self.clock.advance_ns(MS)
            if step == 0:
                prefilled()
            tokens(members)

    def wait_until_ns(self, at_ns: int) -> None:
        """Moves the clock on."""
        self.clock.advance_ns(at_ns - self.clock.now_ns())


def run(engine: Any, task: Any, scenario: Scenario, warmup: int = 1) -> tuple[Driven, Trace]:
    """One trial of the fake workload."""
    builder = FakeWorkload(task=task, samples_count=10, output_tokens=3)
    recorder = Recorder(engine.clock)
    samples = builder.samples() if task == "classify" else None
    rules = Rules("r", "", 1, warmup, "shared", 10.0, 7, Limits(), (), ())
    work = Work(scenario, rules, 7, Path())
    return drive(engine, builder, samples, None, work, recorder), recorder.freeze("simulated")


def test_a_query_of_samples_is_one_batch_due_when_the_one_before_is_done() -> None:
    """Five queries of four samples at 1 ms each: the time of a row is that of its query."""
    engine = Counted()
    driven, trace = run(engine, "classify", QUERIES)
    rows = trace.table("requests").to_pylist()
    assert [row["done_ns"] - row["due_ns"] for row in rows] == [4 * MS] * 5
    assert [row["due_ns"] for row in rows[1:]] == [row["done_ns"] for row in rows[:-1]]
    assert [row["samples"] for row in rows] == [4] * 5
    assert engine.seen[1:4] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert trace.head.slo == LEVEL
    assert (driven.facts["batch"], driven.window_ns) == (4, trace.head.window_ns)


def test_all_batches_of_an_offline_load_are_due_at_its_start() -> None:
    """Rounded up to whole batches; the window is told as it is in the trace."""
    driven, trace = run(Counted(), "classify", Offline("offline", 4, 10))
    rows = trace.table("requests").to_pylist()
    assert {row["due_ns"] for row in rows} == {trace.head.window_ns[0]}
    assert len(rows) == 3
    assert driven.window_ns == trace.head.window_ns


@pytest.mark.parametrize(
    ("scenario", "inside", "all_of_them"),
    [
        (SingleStream("single_stream", 5, LEVEL), 5, 6),
        (Offline("offline", 4, 8), 8, 12),
        (QUERIES, 20, 24),
        (CLOSED, 6, 9),
        (OPEN, 4, 6),
    ],
)
def test_every_load_of_prompts_is_served_whole(
    scenario: Any, inside: int, all_of_them: int
) -> None:
    """Warm-up, window and tail are in the trace; the window's are due inside."""
    driven, trace = run(Generating(), "generate", scenario)
    rows = trace.table("requests").to_pylist()
    start, end = driven.window_ns
    assert trace.head.window_ns == (start, end)
    assert sum(start <= row["due_ns"] <= end for row in rows) == inside
    assert len(rows) == all_of_them
    assert {row["status"] for row in rows} == {"ok"}
    assert trace.head.slo == getattr(scenario, "slo", None)
    assert (trace.head.arrivals is None) == (scenario.kind != "open_loop")


def test_what_was_planned_and_what_came_of_it_are_both_told() -> None:
    """The facts of the plan, and sizes of batches and lengths of the window."""
    driven, _ = run(Generating(), "generate", CLOSED)
    planned = plan_load(CLOSED, FakeWorkload(task="generate", output_tokens=3), 1, 7).facts
    assert {name: driven.facts[name] for name in planned if name != "batch"} == planned
    assert driven.facts["batches"] == {"2": 4}
    assert driven.facts["tokens"] == {"input": {"16": 6}, "output": {"3": 6}}


@pytest.mark.parametrize("scenario", [CLOSED, OPEN])
def test_samples_do_not_queue(scenario: Scenario) -> None:
    """A load with a queue is for prompts: said when the plan is made, refused when it is run."""
    assert "generate" in (lacks("classify", scenario) or "")
    assert lacks("generate", scenario) is None
    with pytest.raises(TrialError, match=scenario.kind):
        run(Counted(), "classify", scenario)


def test_what_the_loops_lack_is_said_in_words() -> None:
    """Prompts are not trained on, and a search is for loads with a queue."""
    search = Sustainable("sustainable", Constant("constant", 1.0), 10, LEVEL)
    assert "trained" in (lacks("generate", TRAIN) or "")
    assert "sustainable" in (lacks("classify", search) or "")
    for scenario in (SingleStream("single_stream", 1), Offline("offline", 1, 1), QUERIES):
        assert lacks("classify", scenario) is lacks("generate", scenario) is None
    assert lacks("classify", TRAIN) is lacks("generate", search) is None


def test_a_real_clock_is_slept_on_until_shortly_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last millisecond is watched, not slept, as a sleeper may wake up late."""
    clock, slept = [0], []

    def now() -> int:
        """Each look at the clock takes a quarter of a millisecond."""
        clock[0] += MS // 4
        return clock[0]

    def sleep(seconds: float) -> None:
        """Sleeps for as long as it is told to."""
        slept.append(seconds)
        clock[0] += round(seconds * 1e9)

    monkeypatch.setattr(time, "perf_counter_ns", now)
    monkeypatch.setattr(time, "sleep", sleep)
    engines.sleep_until_ns(100 * MS)
    assert 100 * MS <= clock[0] < 101 * MS
    assert slept == [pytest.approx(0.09875)]
    engines.sleep_until_ns(50 * MS)
    assert len(slept) == 1
