"""The loop that trains in this process: what is marked inside the window, and recorded after it.

A step lasts from the asking for its batch to the end of its last part; what follows one another in
the loop is told by marks, each the end of one part and the beginning of the next. Marks become
instants, and losses numbers, when the window has closed, so that a device is not waited for inside.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import cast

from accelbench.harness.load.engines import DemandOf, Instants, TrainingEngine
from accelbench.harness.load.garbage import garbage_waits
from accelbench.harness.load.training_demand import TrainingDemand, training_demand
from accelbench.harness.schema.builders import Training
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.quality import Quality, meets
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.trace import Target
from accelbench.harness.schema.training import PARTS, Step

WEIGHTS_FILE = "weights.safetensors"
_INPUT, _STEP, _EPOCH, _EVALUATE, _END = "input", "step", "epoch", "evaluate", "end"


@dataclass(frozen=True)
class Trained:
    """A training run that has ended.

    Attributes:
        window_ns: The measurement window.
        facts: What the run tells of itself, and `done`, the epochs and steps it made.
        counting: How its FLOPs and bytes are counted, or why they are not.
    """

    window_ns: tuple[int, int]
    facts: Mapping[str, Plain]
    counting: Mapping[str, Plain]


class _Marks:
    """The ends of the parts of a run, in order, with what each part was.

    Args:
        instants: Takes the marks; the first, at the window's start, ends no part.
    """

    def __init__(self, instants: Instants) -> None:
        self._instants = instants
        self._mark = instants.mark
        self._parts: list[tuple[str, str]] = []
        self._mark()

    def end(self, kind: str, step: str = "") -> None:
        """A part of this kind ends now; `step` is that of which it is a part."""
        self._mark()
        self._parts.append((kind, step))

    def parts(self) -> list[tuple[str, str, int, int]]:
        """Kind, step, start and end of each part; waits for the device."""
        spans = pairwise(self._instants.read_ns())
        return [(*part, *span) for part, span in zip(self._parts, spans, strict=True)]


def train_to_target(
    engine: TrainingEngine,
    scenario: TrainToTarget,
    work: Work,
    recorder: Recorder,
    demand: DemandOf | None = None,
    *,
    shares: int = 1,
) -> Trained:
    """Training until an evaluation meets the target: a row a step, evaluations inside the window.

    The window opens before the first step, so that one-off costs count; building the model does
    not, nor does what loads the data before a batch is asked for. After it has closed the weights
    are saved, and what the steps asked for is counted.

    Args:
        engine: Trains.
        scenario: Until when.
        work: The trial.
        recorder: Takes the events.
        demand: Source of FLOPs and bytes, or None where they are unknown.
        shares: Devices that the optimiser's work is shared out over.
    """
    training = engine.train(scenario.batch_size, work.seed)
    recorder.target(Target(scenario.metric, "test", scenario.target))
    epochs: list[list[Step]] = []
    evaluations: list[Sequence[Quality]] = []
    with garbage_waits():
        engine.wait()
        marks = _Marks(engine.instants())
        for epoch in range(scenario.max_epochs):
            epochs.append(_epoch(training, epoch, marks))
            evaluations.append(training.evaluate())
            marks.end(_EVALUATE)
            if any(_reached(scenario, found) for found in evaluations[-1]):
                break
        engine.wait()
        marks.end(_END)
    parts = marks.parts()
    window = parts[0][2], parts[-1][3]
    recorder.window(*window)
    training.save(work.artifacts / WEIGHTS_FILE)
    facts = training.facts()
    asked = training_demand(training, facts, [len(one) for one in epochs], demand, shares=shares)
    steps = [step for one in epochs for step in one]
    _record(parts, steps, evaluations, asked, recorder)
    _record_memory(facts, recorder)
    if asked.recomputed is not None:
        recorder.counter("flops.hardware", asked.flops + asked.recomputed, "FLOP")
    done = {"epochs": len(epochs), "steps": len(steps)}
    return Trained(window, {**facts, "done": done}, asked.facts)


def _epoch(training: Training, epoch: int, marks: _Marks) -> list[Step]:
    steps = []
    for number, batch in enumerate(training.batches(epoch)):
        name = f"{epoch}.{number}"
        marks.end(_INPUT, name)
        steps.append(training.step(batch, partial(marks.end, step=name)))
        marks.end(_STEP, name)
    marks.end(_EPOCH)
    return steps


def _reached(scenario: TrainToTarget, found: Quality) -> bool:
    asked = (found.metric, found.split) == (scenario.metric, "test")
    return asked and meets(found.metric, found.value, scenario.target)


def _record(
    parts: Sequence[tuple[str, str, int, int]],
    steps: Sequence[Step],
    evaluations: Iterable[Sequence[Quality]],
    asked: TrainingDemand,
    recorder: Recorder,
) -> None:
    """Each step with its parts and its loss; each evaluation, known at its end."""
    found, number, sent_ns = iter(evaluations), 0, 0
    before: Counter[str] = Counter()
    for kind, name, start_ns, end_ns in parts:
        if kind == _INPUT:
            sent_ns = start_ns
        if kind == _STEP:
            step = steps[number]
            recorder.request(name, sent_ns, sent_ns, end_ns, samples=step.samples)
            recorder.evaluation("loss", "train", float(step.loss), step.samples, end_ns)
            number += 1
            before.clear()
        elif kind == _EVALUATE:
            recorder.phase(kind, "other", start_ns, end_ns)
            for one in next(found):
                recorder.evaluation(one.metric, one.split, one.value, one.n, end_ns)
        elif kind in PARTS:
            work = asked.steps[number].of(kind, before[kind]) if asked.steps else None
            recorder.phase(
                kind,
                kind,
                start_ns,
                end_ns,
                request=name,
                flops=work.flops if work else None,
                moved=work.moved if work and asked.moves else None,
            )
            before[kind] += 1


def _record_memory(facts: Mapping[str, Plain], recorder: Recorder) -> None:
    """What training keeps beside the weights, as far as the run tells."""
    told = cast("Mapping[str, float]", facts.get("bytes", {}))
    for name in ("gradients", "optimizer_state", "activations"):
        if name in told:
            recorder.counter(name, told[name], "byte")
