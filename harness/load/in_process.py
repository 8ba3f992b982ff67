"""The loops that drive an engine in this process: what is due when, and what is stamped.

One loop a scenario, the same for real, fake and simulated engines: only the recorder's clock
differs. Inputs are in place before the window opens, answers are scored after it has closed,
and Python's garbage collector rests in between.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.asked import asked, histogram
from accelbench.harness.load.engines import (
    DemandOf,
    GenerationEngine,
    InferenceEngine,
    TrainingEngine,
)
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Samples, Work, WorkloadBuilder
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget
from accelbench.harness.schema.trace import Target

WEIGHTS_FILE = "weights.safetensors"


def drive(
    engine: object,
    builder: WorkloadBuilder,
    samples: Samples | None,
    demand: DemandOf | None,
    work: Work,
    recorder: Recorder,
) -> dict[str, Plain]:
    """Runs one trial of any scenario that an in-process engine can do.

    Args:
        engine: Implements the engine protocol that scenario and task need.
        builder: The workload.
        samples: Inputs of a one-shot model; None for other tasks.
        demand: Source of FLOPs and bytes, or None where they are unknown.
        work: The trial.
        recorder: Takes the events.

    Returns:
        What was asked of the engine, for the facts of the trial: batch, load, warm-up, and
        `tokens`, the lengths of prompts and answers, where there are any.

    Raises:
        TrialError: The scenario does not fit the task.
    """
    scenario = work.scenario
    if isinstance(scenario, SingleStream):
        recorder.service_level(scenario.slo)
    told = asked(scenario, builder.task, work.rules.warmup)
    if isinstance(scenario, TrainToTarget):
        train_to_target(cast("TrainingEngine", engine), scenario, work, recorder)
    elif builder.task == "generate" and isinstance(scenario, SingleStream):
        prompts = builder.prompts(scenario.requests + work.rules.warmup, work.seed)
        if demand is not None:
            recorder.kv(builder.kv(demand.element_bytes))
        told["tokens"] = stream_tokens(
            cast("GenerationEngine", engine), prompts, work.rules.warmup, demand, recorder
        )
    elif builder.task == "classify" and samples is not None:
        size, count = (
            (scenario.batch_size, -(-scenario.samples // scenario.batch_size))
            if isinstance(scenario, Offline)
            else (1, scenario.requests)
        )
        infer_batches(
            cast("InferenceEngine", engine),
            samples,
            Batches(size, count, work.rules.warmup, due_at_start=isinstance(scenario, Offline)),
            demand,
            recorder,
        )
    else:
        raise TrialError(f"scenario {scenario.kind!r} does not fit a workload that {builder.task}s")
    return told


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

    def starts(self, samples: int) -> list[int]:
        """The first sample of each batch of the window."""
        return [number * self.size % samples for number in range(self.count)]

    def indices(self, start: int, samples: int) -> list[int]:
        """All samples of the batch that begins at `start`."""
        return [(start + k) % samples for k in range(self.size)]


def infer_batches(
    engine: InferenceEngine,
    samples: Samples,
    batches: Batches,
    demand: DemandOf | None,
    recorder: Recorder,
) -> None:
    """Offline and single-stream inference: one row a batch in `requests`.

    Offline, all batches are due when the window opens; in a single stream the next is due
    when the one before is done.
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
    with _garbage_waits():
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
    quality = samples.score(
        [
            (batches.indices(start, samples.count), answer)
            for start, answer in zip(starts, answers, strict=False)
        ]
    )
    if quality is not None:
        recorder.evaluation(quality.metric, quality.split, quality.value, quality.n)


def stream_tokens(
    engine: GenerationEngine,
    prompts: Sequence[Prompt],
    warmup: int,
    demand: DemandOf | None,
    recorder: Recorder,
) -> dict[str, Plain]:
    """Single-stream generation: a row a request, a row a token, a phase each for prefill and decode.

    Returns:
        Histograms of the tokens of prompts and of answers, of the window's requests.
    """
    for prompt in prompts[:warmup]:
        began = recorder.now_ns()
        engine.generate(prompt, _nothing, _nothing)
        recorder.phase("generate", "warmup", began, recorder.now_ns(), request=prompt.id)
    with _garbage_waits():
        recorder.open_window()
        stamped = []
        due = recorder.now_ns()
        for prompt in prompts[warmup:]:
            stamped.append(_generate(engine, prompt, due, recorder))
            due = stamped[-1][-1]
        recorder.close_window()
    for prompt, (_, sent, prefilled, done) in zip(prompts[warmup:], stamped, strict=True):
        size = len(prompt.tokens)
        prefill = demand.call("prefill", tokens=size) if demand else None
        decode = demand.decode(size, prompt.output_tokens - 1) if demand else None
        for name, start, end, demanded in (
            ("prefill", sent, prefilled, prefill),
            ("decode", prefilled, done, decode),
        ):
            recorder.phase(
                name,
                name,
                start,
                end,
                request=prompt.id,
                flops=demanded.flops if demanded else None,
                moved=demanded.moved if demanded else None,
            )
    return {
        "input": histogram([len(prompt.tokens) for prompt in prompts[warmup:]]),
        "output": histogram([emitted for emitted, *_ in stamped]),
    }


def _generate(
    engine: GenerationEngine, prompt: Prompt, due: int, recorder: Recorder
) -> tuple[int, int, int, int]:
    """One request; returns its tokens, and when it was sent, prefilled and done."""
    now = recorder.now_ns
    at: list[int] = []
    prefilled: list[int] = []
    sent = now()
    engine.generate(prompt, lambda: prefilled.append(now()), lambda: at.append(now()))
    done = now()
    for stamp in at:
        recorder.token(prompt.id, stamp)
    recorder.request(
        prompt.id,
        due,
        sent,
        done,
        input_tokens=len(prompt.tokens),
        output_tokens=len(at),
        asked_output_tokens=prompt.output_tokens,
        queue_exit_ns=sent,
        prefill_end_ns=prefilled[0],
    )
    return len(at), sent, prefilled[0], done


def train_to_target(
    engine: TrainingEngine, scenario: TrainToTarget, work: Work, recorder: Recorder
) -> None:
    """Training until an evaluation meets the target: a row a step, evaluations inside the window.

    The window opens before the first step, so that one-off costs count; building the model
    and loading the data do not. The weights are saved after it has closed.
    """
    training = engine.train(scenario.batch_size, work.seed)
    recorder.target(Target(scenario.metric, "test", scenario.target))
    now = recorder.now_ns
    with _garbage_waits():
        recorder.open_window()
        due = now()
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
        recorder.close_window()
    training.save(work.artifacts / WEIGHTS_FILE)


def _meets(scenario: TrainToTarget, metric: str, split: str, value: float) -> bool:
    return metric == scenario.metric and split == "test" and value >= scenario.target


def _warm_up(recorder: Recorder, calls: Sequence[Any]) -> None:
    for call in calls:
        began = recorder.now_ns()
        call()
        recorder.phase("forward", "warmup", began, recorder.now_ns())


def _cycle(items: Sequence[int], count: int) -> list[int]:
    return [items[k % len(items)] for k in range(count)]


def _nothing() -> None:
    """Stands for a stamp during warm-up."""


@contextmanager
def _garbage_waits() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
