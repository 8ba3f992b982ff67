"""How a training step is carried out, and what it tells."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

Mark: TypeAlias = Callable[[Literal["forward", "backward", "communication", "optimizer"]], None]
"""Called at the end of a part of a training step, with the kind of that part."""

PARTS = ("input", "forward", "backward", "communication", "optimizer")
"""The parts of a training step; the loop tells the first, the getting of its batch, by itself."""

Lengths: TypeAlias = Mapping[int, int]
"""Samples of a micro-batch by their tokens, as `WorkloadBuilder.lower` takes them: 1 token of models
without tokens."""


@runtime_checkable
class TellsLengths(Protocol):
    """A training run that knows how long its samples are, so that its FLOPs can be counted."""

    def lengths(self, epoch: int) -> Iterable[Sequence[Lengths]]:
        """Those of each micro-batch of each of the epoch's batches, in order; makes no batch.

        Raises:
            TrialError: The workload's operator graph is not of the sizes that this run has.
        """


@dataclass(frozen=True)
class Step:
    """One step of the optimiser.

    Attributes:
        samples: Samples that went into it, on this device.
        loss: Their mean loss, still on the device: `float` of it waits until it is known.
    """

    samples: int
    loss: Any


@dataclass(frozen=True)
class Practice:
    """How a step is carried out, whatever the model.

    Attributes:
        accumulate: Micro-batches whose gradients are added up before the optimiser's step.
        checkpointing: Whether activations of the model's blocks are dropped and recomputed.
        autocast: Format of the arithmetic of forward and backward pass beside weights in float32;
            "none" for that of the weights. With "fp16" the loss is scaled.
        rank: This process's place among those that share each batch.
        ranks: How many share it.
    """

    accumulate: int = 1
    checkpointing: bool = False
    autocast: Literal["none", "bf16", "fp16"] = "none"
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.accumulate < 1 or not 0 <= self.rank < self.ranks:
            raise ValueError("accumulate is at least 1, rank one of ranks")
