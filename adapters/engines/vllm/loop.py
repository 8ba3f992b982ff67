"""The loop that drives an engine in this process which batches continuously.

Between two steps the engine is given what has become due, and after each step its tokens are
stamped. What the plan means, and what counts as sent, is the same as for static batches: a request
that became due while a step ran counts as sent when it was due.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from accelbench.harness.load.agreement import record_tokens
from accelbench.harness.load.asked import histogram
from accelbench.harness.load.engines import Demand, DemandOf
from accelbench.harness.load.garbage import garbage_waits
from accelbench.harness.load.phases import Served, record_phases
from accelbench.harness.load.queueing import PlanQueue, Turn, Window, window_of
from accelbench.harness.load.schedule.plan import LoadPlan
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.recorder import Recorder


@dataclass(frozen=True)
class Ended:
    """What an engine tells of a request that is done.

    Attributes:
        queue_exit_ns: When it was first scheduled; None where it does not tell.
        prefill_end_ns: When its first token was made.
        cached_tokens: Tokens of its prompt that the prefix cache held.
    """

    queue_exit_ns: int | None
    prefill_end_ns: int | None
    cached_tokens: int | None


@dataclass(frozen=True)
class Progress:
    """What a request got from a step.

    Attributes:
        number: Its place in the plan.
        tokens: How many tokens.
        ended: What is told of it, if it is done.
        ids: The tokens themselves.
    """

    number: int
    tokens: int
    ended: Ended | None
    ids: Sequence[int] = ()


class SteppedEngine(Protocol):
    """An engine that is given requests at any time and advances all of them by steps."""

    def add(self, number: int, prompt: Prompt) -> None:
        """Takes a request up.

        Args:
            number: Its place in the plan.
            prompt: What is asked.
        """

    def step(self) -> Sequence[Progress]:
        """Advances; its tokens can be read when it returns."""

    def wait_until_ns(self, at_ns: int) -> None:
        """Lets time pass on the clock that the recorder stamps with, until this instant."""


@dataclass
class Answer:
    """A request and what came of it.

    Attributes:
        turn: The request.
        steps: When its tokens could be read, how many they were, and of how many requests there
            were tokens then.
        ended: What the engine told of it.
        ids: Its tokens.
    """

    turn: Turn
    steps: list[tuple[int, int, int]] = field(default_factory=list)
    ended: Ended = field(default_factory=lambda: Ended(None, None, None))
    ids: list[int] = field(default_factory=list)

    @property
    def done_ns(self) -> int:
        """When its last token could be read."""
        return self.steps[-1][0]

    @property
    def tokens(self) -> int:
        """How many tokens it got."""
        return sum(count for _, count, _ in self.steps)


def serve(
    engine: SteppedEngine,
    plan: LoadPlan,
    demand: DemandOf | None,
    recorder: Recorder,
    scored_by: WorkloadBuilder | None = None,
) -> tuple[dict[str, Plain], Window]:
    """Runs a plan and records it; all is stamped while it runs and recorded afterwards.

    Args:
        engine: Takes the requests.
        plan: The load.
        demand: Source of FLOPs and bytes, or None where they are unknown.
        recorder: Takes the events.
        scored_by: The workload that the answers are held against; None where they are not.

    Returns:
        The lengths in the window, for the facts of the trial; the window.
    """
    numbers, warm = range(len(plan.prompts)), []
    with garbage_waits():
        start_ns = recorder.now_ns()
        if plan.mode == "start" and plan.warmup:
            warm = _run(engine, plan, numbers[: plan.warmup], "users", start_ns, recorder.now_ns)
            # A nanosecond later: see PlanQueue.
            start_ns, numbers = recorder.now_ns() + 1, numbers[plan.warmup :]
        answers = warm + _run(engine, plan, numbers, plan.mode, start_ns, recorder.now_ns)
    window = window_of(
        plan,
        {one.turn.number: one.turn.due_ns for one in answers},
        {one.turn.number: one.done_ns for one in answers},
    )
    recorder.window(*window)
    recorder.service_level(plan.slo)
    if plan.arrivals is not None:
        recorder.arrivals(plan.arrivals)
    for answer in answers:
        _record_request(plan, answer, recorder)
        _record_phases(plan, answer, window, demand, recorder)
    if scored_by is not None:
        ids = {answer.turn.number: answer.ids for answer in answers if answer.ids}
        record_tokens(scored_by, plan, ids, recorder)
    inside = range(plan.warmup, plan.warmup + plan.requests)
    made = [one.tokens for one in answers if one.turn.number in inside]
    given = [len(plan.prompts[number].tokens) for number in inside]
    return {"tokens": {"input": histogram(given), "output": histogram(made)}}, window


def _run(
    engine: SteppedEngine,
    plan: LoadPlan,
    numbers: range,
    mode: Literal["schedule", "users", "start"],
    start_ns: int,
    now: Callable[[], int],
) -> list[Answer]:
    """Runs a stretch of the plan to its end; nothing is on its way when it begins."""
    queue, free_ns = PlanQueue(plan, numbers, mode, start_ns), start_ns
    live: dict[int, Answer] = {}
    answers: list[Answer] = []
    while live or queue.ahead() is not None:
        ahead = queue.ahead()
        if not live and ahead is not None and ahead[1] > now():
            engine.wait_until_ns(ahead[1])
        for turn in queue.take(now(), free_ns, len(numbers)):
            live[turn.number] = Answer(turn)
            engine.add(turn.number, plan.prompts[turn.number])
        progress = [one for one in engine.step() if one.tokens or one.ended]
        free_ns = now()
        ended = _noted(progress, live, free_ns)
        queue.ended({one.turn.number: free_ns for one in ended})
        answers += ended
    return answers


def _noted(progress: Sequence[Progress], live: dict[int, Answer], at_ns: int) -> list[Answer]:
    """Writes down what a step brought; returns the requests that are done, which live no more."""
    together = sum(one.tokens > 0 for one in progress)
    for one in progress:
        if one.tokens:
            live[one.number].steps.append((at_ns, one.tokens, together))
            live[one.number].ids += one.ids
    done = []
    for one in progress:
        if one.ended is not None:
            answer = live.pop(one.number)
            answer.ended = one.ended
            done.append(answer)
    return done


def _record_request(plan: LoadPlan, answer: Answer, recorder: Recorder) -> None:
    turn, prompt = answer.turn, plan.prompts[answer.turn.number]
    recorder.request(
        prompt.id,
        turn.due_ns,
        turn.sent_ns,
        answer.done_ns,
        input_tokens=len(prompt.tokens),
        cached_input_tokens=answer.ended.cached_tokens,
        output_tokens=answer.tokens,
        asked_output_tokens=prompt.output_tokens,
        queue_exit_ns=answer.ended.queue_exit_ns,
        prefill_end_ns=answer.ended.prefill_end_ns,
        query=str(turn.number // plan.group) if plan.group > 1 else None,
        request_class=prompt.request_class,
    )
    for at_ns, count, _ in answer.steps:
        recorder.token(prompt.id, at_ns, count)


def _record_phases(
    plan: LoadPlan,
    answer: Answer,
    window: Window,
    demand: DemandOf | None,
    recorder: Recorder,
) -> None:
    """Prefill and decode of a request, where the engine tells when they were."""
    began, prefilled = answer.ended.queue_exit_ns, answer.ended.prefill_end_ns
    if began is None or prefilled is None:
        return
    prompt, done = plan.prompts[answer.turn.number], answer.done_ns
    counts = demand if done >= window[0] else None
    prefill, decode = _demanded(counts, answer, len(prompt.tokens)) if counts else (None, None)
    warms_up = answer.turn.number < plan.warmup
    served = Served(prompt.id, warms_up, began, prefilled, done)
    record_phases(served, prefill, decode, window, recorder)


def _demanded(demand: DemandOf, answer: Answer, size: int) -> tuple[Demand, Demand]:
    """What a request's prefill and decode ask for.

    Prompt tokens found in the prefix cache are not computed again. What a step moves once, such
    as weights, counts once, in even parts for the requests that got a token from the step; a
    prefill that is done in several steps still counts as one.
    """
    cached = answer.ended.cached_tokens or 0
    prefill = demand.call("prefill", tokens=size - cached, context=cached)
    later = answer.steps[1:]
    tokens = answer.tokens - answer.steps[0][1]
    decode = demand.decode(size, tokens)
    first = 1 - 1 / answer.steps[0][2]
    spared = demand.shared("prefill", tokens=size - cached, context=cached) * first
    # A step that brings several tokens, by speculation, moves the rest once for all of them.
    once = sum(count - 1 / together for _, count, together in later)
    spared_later = demand.shared("decode", context=size) * once
    return (
        Demand(prefill.flops, prefill.moved - spared),
        Demand(decode.flops, decode.moved - spared_later),
    )
