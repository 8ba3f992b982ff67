"""The loops that drive an engine in this process: what is due when, and what is stamped.

The same loops for real, fake and simulated engines: only the recorder's clock differs. Inputs
are in place before the window opens, answers are scored after it has closed, and Python's garbage
collector rests in between. Prompts are served by `batching`, `training` trains, samples are driven
here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.asked import asked
from accelbench.harness.load.batching import serve
from accelbench.harness.load.engines import (
    DemandOf,
    GenerationEngine,
    InferenceEngine,
    TrainingEngine,
)
from accelbench.harness.load.garbage import garbage_waits
from accelbench.harness.load.phases import prepares
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.load.training import train_to_target
from accelbench.harness.schema.builders import (
    Generates,
    KnowsTruth,
    Padded,
    Samples,
    WorkloadBuilder,
)
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.scenario import (
    MultiStream,
    Offline,
    SingleStream,
    TrainToTarget,
)


@dataclass(frozen=True)
class Driven:
    """A trial that was run.

    Attributes:
        facts: What was asked of the engine: batch, load, warm-up, and `tokens`, the lengths of
            prompts and answers, where there are any.
        window_ns: The measurement window on the recorder's clock.
    """

    facts: dict[str, Plain]
    window_ns: tuple[int, int]


def drive(
    engine: object,
    builder: WorkloadBuilder,
    samples: Samples | None,
    demand: DemandOf | None,
    work: Work,
    recorder: Recorder,
) -> Driven:
    """Runs one trial of any scenario that an in-process engine can do.

    Args:
        engine: Implements the engine protocol that scenario and task need.
        builder: The workload.
        samples: Inputs of a one-shot model; None for other tasks.
        demand: Source of FLOPs and bytes, or None where they are unknown.
        work: The trial.
        recorder: Takes the events.

    Raises:
        TrialError: The scenario does not fit the task.
    """
    scenario, warmup = work.scenario, work.rules.warmup
    if isinstance(scenario, TrainToTarget):
        training = cast("TrainingEngine", engine)
        trained = train_to_target(training, scenario, work, recorder, demand)
        known = cast("Mapping[str, Plain]", builder.facts().get("training", {}))
        told: dict[str, Plain] = {"training": {**known, **trained.facts}, **trained.counting}
        return Driven(asked(scenario, warmup, generates=False) | told, trained.window_ns)
    if isinstance(builder, Generates):
        with prepares(recorder, "prompts"):
            plan = plan_load(scenario, builder, warmup, work.seed)
        if demand is not None:
            recorder.kv(builder.kv(demand.element_bytes))
        evaluated = work.rules.accuracy == "all" or isinstance(builder, KnowsTruth)
        scored_by = builder if evaluated else None
        came, window = serve(cast("GenerationEngine", engine), plan, demand, recorder, scored_by)
        return Driven({**plan.facts, **came}, window)
    if samples is None or not isinstance(scenario, Offline | SingleStream | MultiStream):
        raise TrialError(f"scenario {scenario.kind!r} does not fit a workload that answers samples")
    if not isinstance(scenario, Offline):
        recorder.service_level(scenario.slo)
    batches = Batches.of(scenario, warmup)
    whole = work.rules.accuracy == "all"
    inferring = cast("InferenceEngine", engine)
    window = infer_batches(inferring, samples, batches, demand, recorder, whole=whole)
    return Driven(asked(scenario, warmup, generates=False), window)


@dataclass(frozen=True)
class Batches:
    """Which samples each batch takes: one after another, round and round.

    Attributes:
        size: Samples in a batch.
        count: Batches in the window.
        warmup: Batches before it.
        due_at_start: Whether all are due when the window opens, or each after the one before.
    """

    size: int
    count: int
    warmup: int
    due_at_start: bool

    @classmethod
    def of(cls, scenario: Offline | SingleStream | MultiStream, warmup: int) -> "Batches":
        """Those of a scenario; a query of several samples is one batch."""
        match scenario:
            case Offline(batch_size=size, samples=samples):
                return cls(size, -(-samples // size), warmup, due_at_start=True)
            case MultiStream(streams=size, queries=queries):
                return cls(size, queries, warmup, due_at_start=False)
            case SingleStream(requests=requests):
                return cls(1, requests, warmup, due_at_start=False)

    def starts(self, samples: int) -> list[int]:
        """The first sample of each batch of the window."""
        return [number * self.size % samples for number in range(self.count)]

    def left_out(self, samples: int) -> list[int]:
        """The first sample of each further batch that it takes to have asked all samples once."""
        return [number * self.size for number in range(self.count, -(-samples // self.size))]

    def indices(self, start: int, samples: int) -> list[int]:
        """All samples of the batch that begins at `start`."""
        return [(start + k) % samples for k in range(self.size)]


def infer_batches(
    engine: InferenceEngine,
    samples: Samples,
    batches: Batches,
    demand: DemandOf | None,
    recorder: Recorder,
    *,
    whole: bool = False,
) -> tuple[int, int]:
    """Batches of samples, a row each in `requests`; returns the window.

    Offline, all are due when the window opens; in streams the next is due when the one before
    is done, so that the time of a row is that of its query. With `whole`, what the window left out
    of the samples is asked after it, so that quality rests on all of them.
    """
    starts = batches.starts(samples.count)
    with prepares(recorder, "samples"):
        ready = {
            start: engine.prepare(samples.batch(batches.indices(start, samples.count)))
            for start in dict.fromkeys(starts)
        }
    to_score = min(batches.count, -(-samples.count // batches.size))
    call = demand.call("forward", batch=batches.size) if demand else None
    _warm_up(engine, recorder, [ready[start] for start in _cycle(starts, batches.warmup)])
    with garbage_waits():
        in_turn = [ready[start] for start in starts]
        if batches.due_at_start:
            at_ns, answers = _at_once(engine, in_turn, to_score)
        else:
            at_ns, answers = _in_streams(engine, in_turn, to_score, recorder.now_ns)
    window = at_ns[0], at_ns[-1]
    recorder.window(*window)
    due_ns = at_ns[0]
    for number, (sent_ns, done_ns) in enumerate(zip(at_ns[1:-1:2], at_ns[2:-1:2], strict=True)):
        recorder.request(str(number), due_ns, sent_ns, done_ns, samples=batches.size)
        due_ns = at_ns[0] if batches.due_at_start else done_ns
    recorder.phase(
        "forward",
        "steady",
        *window,
        flops=call.flops * batches.count if call else None,
        moved=call.moved * batches.count if call else None,
    )
    if isinstance(samples, Padded):
        _record_padding(samples, [batches.indices(at, samples.count) for at in starts], recorder)
    answered = list(zip(starts, answers, strict=False))
    if whole:
        answered += _left_out(engine, samples, batches, recorder)
    for one in samples.figures(
        [(batches.indices(start, samples.count), answer) for start, answer in answered]
    ):
        recorder.evaluation(one.metric, one.split, one.value, one.n)
    return window


def _record_padding(samples: Padded, asked: Sequence[Sequence[int]], recorder: Recorder) -> None:
    """Elements of all batches of the window, and how many of them carried data."""
    real, run = zip(*map(samples.elements, asked), strict=True)
    recorder.counter("elements.real", sum(real), "1")
    recorder.counter("elements.padded", sum(run), "1")


def _at_once(
    engine: InferenceEngine, in_turn: Sequence[Any], to_score: int
) -> tuple[list[int], list[Any]]:
    """One batch after another, with no wait between; the first `to_score` answers are kept.

    Returns:
        The instants of the window's start, of the start and end of each batch, and of the
        window's end; and the answers.
    """
    answers: list[Any] = []
    instants, infer = engine.instants(), engine.infer
    mark = instants.mark
    mark()
    for inputs in in_turn:
        mark()
        answer = infer(inputs)
        mark()
        if len(answers) < to_score:
            answers.append(answer)
    engine.wait()
    mark()
    return instants.read_ns(), answers


def _in_streams(
    engine: InferenceEngine, in_turn: Sequence[Any], to_score: int, now: Callable[[], int]
) -> tuple[list[int], list[Any]]:
    """The same, where the host has each answer before it asks for the next: by its own clock."""
    answers: list[Any] = []
    infer, wait, at_ns = engine.infer, engine.wait, [now()]
    stamp = at_ns.append
    for inputs in in_turn:
        stamp(now())
        answer = infer(inputs)
        wait()
        stamp(now())
        if len(answers) < to_score:
            answers.append(answer)
    stamp(now())
    return at_ns, answers


def _left_out(
    engine: InferenceEngine, samples: Samples, batches: Batches, recorder: Recorder
) -> list[tuple[int, Any]]:
    """The first sample of each batch that the window left out, and its answer."""
    starts = batches.left_out(samples.count)
    began = recorder.now_ns()
    answers = [
        engine.infer(engine.prepare(samples.batch(batches.indices(start, samples.count))))
        for start in starts
    ]
    engine.wait()
    if starts:
        recorder.phase("accuracy", "other", began, recorder.now_ns())
    return list(zip(starts, answers, strict=True))


def _warm_up(engine: InferenceEngine, recorder: Recorder, in_turn: Sequence[Any]) -> None:
    engine.wait()
    for inputs in in_turn:
        began = recorder.now_ns()
        engine.infer(inputs)
        engine.wait()
        recorder.phase("forward", "warmup", began, recorder.now_ns())


def _cycle(items: Sequence[int], count: int) -> list[int]:
    return [items[k % len(items)] for k in range(count)]
