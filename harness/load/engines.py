"""What an engine in this process can do, as the loops of `in_process` drive it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from accelbench.harness.schema.builders import Training, WorkloadBuilder
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.units import NS_PER_S

FLOPS_COUNTING = (
    "analytic, from the operator graph: matrix products, convolutions and attention, two for a"
    " multiply-add; no padding, no recomputation, zeros not skipped"
)
"""How the FLOPs of `DemandOf` are counted."""

TRAFFIC = (
    "compulsory, from the operator graph: every operand once an occurrence, as if nothing stayed"
    " on chip; main memory is the first level of the platform's sheet"
)
"""How its bytes are counted, and of which memory."""

SPIN_NS = 1_000_000
"""Last stretch of a wait on a real clock, which is not slept: a sleeper may wake up late."""


@dataclass(frozen=True)
class Demand:
    """What a call asks of a machine.

    Attributes:
        flops: Floating-point operations of the model (two for a multiply-add).
        moved: Bytes that its operators read and write, each operand once an occurrence.
    """

    flops: float
    moved: float


class Instants(Protocol):
    """Instants of an engine's work on the recorder's clock, taken without waiting for a device."""

    def mark(self) -> None:
        """Marks now; of a device, when it will have done what it was given so far."""

    def read_ns(self) -> list[int]:
        """All marks in order; waits until the last of them is there."""


class Waits(Protocol):
    """An engine whose calls may return before their work is done."""

    def wait(self) -> None:
        """Returns when all work that was given so far is done."""

    def instants(self) -> Instants:
        """Instants to be marked from now on; what was given before should be done."""


class InferenceEngine(Waits, Protocol):
    """Runs a one-shot model."""

    def prepare(self, inputs: Any) -> Any:
        """Puts inputs where the model reads them; done before the window opens."""

    def infer(self, inputs: Any) -> Any:
        """One batch; its outputs are there after `wait`."""


class GenerationEngine(Protocol):
    """Generates tokens for batches of prompts, a batch from its start to its end.

    Attributes:
        max_batch: Most prompts that it takes at once.
    """

    max_batch: int

    def generate_batch(
        self,
        prompts: Sequence[Prompt],
        prefilled: Callable[[], None],
        tokens: Callable[[Sequence[int]], None],
    ) -> Sequence[Sequence[int]] | None:
        """Generates `output_tokens` tokens for each prompt; returns when the longest is done.

        Args:
            prompts: The members of the batch.
            prefilled: Called once, when all prompts are in the cache.
            tokens: Called at each step, when its tokens can be read, with the places in
                `prompts` of those that got one; it keeps what it is given.

        Returns:
            The token ids of each step, one for every prompt, also for those that are done; None
            where there are no ids, as on a simulated machine.
        """

    def wait_until_ns(self, at_ns: int) -> None:
        """Lets time pass on the clock that the recorder stamps with, until this instant."""


class TrainingEngine(Waits, Protocol):
    """Trains the workload's model from scratch."""

    def train(self, batch_size: int, seed: int) -> Training:
        """A training run of a fresh model, on the engine's device."""


def steps_of(prompts: Sequence[Prompt]) -> Iterator[Sequence[int]]:
    """Which members of a batch get a token, step by step, until the longest answer is done."""
    for step in range(max(prompt.output_tokens for prompt in prompts)):
        yield [k for k, prompt in enumerate(prompts) if prompt.output_tokens > step]


def sleep_until_ns(at_ns: int) -> None:
    """Sleeps until shortly before an instant of the monotonic clock, then watches the clock."""
    while (left_ns := at_ns - time.perf_counter_ns()) > SPIN_NS:
        time.sleep((left_ns - SPIN_NS) / NS_PER_S)
    while time.perf_counter_ns() < at_ns:
        pass


class StepDemand:
    """Demand of a decode step by its context, exact, and from few graphs where it is affine.

    With each token of context a step reads more, or as much where a window is full: what it asks
    for is concave in the context. A concave function that meets its chord at one place in between
    is that chord, so that three graphs show all contexts between the outer two. Where a place lies
    off the chord, every context has a graph of its own.

    Args:
        at: Demand at a context, from its graph; keeps what it has found.
    """

    def __init__(self, at: Callable[[int], Demand]) -> None:
        self._at = at
        self._ends: tuple[int, int] | None = None
        self._affine: bool | None = None

    def __call__(self, context: int) -> Demand:
        """Demand of one step at this context."""
        low, high = self._ends or (context, context)
        if self._affine and low <= context <= high:
            return self._chord(context)
        if self._affine is not False:
            known = sorted({low, context, high})
            self._ends = known[0], known[-1]
            if len(known) == 3:  # noqa: PLR2004  (two ends, and a place in between)
                self._affine = self._chord(known[1]) == self._at(known[1])
        return self._at(context)

    def _chord(self, context: int) -> Demand:
        assert self._ends is not None
        low, high = self._ends
        return _between(self._at(low), self._at(high), _share(context, self._ends))


def _share(context: int, ends: tuple[int, int]) -> Fraction:
    """How far a context lies from one end to the other, from 0 to 1."""
    low, high = ends
    return Fraction(context - low, high - low) if high > low else Fraction(0)


def _between(first: Demand, last: Demand, share: Fraction) -> Demand:
    """What lies so far on the line from one demand to the other."""

    def on_line(a: float, b: float) -> float:
        return float(Fraction(a) + (Fraction(b) - Fraction(a)) * share)

    return Demand(on_line(first.flops, last.flops), on_line(first.moved, last.moved))


class DemandOf:
    """Demand of a workload's phases, from its operator graph, each graph made once.

    Args:
        builder: The workload.
        precision: Key of `ELEMENT_BYTES`: the size at which elements travel.

    Attributes:
        element_bytes: That size, bytes.
    """

    def __init__(self, builder: WorkloadBuilder, precision: str) -> None:
        self._builder = builder
        self.element_bytes = ELEMENT_BYTES[precision]
        self._known: dict[tuple[str, int, int, int], Demand] = {}
        self._steps: dict[int, StepDemand] = {}

    def call(self, phase: str, batch: int = 1, tokens: int = 1, context: int = 0) -> Demand:
        """Demand of one call."""
        if phase == "decode" and tokens == 1:
            if batch not in self._steps:
                self._steps[batch] = StepDemand(
                    lambda context: self._lowered("decode", batch, 1, context)
                )
            return self._steps[batch](context)
        return self._lowered(phase, batch, tokens, context)

    def _lowered(self, phase: str, batch: int, tokens: int, context: int) -> Demand:
        key = (phase, batch, tokens, context)
        if key not in self._known:
            graph = self._builder.lower(phase, batch, tokens, context)
            moved = graph.bytes_moved(self.element_bytes)
            self._known[key] = Demand(float(graph.flops), moved)
        return self._known[key]

    def decode(self, context: int, steps: int) -> Demand:
        """Demand of `steps` decode steps of one sequence, the first at `context` cached tokens.

        Where FLOPs and bytes of a step are linear in the context, the mean of the first and the
        last step is exact. A step halfway that is off that line, as where a window is full, shows
        that they are not; then each step is counted.
        """
        ends = context, context + max(steps - 1, 0)
        half = sum(ends) // 2
        first, last = (self.call("decode", context=at) for at in ends)
        if self.call("decode", context=half) == _between(first, last, _share(half, ends)):
            return Demand(
                steps * (first.flops + last.flops) / 2, steps * (first.moved + last.moved) / 2
            )
        each = [self.call("decode", context=context + step) for step in range(steps)]
        return Demand(sum(one.flops for one in each), sum(one.moved for one in each))

    def mixed(self, phase: str, lengths: Mapping[int, int]) -> Demand:
        """Demand of a call on samples of various lengths, without padding.

        FLOPs and bytes of a call are linear in its samples, so that those of each length add up,
        but for what is moved once for all, which is taken of the length that moves most of it.

        Args:
            phase: Of the workload.
            lengths: Samples by their tokens, at least one.
        """
        parts = [self.call(phase, samples, tokens) for tokens, samples in lengths.items()]
        if len(parts) == 1:
            return parts[0]
        shared = [self.shared(phase, tokens) for tokens in lengths]
        moved = sum(part.moved for part in parts) - sum(shared) + max(shared)
        return Demand(sum(part.flops for part in parts), moved)

    def shared(self, phase: str, tokens: int = 1, context: int = 0) -> float:
        """Bytes of a call that a batch moves once however many sequences it has, as weights are.

        The bytes of a call are linear in its sequences: this is what is left at none.
        """
        one, two = (self.call(phase, batch, tokens, context).moved for batch in (1, 2))
        return 2 * one - two
