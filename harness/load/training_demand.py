"""What the parts of training steps ask of a machine, by the workload's operator graphs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from accelbench.harness.errors import ForeignError, TrialError
from accelbench.harness.load.engines import FLOPS_COUNTING, TRAFFIC, Demand, DemandOf
from accelbench.harness.schema.builders import Training
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.training import Lengths, TellsLengths

_FLOPS = (
    f"{FLOPS_COUNTING}; of forward pass, backward pass and optimiser, of micro-batches as large as"
    " they were; element-wise work counts none, and so the optimiser's"
)
_TRAFFIC = (
    f"{TRAFFIC}; adding up the gradients of micro-batches, and copies for communication, are left"
    " out"
)
_SEVERAL_SIZES = (
    "not told: under autocast weights travel in float32 and activations in another format"
)


@dataclass(frozen=True)
class TrainingStepDemand:
    """What one step asks for.

    Attributes:
        forward: Each forward pass, micro-batch by micro-batch.
        backward: Each backward pass, likewise.
        optimizer: The step of the optimiser, alone in its sequence.
    """

    forward: Sequence[Demand]
    backward: Sequence[Demand]
    optimizer: Sequence[Demand]

    @property
    def flops(self) -> float:
        """FLOPs of all of it."""
        return sum(one.flops for one in (*self.forward, *self.backward, *self.optimizer))

    def of(self, kind: str, place: int) -> Demand | None:
        """That of a part.

        Args:
            kind: One of the kinds of parts.
            place: How many parts of this kind the step has had before.
        """
        told: Mapping[str, Sequence[Demand]] = vars(self)
        parts = told.get(kind, ())
        return parts[place] if place < len(parts) else None


@dataclass(frozen=True)
class TrainingDemand:
    """What all steps of a run ask for.

    Attributes:
        steps: By step, in order; empty where that is not known.
        moves: Whether bytes are known too.
        recomputed: FLOPs of forward passes that were done once more for the backward pass; None
            where that is not known.
        facts: How FLOPs and bytes are counted, or why they are not.
    """

    steps: Sequence[TrainingStepDemand]
    moves: bool
    recomputed: float | None
    facts: Mapping[str, Plain]

    @property
    def flops(self) -> float:
        """FLOPs of all steps, each pass counted once."""
        return sum(step.flops for step in self.steps)


def training_demand(
    training: Training,
    told: Mapping[str, Any],
    steps: Sequence[int],
    demand: DemandOf | None,
    *,
    shares: int = 1,
) -> TrainingDemand:
    """Counts what a run has asked for, once its window has closed.

    Args:
        training: The run.
        told: What it tells of itself.
        steps: Steps done in each epoch.
        demand: Demand of the workload's phases, or None where it is unknown.
        shares: Devices that the parameters are shared out over for the optimiser, of which this
            one steps an equal share.
    """
    if demand is None:
        return _unknown("what this device's part of the model asks for is not counted")
    if not isinstance(training, TellsLengths):
        return _unknown("the run does not tell how long its samples are")
    counted = _Counted(demand, shares)
    try:
        lengths = [
            parts
            for epoch, count in enumerate(steps)
            for parts in islice(training.lengths(epoch), count)
        ]
        found = [counted.step(parts) for parts in lengths]
    except (TrialError, ForeignError) as error:
        return _unknown(error.what)
    moves = told.get("autocast", "none") == "none"
    facts: dict[str, Plain] = {
        "flops_counting": _FLOPS,
        "traffic": _TRAFFIC if moves else _SEVERAL_SIZES,
    }
    again = told.get("recomputed")
    return TrainingDemand(found, moves, _recomputed(again, lengths) if again else None, facts)


def _unknown(why: str) -> TrainingDemand:
    return TrainingDemand(
        (),
        moves=False,
        recomputed=None,
        facts=dict.fromkeys(("flops_counting", "traffic"), _not(why)),
    )


def _not(why: str) -> str:
    return f"not told: {why}"


class _Counted:
    """Demand of steps, each of its kind counted once."""

    def __init__(self, demand: DemandOf, shares: int) -> None:
        self._demand, self._shares = demand, shares
        self._known: dict[tuple[str, tuple[tuple[int, int], ...]], Demand] = {}

    def step(self, parts: Sequence[Lengths]) -> TrainingStepDemand:
        """One of these micro-batches."""
        tokens, samples = max(one for part in parts for one in part.items())
        whole = self._demand.call("train.optimizer", samples, tokens)
        stepped = Demand(whole.flops / self._shares, whole.moved / self._shares)
        return TrainingStepDemand(
            [self._of("train.forward", part) for part in parts],
            [self._of("train.backward", part) for part in parts],
            [stepped],
        )

    def _of(self, phase: str, part: Lengths) -> Demand:
        key = phase, tuple(sorted(part.items()))
        if key not in self._known:
            self._known[key] = self._demand.mixed(phase, dict(key[1]))
        return self._known[key]


def _recomputed(once: Mapping[str, Any], lengths: Sequence[Sequence[Lengths]]) -> float | None:
    """FLOPs that all steps repeated; None where samples differ, as those of one tell nothing then.

    Args:
        once: FLOPs that are repeated in a micro-batch, and its samples.
        lengths: Of all micro-batches, step by step.
    """
    sizes: dict[int, int] = {}
    for tokens, samples in _each(lengths):
        sizes[tokens] = sizes.get(tokens, 0) + samples
    if len(sizes) != 1:
        return None
    return float(once["flops"]) / int(once["samples"]) * sum(sizes.values())


def _each(lengths: Sequence[Sequence[Lengths]]) -> Iterator[tuple[int, int]]:
    for parts in lengths:
        for part in parts:
            yield from part.items()
