"""A plan is driven through an engine that batches continuously, on a virtual clock."""

from dataclasses import replace

import numpy as np
import pytest

from accelbench.adapters.engines.vllm.loop import Ended, Progress, serve
from accelbench.harness.load.engines import Demand
from accelbench.harness.schema.recorder import Recorder, VirtualClock

STEP_NS = 10
MS_NS = 1_000_000


class Engine:
    """Each step takes ten nanoseconds and brings every request in its batch one token."""

    def __init__(self, clock, seats=100, tokens=1, cached=None):
        self.clock, self.seats, self.tokens, self.cached = clock, seats, tokens, cached
        self.waiting, self.running = [], {}
        self.most = 0

    def add(self, number, prompt):
        """Queues it."""
        self.waiting.append((number, prompt.output_tokens))

    def step(self):
        """One token each."""
        began = self.clock.now_ns()
        while self.waiting and len(self.running) < self.seats:
            number, wanted = self.waiting.pop(0)
            self.running[number] = [wanted, began, None]
        self.most = max(self.most, len(self.running))
        self.clock.advance_ns(STEP_NS)
        found = []
        for number, state in list(self.running.items()):
            state[2] = state[2] or self.clock.now_ns()
            count = min(self.tokens, state[0])
            state[0] -= count
            ended = None if state[0] else Ended(state[1], state[2], self.cached)
            if ended:
                del self.running[number]
            found.append(Progress(number, count, ended, [number] * count))
        return found

    def wait_until_ns(self, at_ns):
        """Jumps there."""
        self.clock.advance_ns(at_ns - self.clock.now_ns())


class Costs:
    """A FLOP a token; a step moves one byte for each sequence and a hundred in any case."""

    def call(self, _phase, tokens=1, **_):
        """Of one call."""
        return Demand(float(tokens), 100.0 + tokens)

    def decode(self, _context, steps):
        """Of some steps alone."""
        return Demand(float(steps), 101.0 * steps)

    def shared(self, _phase, **_):
        """What is moved once."""
        return 100.0


@pytest.fixture
def served():
    """Runs a plan and returns the window, the rows of tables and the engine."""

    def run(plan, demand=None, **engine):
        clock = VirtualClock()
        machine, recorder = Engine(clock, **engine), Recorder(clock)
        _, window = serve(machine, plan, demand, recorder)
        tables = recorder.freeze("simulated").tables
        return window, {name: table.to_pylist() for name, table in tables.items()}, machine

    return run


def test_at_the_start_all_are_due_and_some_are_on_their_way(plan, served):
    """The window opens for all at once and closes when the last is done."""
    window, rows, engine = served(plan("start", 4, users=2))
    assert engine.most == 2
    assert {row["due_ns"] for row in rows["requests"]} == {window[0]}
    assert window == (0, 60)
    assert [row["sent_ns"] for row in rows["requests"]] == [0, 0, 30, 30]
    assert all(row["output_tokens"] == 3 for row in rows["requests"])


def test_the_warm_up_of_an_offline_load_is_done_before_its_window(plan, served):
    """The window opens a nanosecond after the last of the warm-up."""
    window, rows, _ = served(plan("start", 2, warmup=2, users=2))
    assert max(row["done_ns"] for row in rows["requests"][:2]) == 30
    assert window == (31, 61)
    assert [row["kind"] for row in rows["phases"][:2]] == ["warmup", "warmup"]


def test_a_user_waits_for_the_answer_before(plan, served):
    """Two users have two requests on their way, the window ends with the first of the tail."""
    window, rows, engine = served(plan("users", 4, users=2, tail=2))
    assert engine.most == 2
    assert [row["due_ns"] for row in rows["requests"]] == [0, 0, 30, 30, 61, 61]
    assert window == (0, 60)


def test_a_request_keeps_its_class(plan, served):
    """In the trace, as its prompt has it."""
    told = plan("users", 2)
    classed = tuple(
        replace(one, request_class=name) for one, name in zip(told.prompts, "ab", strict=True)
    )
    _, rows, _ = served(replace(told, prompts=classed))
    assert [row["class"] for row in rows["requests"]] == ["a", "b"]


def test_the_samples_of_a_query_are_on_their_way_together(plan, served):
    """The next query is due when all samples of the last are done."""
    _, rows, _ = served(plan("users", 4, group=2), seats=1)
    assert [row["query"] for row in rows["requests"]] == ["0", "0", "1", "1"]
    assert [row["due_ns"] for row in rows["requests"]] == [0, 0, 60, 60]
    assert [row["done_ns"] for row in rows["requests"]] == [30, 60, 90, 120]


def test_what_is_due_while_a_step_runs_joins_the_next_one(plan, served):
    """It counts as sent when it was due; what it waits it waits in the engine's queue."""
    due = np.array([0.0, 15e-9, 1e-3])
    window, rows, _ = served(plan("schedule", 3, due_s=due))
    first, second, third = rows["requests"]
    assert (second["due_ns"], second["sent_ns"], second["queue_exit_ns"]) == (15, 15, 20)
    assert third["sent_ns"] == third["queue_exit_ns"] == MS_NS
    assert first["done_ns"] == 30
    assert window == (0, MS_NS)


def test_a_cap_holds_back_what_is_due(plan, served):
    """It is sent late and keeps its due instant."""
    _, rows, engine = served(plan("schedule", 3, due_s=np.zeros(3), max_in_flight=1))
    assert engine.most == 1
    assert [(row["due_ns"], row["sent_ns"]) for row in rows["requests"]] == [
        (0, 0),
        (0, 30),
        (0, 60),
    ]


def test_queue_prefill_and_decode_are_told_apart(plan, served):
    """The three parts of equation 3, and tokens stamped when a step returns."""
    _, rows, _ = served(plan("start", 2, users=2), seats=1)
    second = rows["requests"][1]
    assert (second["sent_ns"], second["queue_exit_ns"], second["prefill_end_ns"]) == (0, 30, 40)
    assert [row["at_ns"] for row in rows["tokens"] if row["id"] == "1"] == [40, 50, 60]
    phases = [
        (p["kind"], p["start_ns"], p["end_ns"]) for p in rows["phases"] if p["request"] == "1"
    ]
    assert phases == [("prefill", 30, 40), ("decode", 40, 60)]


def test_several_tokens_of_a_step_are_one_arrival(plan, served):
    """Where drafts are kept, the row counts them."""
    _, rows, _ = served(plan("start", 1), tokens=2)
    assert [row["count"] for row in rows["tokens"]] == [2, 1]
    assert rows["requests"][0]["output_tokens"] == 3


def test_cached_tokens_are_told_and_not_computed_again(plan, served):
    """Of ten prompt tokens four were found: six are work."""
    _, rows, _ = served(plan("start", 1), demand=Costs(), cached=4)
    assert rows["requests"][0]["cached_input_tokens"] == 4
    assert [row["flops"] for row in rows["phases"]] == [6.0, 2.0]


def test_what_a_step_moves_once_counts_once(plan, served):
    """Two in a batch have half of the weights each; one alone has all of them."""
    _, alone, _ = served(plan("start", 1), demand=Costs())
    assert [row["bytes"] for row in alone["phases"]] == [110.0, 202.0]
    _, two, _ = served(plan("start", 2, users=2), demand=Costs())
    assert [row["bytes"] for row in two["phases"]] == [60.0, 60.0, 102.0, 102.0]


def test_an_engine_that_tells_no_stamps_has_no_phases(plan, served):
    """Without them queue and prefill are absent, and the rest is recorded."""

    class Silent(Engine):
        """Tells when tokens came and nothing else."""

        def step(self):
            """One step without stamps."""
            return [
                Progress(p.number, p.tokens, p.ended and Ended(None, None, None))
                for p in super().step()
            ]

    clock = VirtualClock()
    recorder = Recorder(clock)
    serve(Silent(clock), plan("start", 1), None, recorder)
    tables = recorder.freeze("simulated").tables
    assert "phases" not in tables
    assert tables["requests"].to_pylist()[0]["prefill_end_ns"] is None


def test_answers_are_held_against_the_workload_where_that_is_asked(plan):
    """The ids of each request come together over its steps, also where a step brings several."""

    class Knows:
        """Expects of each request its place in the plan three times; of the fourth less."""

        def reference(self, prompts):
            """The last token of the fourth is another."""
            return [{"3": "330"}.get(prompt.id, prompt.id * 3) for prompt in prompts]

        def text(self, _prompt, tokens):
            """An id is a digit."""
            return "".join(map(str, tokens))

    clock = VirtualClock()
    recorder = Recorder(clock)
    serve(Engine(clock, tokens=2), plan("start", 2, warmup=2, users=2), None, recorder, Knows())
    (found,) = recorder.freeze("simulated").table("evals").to_pylist()
    assert (found["metric"], found["split"], found["n"]) == ("agreement", "test", 2)
    assert found["value"] == pytest.approx((1 + 2 / 3) / 2)
