"""What the loops of an engine in this process can do, on a virtual clock."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load import engines
from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import Batches, Driven, drive, infer_batches
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.arrivals import Constant
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
)
from accelbench.harness.schema.trace import ServiceLevel, Trace
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator

MS = 1_000_000
LEVEL = ServiceLevel(e2e_s=0.1)
OPEN = OpenLoop("open_loop", Constant("constant", 100.0), 4, LEVEL, tail=1)
CLOSED = ClosedLoop("closed_loop", 2, 6)
QUERIES = MultiStream("multi_stream", 4, 5, LEVEL)


class Counted(HostEngine):
    """A batch of samples takes 1 ms each."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        super().__init__(self.clock.now_ns)
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


SAMPLES = FakeClassifier(samples_count=10)
PROMPTS = FakeGenerator(output_tokens=3)


def run(
    engine: Any, builder: Any, scenario: Scenario, warmup: int = 1, artifacts: Path = Path()
) -> tuple[Driven, Trace]:
    """One trial of a fake workload."""
    recorder = Recorder(engine.clock)
    samples = builder.samples() if isinstance(builder, FakeClassifier) else None
    rules = Rules("r", "", 1, warmup, "shared", 10.0, 7, Limits(), (), ())
    work = Work(scenario, rules, 7, artifacts)
    return drive(engine, builder, samples, None, work, recorder), recorder.freeze("simulated")


def test_a_query_of_samples_is_one_batch_due_when_the_one_before_is_done() -> None:
    """Five queries of four samples at 1 ms each: the time of a row is that of its query."""
    engine = Counted()
    driven, trace = run(engine, SAMPLES, QUERIES)
    rows = trace.table("requests").to_pylist()
    assert [row["done_ns"] - row["due_ns"] for row in rows] == [4 * MS] * 5
    assert [row["due_ns"] for row in rows[1:]] == [row["done_ns"] for row in rows[:-1]]
    assert [row["samples"] for row in rows] == [4] * 5
    assert engine.seen[1:4] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1]]
    assert trace.head.slo == LEVEL
    assert (driven.facts["batch"], driven.window_ns) == (4, trace.head.window_ns)


def test_all_batches_of_an_offline_load_are_due_at_its_start() -> None:
    """Rounded up to whole batches; the window is told as it is in the trace."""
    driven, trace = run(Counted(), SAMPLES, Offline("offline", 4, 10))
    rows = trace.table("requests").to_pylist()
    assert {row["due_ns"] for row in rows} == {trace.head.window_ns[0]}
    assert len(rows) == 3
    assert driven.window_ns == trace.head.window_ns


class Preparing(Counted):
    """Laying out a batch takes 3 ms."""

    def prepare(self, inputs: Any) -> Any:
        """Takes its time."""
        self.clock.advance_ns(3 * MS)
        return inputs


def inputs_of(trace: Trace) -> list[tuple[str, int]]:
    """Phases of the input pipeline before the window: what was prepared, and for how long, ns."""
    return [
        (row["name"], row["end_ns"] - row["start_ns"])
        for row in trace.table("phases").to_pylist()
        if row["kind"] == "input" and row["end_ns"] <= trace.head.window_ns[0]
    ]


def test_what_prepares_inputs_is_a_phase_before_the_window() -> None:
    """Each distinct batch is laid out once, and the time of all is told."""
    _, trace = run(Preparing(), SAMPLES, Offline("offline", 5, 20))
    assert inputs_of(trace) == [("samples", 2 * 3 * MS)]


def test_prompts_that_are_drawn_and_tokenised_are_a_phase_before_the_window() -> None:
    """Of a clock that stands still meanwhile nothing is told."""
    engine = Generating()

    class Slow(FakeGenerator):
        def prompts(self, count: int, seed: int) -> Any:
            engine.clock.advance_ns(7 * MS)
            return super().prompts(count, seed)

    _, trace = run(engine, Slow(output_tokens=3), SingleStream("single_stream", 2))
    assert inputs_of(trace) == [("prompts", 7 * MS)]
    _, still = run(Generating(), PROMPTS, SingleStream("single_stream", 2))
    assert inputs_of(still) == []


class Telling:
    """Samples whose answers tell several figures."""

    count = 4

    def batch(self, indices: Sequence[int]) -> list[int]:
        """The inputs are the indices."""
        return list(indices)

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """A quality, and how deep the answers went."""
        asked = sum(len(indices) for indices, _ in answered)
        return [Quality("accuracy", "test", 0.75, asked), Quality("exit.depth", "test", 2.5, asked)]


def test_all_figures_of_the_answers_are_recorded_in_order() -> None:
    """After the window, over each sample once."""
    engine = Counted()
    recorder = Recorder(engine.clock)
    batches = Batches(size=2, count=6, warmup=0, due_at_start=True)
    _, end = infer_batches(engine, Telling(), batches, None, recorder)
    rows = recorder.freeze("simulated").table("evals").to_pylist()
    told = [(row["metric"], row["split"], row["value"], row["n"]) for row in rows]
    assert told == [("accuracy", "test", 0.75, 4), ("exit.depth", "test", 2.5, 4)]
    assert all(row["at_ns"] >= end for row in rows)


class Device(HostEngine):
    """Asking takes the host 1 ms a batch, answering the device 5 ms; it keeps what is asked."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        super().__init__(self.clock.now_ns)
        self.free_ns = 0
        self.waits = 0
        self.marks: list[int] = []

    def prepare(self, inputs: Any) -> Any:
        """Nothing to do."""
        return inputs

    def infer(self, inputs: list[int]) -> list[int]:
        """Begins when the device is free."""
        self.clock.advance_ns(MS)
        self.free_ns = max(self.free_ns, self.clock.now_ns()) + 5 * MS
        return inputs

    def wait(self) -> None:
        """Until the device is free."""
        self.waits += 1
        self.clock.advance_ns(max(0, self.free_ns - self.clock.now_ns()))

    def instants(self) -> "Device":
        """Its own."""
        self.marks.clear()
        return self

    def mark(self) -> None:
        """When the device will have done what it was asked so far."""
        self.marks.append(max(self.free_ns, self.clock.now_ns()))

    def read_ns(self) -> list[int]:
        """All of them."""
        return list(self.marks)


def test_a_device_is_waited_for_at_the_edges_of_a_window_alone() -> None:
    """Offline batches follow one another on the device, and each row has the device's times."""
    engine = Device()
    _, trace = run(engine, SAMPLES, Offline("offline", 2, 8), warmup=0)
    rows = trace.table("requests").to_pylist()
    start, end = trace.head.window_ns
    assert engine.waits == 2
    assert [row["done_ns"] - start for row in rows] == [6 * MS, 11 * MS, 16 * MS, 21 * MS]
    assert [row["sent_ns"] for row in rows[1:]] == [row["done_ns"] for row in rows[:-1]]
    assert end == rows[-1]["done_ns"]


def test_in_streams_the_host_has_each_answer_before_it_asks_again() -> None:
    """The time of a query is that until the host has its answer."""
    engine = Device()
    _, trace = run(engine, SAMPLES, SingleStream("single_stream", 3), warmup=2)
    rows = trace.table("requests").to_pylist()
    assert [row["done_ns"] - row["due_ns"] for row in rows] == [6 * MS] * 3
    warm = [row for row in trace.table("phases").to_pylist() if row["kind"] == "warmup"]
    assert [row["end_ns"] - row["start_ns"] for row in warm] == [6 * MS] * 2


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
    driven, trace = run(Generating(), PROMPTS, scenario)
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
    driven, _ = run(Generating(), PROMPTS, CLOSED)
    planned = plan_load(CLOSED, PROMPTS, 1, 7).facts
    assert {name: driven.facts[name] for name in planned if name != "batch"} == planned
    assert driven.facts["batches"] == {"2": 4}
    assert driven.facts["tokens"] == {"input": {"16": 6}, "output": {"3": 6}}


@pytest.mark.parametrize("scenario", [CLOSED, OPEN])
def test_samples_do_not_queue(scenario: Scenario) -> None:
    """A load with a queue is for prompts: refused when it is run."""
    with pytest.raises(TrialError, match=scenario.kind):
        run(Counted(), SAMPLES, scenario)


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
