"""Pipelined training: each rank has a stage of the model, and micro-batches go through them all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.distributed.pipelining import Schedule1F1B, SplitPoint, pipeline
from torch.utils._pytree import tree_map  # PyTorch names no other way through nested tensors

from accelbench.adapters.engines.torch.distributed.control import Control
from accelbench.adapters.engines.torch.distributed.group import Place
from accelbench.adapters.engines.torch.distributed.shares import Lesson, Taught, full_batches
from accelbench.adapters.engines.torch.distributed.ways import held_bytes
from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Mark, Step


class _Asked(Exception):  # noqa: N818  (no error: the way out of a loss)
    """Carries what a loss has asked the model."""


class _Listener(nn.Module):
    """Stands in for the model to hear what a loss asks it."""

    def forward(self, *given: Any, **named: Any) -> Any:
        """Breaks off."""
        raise _Asked(given, named)


class _Answered(nn.Module):
    """Stands in for the model where its answer is known already.

    Args:
        answer: The answer.
    """

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self._answer = answer

    def forward(self, *_: Any, **__: Any) -> Any:
        """The answer, whatever is asked."""
        return self._answer


def inputs_of(lesson: Lesson, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the loss of a batch asks the model: arguments, and named ones.

    Raises:
        TrialError: It asks nothing.
    """
    try:
        lesson.loss(_Listener(), batch)
    except _Asked as asked:
        return cast("tuple[tuple[Any, ...], dict[str, Any]]", asked.args)
    raise TrialError("the loss does not ask the model", remedy="use adapter.strategy=ddp")


def cuts(model: nn.Module, blocks: Sequence[nn.Module], stages: int) -> list[str]:
    """Names of the blocks that stages begin with, but for the first; as many blocks in each.

    Raises:
        TrialError: There are fewer blocks than stages.
    """
    if len(blocks) < stages:
        raise TrialError(
            f"the model has {len(blocks)} blocks, which are not enough for {stages} stages",
            remedy="lower adapter.devices",
        )
    names = {id(part): name for name, part in model.named_modules()}
    return [names[id(blocks[stage * len(blocks) // stages])] for stage in range(1, stages)]


class PipelinedTraining:
    """The run of one stage, by the schedule one-forward-one-backward (1F1B).

    Every rank has the whole model, on the device that trains, and trains its stage of it. The
    last one, which knows the loss, gathers the weights for an evaluation.

    Args:
        taught: The workload's run of the whole model, whose batches are micro-batches.
        model: The whole model.
        batch_size: Samples in a step.
        microbatches: Parts of a step.
        place: The rank.
        control: Agrees with the others.

    Raises:
        ForeignError: PyTorch cannot trace the model.
        TrialError: It cannot be cut into so many stages.
    """

    def __init__(
        self,
        taught: Taught,
        model: nn.Module,
        batch_size: int,
        microbatches: int,
        place: Place,
        control: Control,
    ) -> None:
        self._taught, self._whole, self._batch_size = taught, model, batch_size
        self._microbatches, self._control = microbatches, control
        self._first, self._last = place.rank == 0, place.rank == place.ranks - 1
        self._parts: Sequence[Any] = ()
        self._mark: Mark = _unmarked
        part = next(iter(self.batches(0)))[0]
        given, named = inputs_of(taught.lesson, part)
        split = dict.fromkeys(
            cuts(model, taught.lesson.blocks(model), place.ranks), SplitPoint.BEGINNING
        )
        model.train()
        with foreign("cutting the model into stages", remedy="use adapter.strategy=ddp"):
            pipe = pipeline(model, mb_args=given, mb_kwargs=named, split_spec=split)
            stage: Any = pipe.build_stage(place.rank, place.device)
        self._stage: nn.Module = stage.submod
        self._optimiser = taught.lesson.optimiser(self._stage)
        for name, kind in (("forward_one_chunk", "forward"), ("backward_one_chunk", "backward")):
            setattr(stage, name, self._marked(getattr(stage, name), kind))
        self._schedule = Schedule1F1B(stage, microbatches, loss_fn=self._loss)

    def batches(self, epoch: int) -> Iterable[Any]:
        """The full batches of the epoch, each as its micro-batches."""
        return full_batches(self._taught, self._batch_size, epoch)

    def step(self, batch: Sequence[Any], mark: Mark) -> Step:
        """One step on the mean loss of all micro-batches, which the last stage alone knows."""
        self._parts, self._mark = batch, mark
        self._optimiser.zero_grad()
        losses: list[Tensor] = []
        given: tuple[Any, ...] = ()
        named: dict[str, Any] = {}
        if self._first:
            given, named = _together([inputs_of(self._taught.lesson, part) for part in batch])
        if self._last:
            named["target"] = torch.arange(self._microbatches)
            named["losses"] = losses
        self._schedule.step(*given, return_outputs=False, **named)
        mark("communication")
        self._optimiser.step()
        mark("optimizer")
        unknown = torch.tensor(float("nan"))
        loss = torch.stack(losses).mean().detach() if self._last else unknown
        return Step(self._batch_size, loss)

    def evaluate(self) -> Sequence[Quality]:
        """Quality as the last stage finds it with all weights, the same on all ranks."""
        self._assemble()
        found = tuple(self._taught.evaluate()) if self._control.leads else ()
        return cast("Sequence[Quality]", self._control.agreed(found))

    def save(self, path: Path) -> None:
        """Writes the weights of all stages, by the last one."""
        self._assemble()
        if self._control.leads:
            self._taught.save(path)

    def facts(self) -> Mapping[str, Plain]:
        """Those of the workload's run, with the bytes that this stage keeps."""
        return {
            **self._taught.facts(),
            "gradient_accumulation": 1,
            "bytes": held_bytes(self._stage, self._optimiser),
            "last_batch": "an epoch's last batch is left out where it is not full",
        }

    def _loss(self, answer: Any, number: Tensor) -> Tensor:
        """The loss of a micro-batch, which comes by its number."""
        loss = self._taught.lesson.loss(_Answered(answer), self._parts[int(number)])
        self._mark("forward")
        return loss

    def _marked(self, work: Callable[..., Any], kind: Any) -> Callable[..., Any]:
        """The same work, of which the step is told; before it the stage waited for a message."""

        def marked(*given: Any, **named: Any) -> Any:
            self._mark("communication")
            done = work(*given, **named)
            self._mark(kind)
            return done

        return marked

    def _assemble(self) -> None:
        """Puts the weights of all stages into the leader's whole model."""
        own = {name: value.cpu() for name, value in self._stage.state_dict().items()}
        parts = self._control.gathered(own)
        if parts:
            self._whole.load_state_dict({k: v for part in parts for k, v in part.items()})


def _together(parts: Sequence[tuple[tuple[Any, ...], dict[str, Any]]]) -> Any:
    """The inputs of micro-batches as those of one batch, which the schedule cuts again."""
    return tree_map(lambda *tensors: torch.cat(tensors), *parts)


def _unmarked(_: str) -> None:
    """Nobody listens before the first step."""
