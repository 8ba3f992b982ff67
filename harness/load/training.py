"""The loop that trains in this process: what is marked inside the window, and recorded after it.

A step lasts from the asking for its batch to the end of its last part; what follows one another in
the loop is told by marks, each the end of one part and the beginning of the next. Marks become
instants, and losses numbers, when the window has closed, so that a device is not waited for inside.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import cast

from accelbench.harness.load.engines import Instants, TrainingEngine
from accelbench.harness.load.garbage import garbage_waits
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
        facts: What the run tells of itself.
    """

    window_ns: tuple[int, int]
    facts: Mapping[str, Plain]


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
    engine: TrainingEngine, scenario: TrainToTarget, work: Work, recorder: Recorder
) -> Trained:
    """Training until an evaluation meets the target: a row a step, evaluations inside the window.

    The window opens before the first step, so that one-off costs count; building the model does
    not, nor does what loads the data before a batch is asked for. After it has closed the weights
    are saved, and one more step shows what is kept for the backward pass.
    """
    training = engine.train(scenario.batch_size, work.seed)
    recorder.target(Target(scenario.metric, "test", scenario.target))
    steps: list[Step] = []
    evaluations: list[Sequence[Quality]] = []
    with garbage_waits():
        engine.wait()
        marks = _Marks(engine.instants())
        for epoch in range(scenario.max_epochs):
            steps += _epoch(training, epoch, marks)
            evaluations.append(training.evaluate())
            marks.end(_EVALUATE)
            if any(_reached(scenario, found) for found in evaluations[-1]):
                break
        engine.wait()
        marks.end(_END)
    parts = marks.parts()
    window = parts[0][2], parts[-1][3]
    recorder.window(*window)
    _record(parts, steps, evaluations, recorder)
    training.save(work.artifacts / WEIGHTS_FILE)
    facts = training.facts()
    _record_memory(engine, training, facts, recorder)
    return Trained(window, facts)


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
    steps: Iterable[Step],
    evaluations: Iterable[Sequence[Quality]],
    recorder: Recorder,
) -> None:
    """Each step with its parts and its loss; each evaluation, known at its end."""
    made, found, sent_ns = iter(steps), iter(evaluations), 0
    for kind, name, start_ns, end_ns in parts:
        if kind == _INPUT:
            sent_ns = start_ns
        if kind == _STEP:
            step = next(made)
            recorder.request(name, sent_ns, sent_ns, end_ns, samples=step.samples)
            recorder.evaluation("loss", "train", float(step.loss), step.samples, end_ns)
        elif kind == _EVALUATE:
            recorder.phase(kind, "other", start_ns, end_ns)
            for one in next(found):
                recorder.evaluation(one.metric, one.split, one.value, one.n, end_ns)
        elif kind in PARTS:
            recorder.phase(kind, kind, start_ns, end_ns, request=name)


def _record_memory(
    engine: TrainingEngine, training: Training, facts: Mapping[str, Plain], recorder: Recorder
) -> None:
    """What training keeps beside the weights, as far as run and engine tell."""
    told = cast("Mapping[str, float]", facts.get("bytes", {}))
    for name in ("gradients", "optimizer_state"):
        if name in told:
            recorder.counter(name, told[name], "byte")
    kept = engine.kept_for_backward(
        lambda mark: training.step(next(iter(training.batches(0))), mark)
    )
    if kept is not None:
        recorder.counter("activations", kept, "byte")
