"""An engine that only pretends: it takes the times, answers and failures it is told to have.

Its clock is virtual, so that a whole campaign with its statistics takes milliseconds.
"""

import os
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import DemandOf, steps_of
from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import drive
from accelbench.harness.schema.builders import Answers, Generates, Training, WorkloadBuilder
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Readiness, Session, Task, Work
from accelbench.harness.schema.quality import Quality, better
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.recorder import Clock, Recorder, VirtualClock
from accelbench.harness.schema.scenario import MultiStream, Offline, Scenario, TrainToTarget
from accelbench.harness.schema.trace import Meter
from accelbench.harness.schema.training import Mark, Step
from accelbench.harness.simulation.elapse import Elapse
from accelbench.harness.simulation.engine import share_inside, unsupported

NO_WEIGHTS = b"{}"
"""The header of a safetensors file without a tensor."""


@dataclass(frozen=True)
class FakeAdapter:
    """Pretends to be an engine.

    Requests, batches and training steps are numbered from 0 in the window of a trial; the
    warm-up is not counted and never fails.

    Attributes:
        latency_s: Fixed time of a batch, a training step or an evaluation, seconds.
        per_sample_s: Time of each sample in it, seconds.
        prefill_s_per_token: Time of each token of a prompt, seconds.
        token_s: Time of each generated token after the first, seconds; of each step, in a batch.
        max_batch: Most prompts that it takes at once, in static batches.
        jitter: Largest relative deviation of each of these times, drawn evenly; below 1.
        accuracy: Chance that an answer is right.
        steps_per_epoch: Training steps in an epoch.
        epochs_to_target: The epoch whose evaluation meets the target, from 1.
        power_w: Power while it works, W; None for no energy.
        fail_at: The number at which it reports an error.
        crash_at: The number at which its process is killed, as by the system's memory guard.
        hang_at: The number at which it stops answering, in real time.
        crash_on_repeat: The one repeat of a cell that fails, crashes or hangs; None for all.
        error: What it reports at `fail_at`.
    """

    latency_s: float = 1e-3
    per_sample_s: float = 1e-4
    prefill_s_per_token: float = 1e-5
    token_s: float = 1e-3
    max_batch: int = 1
    jitter: float = 0.0
    accuracy: float = 1.0
    steps_per_epoch: int = 10
    epochs_to_target: int = 2
    power_w: float | None = None
    fail_at: int | None = None
    crash_at: int | None = None
    hang_at: int | None = None
    crash_on_repeat: int | None = None
    error: str = "the fake engine failed, as it was told to"

    evidence: ClassVar[Evidence] = "simulated"
    clock: ClassVar[ClockName] = "simulated"

    def __post_init__(self) -> None:
        if min(self.latency_s, self.per_sample_s, self.prefill_s_per_token, self.token_s) < 0:
            raise ValueError("a time cannot be negative")
        if not (0 <= self.jitter < 1 and 0 <= self.accuracy <= 1):
            raise ValueError("0 <= jitter < 1 and 0 <= accuracy <= 1 are needed")
        if min(self.steps_per_epoch, self.epochs_to_target, self.max_batch) < 1:
            raise ValueError("steps_per_epoch, epochs_to_target and max_batch must be at least 1")

    def readiness(self) -> Readiness:
        """Always ready."""
        return Readiness("ready", "pretends; needs nothing")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """None unless the scenario wants a queue of samples; it trains without the workload."""
        return None if isinstance(scenario, TrainToTarget) else unsupported(builder, scenario)

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session; says on standard output that it has started."""
        print("fake engine: started", flush=True)  # noqa: T201  (logs are tested with this line)
        return nullcontext(FakeSession(self, task))


class FakeSession:
    """A session of the fake engine."""

    precision = "fp32"

    def __init__(self, options: FakeAdapter, task: Task) -> None:
        self._options = options
        self._builder = task.builder
        self._virtual = VirtualClock()
        self.clock: Clock = self._virtual
        self._asked: Mapping[str, Plain] = {}

    def facts(self) -> Mapping[str, Plain]:
        """Says that nothing here is real, and what the latest trial was asked to do."""
        return {
            "cost_model": "fake",
            "assumptions": ["times, answers, failures and power are options, not a machine's"],
            "weights": "none: fake",
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial.

        Raises:
            TrialError: The scenario does not fit the workload, or it was told to fail.
        """
        builder = self._builder
        generates = isinstance(builder, Generates)
        engine = FakeEngine(self._options, self._virtual, work, generates=generates)
        trains = isinstance(work.scenario, TrainToTarget)
        samples = builder.samples() if isinstance(builder, Answers) and not trains else None
        demand = DemandOf(self._builder, self.precision)
        driven = drive(engine, self._builder, samples, demand, work, recorder)
        self._asked = driven.facts
        if self._options.power_w is not None:
            _record_energy(self._options.power_w, engine.worked_s(driven.window_ns), recorder)


class FakeEngine(HostEngine):
    """Answers integers with themselves, prompts with nothing, and trains no model."""

    def __init__(
        self, options: FakeAdapter, clock: VirtualClock, work: Work, *, generates: bool
    ) -> None:
        super().__init__(clock.now_ns)
        self.max_batch = options.max_batch
        self._options = options
        self._work = work
        self._clock = clock
        self._elapse = Elapse(clock)
        self._draw = random.Random(work.seed)  # noqa: S311  (no secret hangs on it)
        repeat = work.seed - work.rules.seed
        self._breaks = options.crash_on_repeat in (None, repeat)
        self._number = -_warmup(work, generates=generates) - 1
        self._worked: list[tuple[str, float, int, int]] = []

    def prepare(self, inputs: Any) -> list[int]:
        """The integers themselves.

        Raises:
            TrialError: The workload's samples are not integers.
        """
        if not (isinstance(inputs, list) and all(isinstance(item, int) for item in inputs)):
            raise TrialError(
                f"the fake engine answers lists of integers, not {type(inputs).__name__}",
                remedy="use the workload 'fake_classifier'",
            )
        return inputs

    def infer(self, inputs: list[int]) -> list[int]:
        """Each integer itself, or the next one where the answer is to be wrong."""
        self.begin()
        self.work("forward", self._options.latency_s + self._options.per_sample_s * len(inputs))
        right = self._options.accuracy
        return [item if self._draw.random() < right else item + 1 for item in inputs]

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> None:
        """A prefill of all prompts that yields first tokens, then a step for each further one."""
        for _ in prompts:
            self.begin()
        size = sum(len(prompt.tokens) for prompt in prompts)
        self.work("prefill", self._options.prefill_s_per_token * size)
        prefilled()
        for step, members in enumerate(steps_of(prompts)):
            if step:
                self.work("decode", self._options.token_s)
            tokens(members)

    def wait_until_ns(self, at_ns: int) -> None:
        """Moves the clock on."""
        self._clock.advance_ns(at_ns - self._clock.now_ns())

    def train(self, batch_size: int, seed: int) -> Training:  # noqa: ARG002  (draws from the trial's seed)
        """A training run that meets the target when it is told to.

        Raises:
            TrialError: The scenario does not train.
        """
        scenario = self._work.scenario
        if not isinstance(scenario, TrainToTarget):
            raise TrialError(f"scenario {scenario.kind!r} does not train")
        return FakeTraining(self, self._options, scenario)

    def begin(self) -> None:
        """Begins the next request, batch or step, or breaks down at it."""
        self._number += 1
        if not self._breaks:
            return
        if self._number == self._options.fail_at:
            raise TrialError(self._options.error)
        if self._number == self._options.crash_at:
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        while self._number == self._options.hang_at:
            time.sleep(60)

    def work(self, phase: str, seconds: float) -> None:
        """Lets time pass, give or take the jitter."""
        deviation = self._options.jitter * self._draw.uniform(-1, 1)
        taken, began_ns = seconds * (1 + deviation), self._clock.now_ns()
        self._elapse.by_s(taken)
        self._worked.append((phase, taken, began_ns, self._clock.now_ns()))

    def worked_s(self, window_ns: tuple[int, int]) -> Mapping[str, float]:
        """Time worked in a window, by phase, seconds."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for phase, taken, start_ns, end_ns in self._worked:
            seconds[phase] += taken * share_inside(start_ns, end_ns, window_ns)
        return {phase: worked for phase, worked in seconds.items() if worked}


class FakeTraining:
    """Steps and evaluations without a model."""

    def __init__(self, engine: FakeEngine, options: FakeAdapter, scenario: TrainToTarget) -> None:
        self._engine = engine
        self._options = options
        self._scenario = scenario
        self._epochs_done = 0
        self._steps_done = 0

    def batches(self, epoch: int) -> Sequence[int]:  # noqa: ARG002  (all epochs are alike)
        """The sizes of the batches of an epoch."""
        return [self._scenario.batch_size] * self._options.steps_per_epoch

    def step(self, batch: int, mark: Mark) -> Step:
        """One step: a third of its time forward, the rest backward, none for the optimiser."""
        self._engine.begin()
        seconds = self._options.latency_s + self._options.per_sample_s * batch
        self._engine.work("train", seconds / 3)
        mark("forward")
        self._engine.work("train", 2 * seconds / 3)
        mark("backward")
        mark("optimizer")
        self._steps_done += 1
        return Step(batch, 1 / self._steps_done)

    def evaluate(self) -> Sequence[Quality]:
        """A quality that nears the target until it is met, then stays."""
        self._engine.work("evaluate", self._options.latency_s)
        self._epochs_done += 1
        progress = min(self._epochs_done / self._options.epochs_to_target, 1.0)
        samples = self._scenario.batch_size * self._options.steps_per_epoch
        metric, target = self._scenario.metric, self._scenario.target
        value = target / progress if better(metric) == "lower" else target * progress
        return [Quality(metric, "test", value, samples)]

    def save(self, path: Path) -> None:
        """Writes a safetensors file without tensors: the header's length, then the header."""
        path.write_bytes(len(NO_WEIGHTS).to_bytes(8, "little") + NO_WEIGHTS)

    def facts(self) -> Mapping[str, Plain]:
        """That there is no model; the loss falls as one over the steps."""
        return {"optimizer": "none: fake", "loss": "one over the steps so far"}


def _warmup(work: Work, *, generates: bool) -> int:
    """Requests, batches or steps that come before the window."""
    scenario, count = work.scenario, work.rules.warmup
    if isinstance(scenario, TrainToTarget):
        return 0
    if generates and isinstance(scenario, MultiStream):
        return count * scenario.streams
    if generates and isinstance(scenario, Offline):
        return count * scenario.batch_size
    return count


def _record_energy(power_w: float, seconds: Mapping[str, float], recorder: Recorder) -> None:
    recorder.meter(
        "ledger",
        Meter(
            quality="modelled",
            method=f"{power_w:g} W, an option, times simulated time",
            scope="fake machine",
            covers=("fake machine",),
        ),
    )
    for phase, worked_s in seconds.items():
        recorder.ledger(phase, "fake machine", power_w * worked_s)
