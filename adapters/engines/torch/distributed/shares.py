"""Data-parallel training: every rank has the model, or a share of it, and a share of each batch."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import nn

from accelbench.adapters.engines.torch.distributed.control import Control
from accelbench.adapters.engines.torch.distributed.ways import held_bytes
from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Lengths, Mark, Step


class Lesson(Protocol):
    """What a rank has to know of what a model is taught.

    Attributes:
        count: Training samples.
    """

    count: int

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        """The mean loss over the samples of a batch."""

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the parameters that are trained."""

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """Parts of the model that follow one another."""


class Taught(Protocol):
    """A training run of a workload, as its builder makes it.

    Attributes:
        lesson: What the model is taught.
        optimiser: Steps its parameters.
    """

    @property
    def lesson(self) -> Lesson:
        """What the model is taught."""

    optimiser: torch.optim.Optimizer

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of one epoch."""

    def lengths(self, epoch: int) -> Iterable[Sequence[Lengths]]:
        """How long the samples of each of their micro-batches are."""

    def step(self, batch: Any, mark: Mark) -> Step:
        """One step of the optimiser."""

    def evaluate(self) -> Sequence[Quality]:
        """Quality on each held-out split."""

    def save(self, path: Path) -> None:
        """Writes the weights."""

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser, loss, data, and the bytes of what training keeps."""


def full_batches(taught: Taught, batch_size: int, epoch: int) -> Iterable[Any]:
    """The batches of an epoch that are full; what is left of the data at its end is left out.

    So it is on one device too, so that any number of them does the same steps.

    Raises:
        TrialError: There is not one.
    """
    count = taught.lesson.count // batch_size
    if count == 0:
        raise TrialError(
            f"a batch of {batch_size} is more than the {taught.lesson.count} training samples",
            remedy="lower scenario.batch_size",
        )
    return islice(taught.batches(epoch), count)


class SharedTraining:
    """The run of one rank of those that share each batch, or of a device alone.

    Args:
        taught: The workload's run of this rank's share.
        told: What such a run told of itself before the model was shared out.
        model: What it trains, as this rank holds it.
        batch_size: Samples in a step, over all ranks.
        control: Agrees with the others.
        together: Whether the model answers only when all ranks ask, as where they share it out.
        memory: How what training keeps is shared out, for the facts.
    """

    def __init__(
        self,
        taught: Taught,
        told: Mapping[str, Plain],
        model: nn.Module,
        batch_size: int,
        control: Control,
        *,
        together: bool,
        memory: str,
    ) -> None:
        self._taught, self._told = taught, told
        self._model, self._batch_size = model, batch_size
        self._control, self._together, self._memory = control, together, memory

    def batches(self, epoch: int) -> Iterable[Any]:
        """This rank's share of each full batch of the epoch."""
        return full_batches(self._taught, self._batch_size, epoch)

    def lengths(self, epoch: int) -> Iterable[Sequence[Lengths]]:
        """How long the samples of this rank's share of each full batch are.

        Raises:
            TrialError: The workload's operator graph is of other sizes than a training step.
        """
        return islice(self._taught.lengths(epoch), self._taught.lesson.count // self._batch_size)

    def step(self, batch: Any, mark: Mark) -> Step:
        """One step on the mean gradient of all ranks."""
        return self._taught.step(batch, mark)

    def evaluate(self) -> Sequence[Quality]:
        """Quality as the leader finds it, the same on all ranks."""
        found: Sequence[Quality] = ()
        if self._control.leads or self._together:
            found = self._taught.evaluate()
        return cast("Sequence[Quality]", self._control.agreed(tuple(found)))

    def save(self, path: Path) -> None:
        """Writes the weights, by the leader alone."""
        if self._control.leads:
            self._taught.save(path)
        elif self._together:
            self._model.state_dict()

    def facts(self) -> Mapping[str, Plain]:
        """Those of the workload's run, with the bytes that this rank holds."""
        found = cast("Mapping[str, Plain]", self._told.get("bytes", {}))
        memory = cast("Mapping[str, Plain]", self._told.get("memory", {}))
        return {
            **self._told,
            "bytes": {**found, **held_bytes(self._model, self._taught.optimiser)},
            "memory": {**memory, "optimizer_sharding": self._memory},
            "last_batch": "an epoch's last batch is left out where it is not full",
        }
