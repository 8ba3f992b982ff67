"""The loops that drive an engine in this process: what is due when, and what is stamped.

The same loops for real, fake and simulated engines: only the recorder's clock differs. Inputs
are in place before the window opens, answers are scored after it has closed, and Python's garbage
collector rests in between. Prompts are served by `batching`, samples and training are driven here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.asked import asked
from accelbench.harness.load.batching import garbage_waits, serve
from accelbench.harness.load.engines import (
    DemandOf,
    GenerationEngine,
    InferenceEngine,
    TrainingEngine,
)
from accelbench.harness.load.schedule.plan import plan_load
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Samples, Work, WorkloadBuilder
from accelbench.harness.schema.recorder import Recorder
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
from accelbench.harness.schema.trace import Target

WEIGHTS_FILE = "weights.safetensors"


@dataclass(frozen=True)
class Driven:
    """A trial that was run.

    Attributes:
        facts: What was asked of the engine: batch, load, warm-up, and `tokens`, the lengths of
            prompts and answers, where there are any.
        window_ns: The measurement window on the recorder's clock; on a real clock its ends as
            close as two readings.
    """

    facts: dict[str, Plain]
    window_ns: tuple[int, int]


def lacks(task: str, scenario: Scenario) -> str | None:
    """What these loops lack for a scenario, in words; None if nothing.

    Args:
        task: "classify" or "generate".
        scenario: How work would arrive.
    """
    if task == "classify" and isinstance(scenario, ClosedLoop | OpenLoop | Sustainable):
        kind = scenario.kind.replace("_", " ")
        return f"a load with a queue ({kind}) is for workloads that generate, not for classifying"
    if task == "generate" and isinstance(scenario, TrainToTarget):
        return "no workload that generates is trained yet"
    return None


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
        trained = train_to_target(cast("TrainingEngine", engine), scenario, work, recorder)
        return Driven(asked(scenario, builder.task, warmup), trained)
    if builder.task == "generate":
        plan = plan_load(scenario, builder, warmup, work.seed)
        if demand is not None:
            recorder.kv(builder.kv(demand.element_bytes))
        scored_by = builder if work.rules.accuracy == "all" else None
        told, window = serve(cast("GenerationEngine", engine), plan, demand, recorder, scored_by)
        return Driven({**plan.facts, **told}, window)
    if samples is None or not isinstance(scenario, Offline | SingleStream | MultiStream):
        raise TrialError(f"scenario {scenario.kind!r} does not fit a workload that {builder.task}s")
    if not isinstance(scenario, Offline):
        recorder.service_level(scenario.slo)
    batches = Batches.of(scenario, warmup)
    whole = work.rules.accuracy == "all"
    inferring = cast("InferenceEngine", engine)
    window = infer_batches(inferring, samples, batches, demand, recorder, whole=whole)
    return Driven(asked(scenario, builder.task, warmup), window)


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
    ready = {
        start: engine.prepare(samples.batch(batches.indices(start, samples.count)))
        for start in dict.fromkeys(starts)
    }
    to_score = min(batches.count, -(-samples.count // batches.size))
    answers: list[Any] = []
    now, size, infer, request = recorder.now_ns, batches.size, engine.infer, recorder.request
    _warm_up(recorder, [lambda s=s: infer(ready[s]) for s in _cycle(starts, batches.warmup)])
    call = demand.call("forward", batch=size) if demand else None
    with garbage_waits():
        recorder.open_window()
        opened = due = now()
        for number, start in enumerate(starts):
            sent = now()
            answer = infer(ready[start])
            done = now()
            request(str(number), due, sent, done, samples=size)
            if number < to_score:
                answers.append(answer)
            due = opened if batches.due_at_start else done
        ended = now()
        recorder.close_window()
    recorder.phase(
        "forward",
        "steady",
        opened,
        ended,
        flops=call.flops * batches.count if call else None,
        moved=call.moved * batches.count if call else None,
    )
    answered = list(zip(starts, answers, strict=False))
    if whole:
        answered += _left_out(engine, samples, batches, recorder)
    quality = samples.score(
        [(batches.indices(start, samples.count), answer) for start, answer in answered]
    )
    if quality is not None:
        recorder.evaluation(quality.metric, quality.split, quality.value, quality.n)
    return opened, ended


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
    if starts:
        recorder.phase("accuracy", "other", began, recorder.now_ns())
    return list(zip(starts, answers, strict=True))


def train_to_target(
    engine: TrainingEngine, scenario: TrainToTarget, work: Work, recorder: Recorder
) -> tuple[int, int]:
    """Training until an evaluation meets the target: a row a step, evaluations inside the window.

    The window, which is returned, opens before the first step, so that one-off costs count;
    building the model and loading the data do not. The weights are saved after it has closed.
    """
    training = engine.train(scenario.batch_size, work.seed)
    recorder.target(Target(scenario.metric, "test", scenario.target))
    now = recorder.now_ns
    with garbage_waits():
        recorder.open_window()
        opened = due = now()
        for epoch in range(scenario.max_epochs):
            began = now()
            batches = training.batches(epoch)
            recorder.phase("batches", "input", began, now())
            for number, batch in enumerate(batches):
                sent = now()
                size = training.step(batch)
                done = now()
                recorder.request(f"{epoch}.{number}", due, sent, done, samples=size)
                due = done
            began = now()
            found = training.evaluate()
            recorder.phase("evaluate", "other", began, now())
            for quality in found:
                recorder.evaluation(quality.metric, quality.split, quality.value, quality.n)
            due = now()
            if any(_meets(scenario, q.metric, q.split, q.value) for q in found):
                break
        ended = now()
        recorder.close_window()
    training.save(work.artifacts / WEIGHTS_FILE)
    return opened, ended


def _meets(scenario: TrainToTarget, metric: str, split: str, value: float) -> bool:
    return metric == scenario.metric and split == "test" and value >= scenario.target


def _warm_up(recorder: Recorder, calls: Sequence[Any]) -> None:
    for call in calls:
        began = recorder.now_ns()
        call()
        recorder.phase("forward", "warmup", began, recorder.now_ns())


def _cycle(items: Sequence[int], count: int) -> list[int]:
    return [items[k % len(items)] for k in range(count)]
