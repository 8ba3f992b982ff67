"""The loop that drives an engine in this process that batches statically.

Whenever the engine is free it takes the requests that wait, in order and as many as it can, and
runs them as one batch to the end of the longest; what becomes due meanwhile waits for the next.
The queue is the plan itself, so handing a request over costs nothing: it counts as sent when it
is due, and the time until its batch begins is time in the engine's queue. A request that finds the
engine free is sent when the loop takes it up. So `sent` to `done` is what a client of a server with
one slot would see, queue and all; what the engine works on a request is `queue_exit` to `done`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from accelbench.harness.load.agreement import record_tokens
from accelbench.harness.load.asked import histogram
from accelbench.harness.load.engines import Demand, DemandOf, GenerationEngine
from accelbench.harness.load.garbage import garbage_waits
from accelbench.harness.load.phases import Served, record_phases
from accelbench.harness.load.queueing import PlanQueue, Turn, Window, window_of
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.recorder import Recorder

PADDING = (
    "to the longest prompt of a batch; an answer that is done keeps its row until the longest is"
)
"""What a static batch computes beyond what was asked."""


@dataclass(frozen=True)
class _Batch:
    """What was run at once, and what came of it.

    Attributes:
        turns: Its members.
        began_ns: When it left the queue.
        prefilled_ns: When all prompts were in the cache.
        steps: When the tokens of each step could be read, and of which members they were.
        ids: The tokens of each step, one for every member; None where the engine has none.
    """

    turns: Sequence[Turn]
    began_ns: int
    prefilled_ns: int
    steps: Sequence[tuple[int, Sequence[int]]]
    ids: Sequence[Sequence[int]] | None

    def done_ns(self) -> dict[int, int]:
        """When the last token of each request was out, by its place in the plan."""
        return {self.turns[k].number: at_ns for at_ns, members in self.steps for k in members}

    def got(self) -> Counter[int]:
        """Tokens of each request, by its place in the plan."""
        return Counter(self.turns[k].number for _, members in self.steps for k in members)

    def answers(self, plan: LoadPlan) -> dict[int, Sequence[int]]:
        """The token ids of each answer, by its place in the plan; none without ids."""
        return {
            turn.number: [step[k] for step in self.ids[: plan.prompts[turn.number].output_tokens]]
            for k, turn in enumerate(self.turns)
            if self.ids is not None
        }


def serve(
    engine: GenerationEngine,
    plan: LoadPlan,
    demand: DemandOf | None,
    recorder: Recorder,
    scored_by: WorkloadBuilder | None = None,
) -> tuple[dict[str, Plain], Window]:
    """Runs a plan and records it: a row a request, a row a token, phases of prefill and decode.

    Everything is stamped while it runs and recorded afterwards; Python's garbage collector rests
    in between.

    Args:
        engine: Takes the batches.
        plan: The load.
        demand: Source of FLOPs and bytes, or None where they are unknown.
        recorder: Takes the events.
        scored_by: The workload that the answers are held against; None where they are not.

    Returns:
        What came of batches and lengths in the window, for the facts of the trial; the window.
    """
    warm: list[_Batch] = []
    numbers = range(len(plan.prompts))
    with garbage_waits():
        start_ns = recorder.now_ns()
        if plan.mode == "start" and plan.warmup:
            warm = _run(engine, plan, numbers[: plan.warmup], "users", start_ns, recorder)
            # A nanosecond later: see PlanQueue.
            start_ns, numbers = recorder.now_ns() + 1, numbers[plan.warmup :]
        batches = warm + _run(engine, plan, numbers, plan.mode, start_ns, recorder)
    window = _window(plan, batches)
    recorder.window(*window)
    recorder.service_level(plan.slo)
    if plan.arrivals is not None:
        recorder.arrivals(plan.arrivals)
    for batch in batches:
        _record_requests(plan, batch, recorder)
        _record_phases(plan, batch, window, demand, recorder)
    _record_padding(plan, batches, window, recorder)
    if scored_by is not None:
        answers = {place: ids for one in batches for place, ids in one.answers(plan).items()}
        record_tokens(scored_by, plan, answers, recorder)
    return _facts(plan, batches), window


def _run(
    engine: GenerationEngine,
    plan: LoadPlan,
    numbers: range,
    mode: Literal["schedule", "users", "start"],
    start_ns: int,
    recorder: Recorder,
) -> list[_Batch]:
    """Runs a stretch of the plan to its end; the engine is free when it begins."""
    queue, now, free_ns = PlanQueue(plan, numbers, mode, start_ns), recorder.now_ns, start_ns
    batches: list[_Batch] = []
    while (ahead := queue.ahead()) is not None:
        ready_ns = ahead[1] + queue.edge_near(engine.max_batch)
        if ready_ns > now():
            engine.wait_until_ns(ready_ns)
        began_ns = now()
        turns = queue.take(began_ns, free_ns, engine.max_batch)
        batches.append(_generated(engine, plan, turns, began_ns, now))
        done_ns = batches[-1].done_ns()
        free_ns = max(done_ns.values())
        queue.ended(done_ns)
    return batches


def _generated(
    engine: GenerationEngine,
    plan: LoadPlan,
    turns: Sequence[Turn],
    began_ns: int,
    now: Callable[[], int],
) -> _Batch:
    prefilled: list[int] = []
    steps: list[tuple[int, Sequence[int]]] = []
    ids = engine.generate_batch(
        [plan.prompts[turn.number] for turn in turns],
        lambda: prefilled.append(now()),
        lambda members: steps.append((now(), members)),
    )
    return _Batch(turns, began_ns, prefilled[0], steps, ids)


def _window(plan: LoadPlan, batches: Sequence[_Batch]) -> Window:
    due_ns = {turn.number: turn.due_ns for batch in batches for turn in batch.turns}
    done_ns = {n: at_ns for batch in batches for n, at_ns in batch.done_ns().items()}
    return window_of(plan, due_ns, done_ns)


def _record_requests(plan: LoadPlan, batch: _Batch, recorder: Recorder) -> None:
    prompts = [plan.prompts[turn.number] for turn in batch.turns]
    got, done_ns = batch.got(), batch.done_ns()
    for turn, prompt in zip(batch.turns, prompts, strict=True):
        recorder.request(
            prompt.id,
            turn.due_ns,
            turn.sent_ns,
            done_ns[turn.number],
            input_tokens=len(prompt.tokens),
            output_tokens=got[turn.number],
            asked_output_tokens=prompt.output_tokens,
            queue_exit_ns=batch.began_ns,
            prefill_end_ns=batch.prefilled_ns,
            query=str(turn.number // plan.group) if plan.group > 1 else None,
            request_class=prompt.request_class,
        )
    for at_ns, members in batch.steps:
        for k in members:
            recorder.token(prompts[k].id, at_ns)


def _record_phases(
    plan: LoadPlan, batch: _Batch, window: Window, demand: DemandOf | None, recorder: Recorder
) -> None:
    """Prefill and decode of each member."""
    done_ns = batch.done_ns()
    for k, turn in enumerate(batch.turns):
        prompt, done = plan.prompts[turn.number], done_ns[turn.number]
        counts = demand if done >= window[0] else None
        prefill, decode = (
            _demanded(counts, batch, k, len(prompt.tokens)) if counts else (None, None)
        )
        warms_up = turn.number < plan.warmup
        served = Served(prompt.id, warms_up, batch.began_ns, batch.prefilled_ns, done)
        record_phases(served, prefill, decode, window, recorder)


def _demanded(demand: DemandOf, batch: _Batch, member: int, size: int) -> tuple[Demand, Demand]:
    """What a member's prefill and decode ask for.

    Padding, and steps for members that are done already, are work of this way of batching and not
    of the model, so they are in neither figure. What a batch moves once, such as weights, counts
    once, in even parts for the members that a call is of use to.
    """
    useful = [len(members) for _, members in batch.steps if member in members][1:]
    prefill, decode = demand.call("prefill", tokens=size), demand.decode(size, len(useful))
    together = len(batch.turns)
    if together == 1:
        return prefill, decode
    spared = demand.shared("prefill", tokens=size) * (1 - 1 / together)
    spared_later = demand.shared("decode", context=size) * sum(1 - 1 / live for live in useful)
    return (
        Demand(prefill.flops, prefill.moved - spared),
        Demand(decode.flops, decode.moved - spared_later),
    )


def _record_padding(
    plan: LoadPlan, batches: Sequence[_Batch], window: Window, recorder: Recorder
) -> None:
    """Tokens that went into calls which ended in the window, and how many carried data.

    A prefill is as long as its longest prompt for every member, a decode step has a row for
    every member whether it is done or not.
    """
    real = padded = 0
    for batch in batches:
        sizes = [len(plan.prompts[turn.number].tokens) for turn in batch.turns]
        if window[0] <= batch.prefilled_ns <= window[1]:
            real, padded = real + sum(sizes), padded + len(sizes) * max(sizes)
        live = [len(on) for at_ns, on in batch.steps[1:] if window[0] <= at_ns <= window[1]]
        real, padded = real + sum(live), padded + len(sizes) * len(live)
    if padded:
        recorder.counter("elements.real", real, "1")
        recorder.counter("elements.padded", padded, "1")


def _facts(plan: LoadPlan, batches: Sequence[_Batch]) -> dict[str, Plain]:
    inside = range(plan.warmup, plan.warmup + plan.requests)
    used = [batch for batch in batches if any(turn.number in inside for turn in batch.turns)]
    made = [tokens for batch in used for number, tokens in batch.got().items() if number in inside]
    sizes = [len(batch.turns) for batch in used]
    return {
        "batch": max(sizes),
        "batches": histogram(sizes),
        "tokens": {
            "input": histogram([len(plan.prompts[number].tokens) for number in inside]),
            "output": histogram(made),
        },
    }


def batching_facts(max_batch: int) -> dict[str, Plain]:
    """How an engine that this loop drives batches and schedules.

    Args:
        max_batch: Most prompts that it takes at once.
    """
    if max_batch == 1:
        return {
            "batching": "static: one request at a time",
            "scheduler": "one request at a time: its prefill, then its decode; no preemption",
        }
    return {
        "batching": f"static: up to {max_batch} requests that wait make a batch, which none joins"
        " later and which lasts until its longest answer is done",
        "scheduler": "first come, first served: a batch's prefill, then its decode; no preemption",
    }


def geometry_as_run(builder: WorkloadBuilder, max_batch: int) -> Mapping[str, Plain]:
    """The workload's geometry; of prompts in batches, with the padding that batching makes.

    Its share is in the counters of the trial.

    Args:
        builder: The workload.
        max_batch: Most prompts that the engine takes at once.
    """
    if not isinstance(builder, Generates) or max_batch == 1:
        return builder.geometry()
    return {**builder.geometry(), "padding": {"policy": PADDING}}
