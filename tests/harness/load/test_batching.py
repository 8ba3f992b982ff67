"""Static batches of a plan on a virtual clock: worked out by hand, to the nanosecond."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelbench.harness.load.batching import batching_facts, serve
from accelbench.harness.load.engines import DemandOf, steps_of
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.recorder import Recorder, VirtualClock
from accelbench.harness.schema.trace import Arrivals, ServiceLevel, Trace

S = 1_000_000_000
TENTH = S // 10


class Steady:
    """An engine whose prefill and whose steps take a fixed time, however many prompts it has."""

    def __init__(self, max_batch: int, prefill_ns: int, step_ns: int) -> None:
        self.clock = VirtualClock()
        self.max_batch = max_batch
        self._prefill_ns = prefill_ns
        self._step_ns = step_ns
        self.ran: list[tuple[int, int, list[str]]] = []

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> None:
        """Prefill, then steps until the longest is done."""
        began = self.clock.now_ns()
        self.clock.advance_ns(self._prefill_ns)
        prefilled()
        for step, members in enumerate(steps_of(prompts)):
            self.clock.advance_ns(self._step_ns if step else 0)
            tokens(members)
        self.ran.append((began, self.clock.now_ns(), [prompt.id for prompt in prompts]))

    def wait_until_ns(self, at_ns: int) -> None:
        """Moves the clock on; it refuses to go back."""
        self.clock.advance_ns(at_ns - self.clock.now_ns())


def load(mode: Any, outputs: Sequence[int], **changed: Any) -> LoadPlan:
    """A plan of prompts of three tokens that ask for so many each; all of them in the window."""
    prompts = tuple(Prompt(str(k), "", (1, 2, 3), out) for k, out in enumerate(outputs))
    given: dict[str, Any] = {
        "prompts": prompts,
        "warmup": 0,
        "requests": len(prompts),
        "mode": mode,
        "due_s": None,
        "users": 1,
        "group": 1,
        "max_in_flight": None,
        "arrivals": None,
        "slo": None,
        "facts": {},
    }
    if "due_s" in changed:
        changed["due_s"] = np.array(changed["due_s"])
    return LoadPlan(**(given | changed))


class Ran:
    """A plan that was run: its trace, and its requests by the column."""

    def __init__(self, plan: LoadPlan, engine: Steady, demand: DemandOf | None = None) -> None:
        recorder = Recorder(engine.clock)
        self.facts: Mapping[str, Plain]
        self.facts, self.window = serve(engine, plan, demand, recorder)
        self.trace: Trace = recorder.freeze("simulated")
        self.rows = sorted(self.trace.table("requests").to_pylist(), key=lambda r: int(r["id"]))

    def __getitem__(self, column: str) -> list[Any]:
        return [row[f"{column}_ns"] for row in self.rows]

    def inside(self, column: str) -> list[str]:
        """Ids of the requests whose instant lies in the closed window."""
        start, end = self.window
        return [row["id"] for row in self.rows if start <= row[f"{column}_ns"] <= end]


def test_requests_queue_for_an_engine_that_takes_one() -> None:
    """Due at 0, 0.1 and 0.2 s with 1 s of service: done at 1, 2 and 3 s, sent when due."""
    plan = load("schedule", [1, 1, 1], due_s=[0.0, 0.1, 0.2])
    ran = Ran(plan, Steady(1, S, 0))
    assert ran["due"] == ran["sent"] == [0, TENTH, 2 * TENTH]
    assert ran["queue_exit"] == [0, S, 2 * S]
    assert ran["done"] == ran["prefill_end"] == [S, 2 * S, 3 * S]


def test_what_waits_when_the_engine_is_free_is_one_batch() -> None:
    """The first runs alone; the two that came meanwhile run together and are done at 2 s."""
    plan = load("schedule", [1, 1, 1], due_s=[0.0, 0.1, 0.2])
    engine = Steady(8, S, 0)
    assert Ran(plan, engine)["done"] == [S, 2 * S, 2 * S]
    assert engine.ran == [(0, S, ["0"]), (S, 2 * S, ["1", "2"])]


def test_a_batch_has_at_most_as_many_as_the_engine_takes() -> None:
    """Five at once, two at a time: three batches in the order of the plan."""
    engine = Steady(2, S, 0)
    Ran(load("schedule", [1] * 5, due_s=[0.0] * 5), engine)
    assert [ids for _, _, ids in engine.ran] == [["0", "1"], ["2", "3"], ["4"]]


def test_a_member_is_done_with_its_own_last_token_and_the_next_batch_with_the_longest() -> None:
    """After 1 s of prefill a step takes 1 s: one token is done at 1 s, four are at 4 s."""
    plan = load("schedule", [1, 4, 2, 1], due_s=[0.0, 0.0, 0.0, 0.5])
    ran = Ran(plan, Steady(3, S, S))
    assert ran["done"] == [S, 4 * S, 2 * S, 5 * S]
    assert ran["queue_exit"] == [0, 0, 0, 4 * S]
    at = [(row["id"], row["at_ns"] // S) for row in ran.trace.table("tokens").to_pylist()]
    assert sorted(at) == [
        *(("0", 1), ("1", 1), ("1", 2), ("1", 3), ("1", 4)),
        *(("2", 1), ("2", 2), ("3", 5)),
    ]
    assert [row["output_tokens"] for row in ran.rows] == [1, 4, 2, 1]
    assert [row["asked_output_tokens"] for row in ran.rows] == [1, 4, 2, 1]


def test_omission_is_not_coordinated() -> None:
    """0.5 s of work at 10 requests/s: each response is 0.4 s longer than the one before.

    The queue is the engine's, so service counts from the sending and grows with it, as of a
    server with one slot; the work on a request stays.
    """
    plan = load("schedule", [1] * 20, due_s=np.arange(20) / 10)
    ran = Ran(plan, Steady(1, S // 2, 0))
    response = np.subtract(ran["done"], ran["due"])
    assert response.tolist() == [S // 2 + k * 4 * TENTH for k in range(20)]
    assert ran["sent"] == ran["due"]
    assert set(np.subtract(ran["done"], ran["queue_exit"])) == {S // 2}
    measured = measure(ran.trace, None)
    assert measured["e2e.response.mean"].value == pytest.approx(0.5 + 0.4 * 9.5)
    assert measured["queue.time.mean"].value == pytest.approx(0.4 * 9.5)


def test_an_idle_engine_waits_for_what_is_due() -> None:
    """Requests at 2 and 7 s with 1 s of work find the engine free and are sent at once."""
    ran = Ran(load("schedule", [1, 1], due_s=[2.0, 7.0]), Steady(4, S, 0))
    assert ran["due"] == ran["sent"] == ran["queue_exit"] == [2 * S, 7 * S]
    assert ran["done"] == [3 * S, 8 * S]


def test_the_window_of_a_schedule_goes_from_its_first_due_to_its_last() -> None:
    """Warm-up and tail are served and in the trace, and lie outside."""
    plan = load("schedule", [1] * 6, due_s=[0, 1, 2, 3, 4, 5], warmup=1, requests=3)
    ran = Ran(plan, Steady(1, 2 * S, 0))
    assert ran.window == ran.trace.head.window_ns == (S, 3 * S)
    assert ran.inside("due") == ["1", "2", "3"]
    assert ran["done"] == [2 * S, 4 * S, 6 * S, 8 * S, 10 * S, 12 * S]


def test_a_capped_schedule_sends_late_and_says_so() -> None:
    """Two may be on their way: the third is sent when the first is done, however early it is due."""
    plan = load("schedule", [1] * 4, due_s=[0.0, 0.1, 0.2, 0.3], max_in_flight=2)
    ran = Ran(plan, Steady(1, S, 0))
    assert ran["due"] == [0, TENTH, 2 * TENTH, 3 * TENTH]
    assert ran["sent"] == [0, TENTH, S, 2 * S]
    assert ran["done"] == [S, 2 * S, 3 * S, 4 * S]


def test_room_in_a_cap_comes_with_the_end_of_a_member_not_of_its_batch() -> None:
    """Of two in a batch one is done at 1 s, so the third is on its way then and waits until 3 s."""
    plan = load("schedule", [1, 3, 1], due_s=[0.0, 0.0, 0.0], max_in_flight=2)
    ran = Ran(plan, Steady(4, S, S))
    assert (ran["sent"][2], ran["queue_exit"][2]) == (S, 3 * S)


def test_a_user_asks_again_when_its_answer_is_there() -> None:
    """One user, 1 s of work: each request is due when the one before is done."""
    ran = Ran(load("users", [1] * 3), Steady(4, S, 0))
    assert ran["due"] == ran["sent"] == ran["queue_exit"] == [0, S, 2 * S]
    assert ran.window == (0, 3 * S)


def test_users_wait_for_each_other_in_static_batches() -> None:
    """The user with the short answer asks at 1 s and waits until the long one is done at 3 s."""
    ran = Ran(load("users", [1, 3, 1, 1], users=2), Steady(2, S, S))
    assert ran["due"] == [0, 0, S, 3 * S]
    assert ran["sent"] == [0, 0, S, 3 * S]
    assert ran["queue_exit"] == [0, 0, 3 * S, 3 * S]


@pytest.mark.parametrize(("users", "warmup"), [(1, 2), (2, 1), (2, 2), (3, 7), (4, 2)])
def test_every_instant_lies_on_one_side_of_the_window_of_users(users: int, warmup: int) -> None:
    """The window holds what was due in it and no end of the warm-up: neither one more nor less.

    As many requests are done in it as were due, less those that are on their way at its end.
    """
    plan = load("users", [1] * (warmup + 12 + users), users=users, warmup=warmup, requests=12)
    ran = Ran(plan, Steady(users, S, 0))
    assert ran.inside("due") == [str(k) for k in range(warmup, warmup + 12)]
    before = [row["id"] for row in ran.rows if row["done_ns"] < ran.window[0]]
    assert all(int(number) < warmup for number in before)
    tail = [row["due_ns"] for row in ran.rows[warmup + 12 :]]
    assert ran.window[1] == min(tail) - 1
    assert len(ran.rows) == warmup + 12 + users


def test_a_single_stream_counts_its_requests_exactly() -> None:
    """Five requests of 1 s after a warm-up of three: five are due and five are done in 5 s."""
    ran = Ran(load("users", [2] * 8, warmup=3, requests=5), Steady(8, S // 2, S // 2))
    start, end = ran.window
    assert end - start == 5 * S
    assert ran.inside("due") == ran.inside("done") == ["3", "4", "5", "6", "7"]
    at = [row["at_ns"] for row in ran.trace.table("tokens").to_pylist()]
    assert sum(start <= stamp <= end for stamp in at) == 10


def test_a_query_is_due_at_once_and_the_next_when_all_of_it_is_done() -> None:
    """Three samples a query on an engine that takes two: the next query waits for the third."""
    ran = Ran(load("users", [1] * 6, group=3), Steady(2, S, 0))
    assert ran["due"] == [0, 0, 0, 2 * S, 2 * S, 2 * S]
    assert ran["queue_exit"] == [0, 0, S, 2 * S, 2 * S, 3 * S]
    assert [row["query"] for row in ran.rows] == ["0", "0", "0", "1", "1", "1"]


def test_only_queries_of_several_samples_have_an_id() -> None:
    """A request alone is no query."""
    assert {row["query"] for row in Ran(load("users", [1, 1]), Steady(1, S, 0)).rows} == {None}


def test_a_request_keeps_its_class() -> None:
    """In the trace; where there is one kind of request it has none."""
    plan = load("users", [1, 1])
    classed = tuple(
        replace(one, request_class=name) for one, name in zip(plan.prompts, "ab", strict=True)
    )
    ran = Ran(replace(plan, prompts=classed), Steady(1, S, 0))
    assert [row["class"] for row in ran.rows] == ["a", "b"]
    assert {row["class"] for row in Ran(plan, Steady(1, S, 0)).rows} == {None}


def test_what_is_due_at_the_start_is_handed_over_as_one_is_done() -> None:
    """Two on their way: all are due when the warm-up is done, the third is sent when one is done."""
    plan = load("start", [1, 1, 1, 3, 1, 1], users=2, warmup=2, requests=4)
    ran = Ran(plan, Steady(2, S, S))
    opened = S + 1  # the nanosecond after the warm-up
    assert ran["due"][2:] == [opened] * 4
    assert ran["sent"][2:] == [opened, opened, opened + S, opened + 3 * S]
    assert ran["queue_exit"][2:] == [opened, opened, opened + 3 * S, opened + 3 * S]
    assert ran.window == (opened, opened + 4 * S)
    assert ran.inside("due") == ran.inside("done") == ["2", "3", "4", "5"]


def test_schedule_service_level_and_batches_are_told() -> None:
    """The head of the trace has the process and the level, the facts have batches and lengths."""
    plan = load(
        "schedule",
        [1, 1, 2, 2],
        due_s=[0.0, 0.0, 0.1, 0.1],
        warmup=1,
        requests=3,
        arrivals=Arrivals("constant", 10.0),
        slo=ServiceLevel(ttft_s=0.5),
    )
    ran = Ran(plan, Steady(3, S, S))
    assert ran.trace.head.arrivals == Arrivals("constant", 10.0)
    assert ran.trace.head.slo == ServiceLevel(ttft_s=0.5)
    assert ran.facts == {
        "batch": 2,
        "batches": {"2": 2},
        "tokens": {"input": {"3": 3}, "output": {"1": 1, "2": 2}},
    }


class Linear:
    """Graphs that read a weight of 1000 elements once, and so many for each token of a sequence."""

    task = "generate"

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """One operator."""
        moved = 1000 + batch * (10 * tokens + context)
        flops = batch * (100 * tokens + context)
        op = Operator("op", 1, (), (), "x", flops, moved, 0)
        return OpGraph("linear", phase, batch, tokens, context, (op,), (), 1000)


def stated(ran: Ran, kind: str, column: str) -> list[float]:
    """Of the phases of a kind, in the order of the requests."""
    rows = [row for row in ran.trace.table("phases").to_pylist() if row["kind"] == kind]
    return [row[column] for row in sorted(rows, key=lambda row: int(row["request"]))]


def test_weights_are_moved_once_a_batch_and_padding_is_no_work() -> None:
    """Members share what a call moves once, as far as it is of use to them.

    One member asks for one token and the other for three: both share the weights of the prefill,
    the two decode steps are the other's alone, though both are computed.
    """
    builder: Any = Linear()
    demand = DemandOf(builder, "int8")
    ran = Ran(load("users", [1, 3], users=2), Steady(2, S, S), demand)
    assert stated(ran, "prefill", "bytes") == [500 + 30, 500 + 30]
    assert stated(ran, "prefill", "flops") == [300, 300]
    assert stated(ran, "decode", "bytes") == [0, 2 * (1000 + 10) + 3 + 4]
    assert stated(ran, "decode", "flops") == [0, 2 * 100 + 3 + 4]
    together = Ran(load("users", [3, 3], users=2), Steady(2, S, S), demand)
    assert stated(together, "decode", "bytes") == [2 * (500 + 10) + 3 + 4] * 2


def test_a_request_alone_states_the_demand_of_its_own_calls() -> None:
    """Nothing is shared in a batch of one."""
    builder: Any = Linear()
    ran = Ran(load("users", [2, 2]), Steady(2, S, S), DemandOf(builder, "int8"))
    assert stated(ran, "prefill", "bytes") == [1030, 1030]
    assert stated(ran, "decode", "bytes") == [1013, 1013]


def test_phases_follow_their_requests() -> None:
    """Prefill from the start of the batch, decode until the own last token.

    What a warm-up did before the window is warm-up; what it still does in it is work like any.
    """
    ran = Ran(load("users", [2, 2, 3], warmup=1, requests=2), Steady(1, S, S))
    phases = {
        (row["request"], row["kind"]): (row["start_ns"], row["end_ns"])
        for row in ran.trace.table("phases").to_pylist()
    }
    opened = 2 * S + 1
    assert phases == {
        ("0", "warmup"): (0, 2 * S),
        ("1", "prefill"): (opened, opened + S),
        ("1", "decode"): (opened + S, opened + 2 * S),
        ("2", "prefill"): (opened + 2 * S, opened + 3 * S),
        ("2", "decode"): (opened + 3 * S, opened + 5 * S),
    }
    mixed = load("schedule", [3, 3], due_s=[0.0, 1.5], warmup=1, requests=1)
    kinds = [
        (row["request"], row["kind"], row["start_ns"] / S, row["end_ns"] / S)
        for row in Ran(mixed, Steady(1, S, S)).trace.table("phases").to_pylist()
    ]
    assert kinds[:3] == [("0", "warmup", 0, 1.5), ("0", "prefill", 0, 1), ("0", "decode", 1, 3)]


def test_the_ends_of_the_window_split_no_batch() -> None:
    """Users that are free at once are served at once, though the window begins between them."""
    engine = Steady(4, S, 0)
    ran = Ran(load("users", [1] * 12, users=4, warmup=2, requests=6), engine)
    assert [len(ids) for _, _, ids in engine.ran] == [4, 4, 4]
    assert ran.inside("due") == [str(k) for k in range(2, 8)]


def test_padding_counts_in_prompts_and_in_answers_that_are_done() -> None:
    """Prompts of 3 and 1 tokens take 6 elements; a step takes a row for each, done or not."""
    plan = load("start", [3, 1], users=2)
    short = Prompt("1", "", (1,), 1)
    plan = LoadPlan(**(vars(plan) | {"prompts": (plan.prompts[0], short)}))
    ran = Ran(plan, Steady(2, S, S))
    counters = {row["name"]: row["value"] for row in ran.trace.table("counters").to_pylist()}
    assert counters == {"elements.real": 3 + 1 + 2, "elements.padded": 6 + 2 * 2}
    assert measure(ran.trace, None)["padding.waste"].value == pytest.approx(4 / 10)


def test_an_engine_says_how_it_batches() -> None:
    """One at a time, or up to so many."""
    assert "one request at a time" in str(batching_facts(1)["batching"])
    assert "up to 8 requests" in str(batching_facts(8)["batching"])


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=25),
    st.lists(st.integers(0, 40), min_size=25, max_size=25),
    st.sampled_from(["schedule", "users", "start"]),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(0, 3),
)
def test_nothing_is_dropped_reordered_or_run_twice(
    outputs: list[int], gaps: list[int], mode: str, users: int, most: int, warmup: int
) -> None:
    """Whatever the plan: each request once, in order, due before sent before begun before done.

    No two batches overlap, none is larger than the engine takes, and no more than the limit are
    on their way at once.
    """
    warmup = min(warmup, len(outputs) - 1)
    due_s = np.cumsum(gaps[: len(outputs)]) / 10 if mode == "schedule" else None
    changed = {"due_s": due_s} if due_s is not None else {}
    cap = users if mode == "schedule" else None
    plan = load(
        mode,
        outputs,
        users=users,
        warmup=warmup,
        requests=len(outputs) - warmup,
        max_in_flight=cap,
        **changed,
    )
    engine = Steady(most, S, TENTH)
    ran = Ran(plan, engine)
    assert [name for _, _, ids in engine.ran for name in ids] == [p.id for p in plan.prompts]
    assert all(len(ids) <= most for _, _, ids in engine.ran)
    assert all(one[1] <= two[0] for one, two in zip(engine.ran, engine.ran[1:], strict=False))
    for row in ran.rows:
        stamps = [row[f"{c}_ns"] for c in ("due", "sent", "queue_exit", "prefill_end", "done")]
        assert stamps == sorted(stamps)
    for row in ran.rows:
        at = row["sent_ns"]
        under_way = sum(r["sent_ns"] <= at < r["done_ns"] for r in ran.rows)
        assert under_way <= users
