"""Training by gradient descent in PyTorch: one run for every family that is trained."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Lengths, Mark, Practice, Step
from accelbench.suites.workloads.footprint import activation_bytes, forward_flops
from accelbench.suites.workloads.weights_file import save_tensors

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Lesson(Protocol):
    """What a model is taught: its data, loss and optimiser.

    Attributes:
        count: Training samples.
    """

    count: int

    def batch(self, indices: Sequence[int], model: nn.Module) -> Any:
        """Inputs and truths of these samples, where the model lies and in its format."""

    def lengths(self, indices: Sequence[int]) -> Lengths:
        """How long these samples are, without making a batch of them.

        Raises:
            TrialError: The workload's operator graph is of other sizes than a training step.
        """

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The mean loss over the samples of a batch, shape ()."""

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser of the parameters that are trained."""

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """The parts whose activations may be recomputed, in order."""

    def evaluate(self, model: nn.Module) -> Sequence[Quality]:
        """Quality on each held-out split; the model is in evaluation mode."""

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser, loss and data, in words."""


class GradientTraining:
    """One training run; the order of the samples depends on the seed and the epoch alone.

    Args:
        model: What is trained; it decides device and format.
        lesson: What it is taught.
        batch_size: Samples in a step; the last step of an epoch takes what is left, which is left
            out where several processes could not share it evenly.
        seed: Seed of the order.
        practice: How a step is carried out.

    Raises:
        ValueError: The batch size cannot be shared evenly as the practice asks.
        TrialError: Activations are to be recomputed, and the model names no blocks for that.
    """

    def __init__(
        self, model: nn.Module, lesson: Lesson, batch_size: int, seed: int, practice: Practice
    ) -> None:
        if batch_size % (practice.accumulate * practice.ranks):
            told = f"accumulate {practice.accumulate} times {practice.ranks} ranks"
            raise ValueError(f"batch size {batch_size} is no multiple of {told}")
        if practice.ranks > 1 and batch_size > lesson.count:
            raise ValueError(
                f"batch size {batch_size} is above the {lesson.count} samples there are"
            )
        self._model, self._lesson, self._practice = model, lesson, practice
        self._batch_size, self._seed = batch_size, seed
        if practice.checkpointing:
            blocks = lesson.blocks(model)
            if not blocks:
                raise TrialError(
                    "the model names no blocks to recompute",
                    remedy="use adapter.checkpointing=false",
                )
            for block in blocks:
                _recompute(block)
        self._optimiser = lesson.optimiser(model)
        device = next(model.parameters()).device.type
        self._autocast = partial(_autocast, device, practice.autocast)
        self._scaler = torch.amp.GradScaler(device, enabled=practice.autocast == "fp16")

    @property
    def lesson(self) -> Lesson:
        """What the model is taught."""
        return self._lesson

    @property
    def optimiser(self) -> torch.optim.Optimizer:
        """What steps the parameters; several devices may put another in its place."""
        return self._optimiser

    @optimiser.setter
    def optimiser(self, other: torch.optim.Optimizer) -> None:
        """Puts another in its place."""
        self._optimiser = other

    def batches(self, epoch: int) -> Iterable[Sequence[Any]]:
        """All training samples once; a batch is its micro-batches, made when asked for."""
        for taken in self._drawn(epoch):
            yield [self._lesson.batch(part, self._model) for part in self._parts(taken)]

    def lengths(self, epoch: int) -> Iterable[Sequence[Lengths]]:
        """How long the samples of each micro-batch of `batches` are.

        Raises:
            TrialError: The workload's operator graph is of other sizes than a training step.
        """
        for taken in self._drawn(epoch):
            yield [self._lesson.lengths(part) for part in self._parts(taken)]

    def _drawn(self, epoch: int) -> Iterator[Sequence[int]]:
        """The samples of each batch of an epoch, over all processes that share it."""
        draw = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        order = torch.randperm(self._lesson.count, generator=draw).tolist()
        for start in range(0, len(order), self._batch_size):
            taken = order[start : start + self._batch_size]
            if self._practice.ranks == 1 or len(taken) == self._batch_size:
                yield taken

    def _parts(self, taken: Sequence[int]) -> Iterator[Sequence[int]]:
        """This process's samples of a batch, micro-batch by micro-batch, none of them empty."""
        own = taken[self._practice.rank :: self._practice.ranks]
        size = -(-len(own) // self._practice.accumulate)
        for start in range(0, len(own), size):
            yield own[start : start + size]

    def step(self, batch: Sequence[Any], mark: Mark) -> Step:
        """One step on the mean loss of all micro-batches."""
        self._model.train()
        self._optimiser.zero_grad()
        sizes = [_size(part) for part in batch]
        total = torch.zeros((), device=next(self._model.parameters()).device)
        for number, part in enumerate(batch):
            share = sizes[number] / sum(sizes)
            with self._gathered(last=number == len(batch) - 1):
                with self._autocast():
                    loss = self._lesson.loss(self._model, part) * share
                mark("forward")
                torch.autograd.backward(self._scaler.scale(loss))
                mark("backward")
            total += loss.detach()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        mark("optimizer")
        return Step(sum(sizes), total)

    def evaluate(self) -> Sequence[Quality]:
        """Quality on each held-out split, without gradients."""
        self._model.eval()
        with torch.no_grad():
            return self._lesson.evaluate(self._model)

    def save(self, path: Path) -> None:
        """Writes the weights as safetensors.

        Raises:
            ForeignError: The file cannot be written.
        """
        with foreign("saving the weights", where=path.name):
            save_tensors(_each_once(self._model.state_dict()), path)

    def facts(self) -> Mapping[str, Plain]:
        """What the lesson tells, how a step is carried out, and the bytes that training keeps.

        Bytes are those of this process: gradients and optimiser's state as they are now, none
        before the first step; activations those of one full micro-batch, found by running its
        forward pass once more. Where activations are computed again, `recomputed` tells the FLOPs
        of that, padding and all, in such a micro-batch.
        """
        practice = self._practice
        recomputed = "activations of each block" if practice.checkpointing else "none"
        return {
            **self._lesson.facts(),
            "gradient_accumulation": practice.accumulate,
            "autocast": practice.autocast,
            "loss_scaling": "dynamic" if self._scaler.is_enabled() else "none",
            "memory": {
                "optimizer_sharding": "none",
                "activation_checkpointing": recomputed,
                "offload": "none",
            },
            "bytes": {
                "weights": sum(own.nbytes for own in self._model.parameters()),
                "gradients": sum(
                    own.grad.nbytes for own in self._trained() if own.grad is not None
                ),
                "optimizer_state": sum(
                    kept.nbytes
                    for state in self._optimiser.state.values()
                    for kept in state.values()
                    if isinstance(kept, Tensor)
                ),
                "activations": self._activation_bytes,
            },
            "trained_parameters": sum(own.numel() for own in self._trained()),
            **({"recomputed": self._recomputed} if practice.checkpointing else {}),
        }

    @cached_property
    def _activation_bytes(self) -> int:
        return activation_bytes(self._bare, self._full_loss())

    @cached_property
    def _recomputed(self) -> Mapping[str, Plain]:
        blocks = self._lesson.blocks(self._model)
        flops = forward_flops(self._bare, blocks, self._full_loss())
        return {"flops": flops, "samples": self._full_size}

    @property
    def _bare(self) -> nn.Module:
        """The model without what averages its gradients."""
        bare: nn.Module = getattr(self._model, "module", self._model)
        return bare

    @property
    def _full_size(self) -> int:
        """Samples of a full micro-batch on this device."""
        shared_by = self._practice.ranks * self._practice.accumulate
        return min(self._batch_size // shared_by, self._lesson.count)

    def _full_loss(self) -> Callable[[], Tensor]:
        """The forward pass of one full micro-batch, to be run."""
        batch = self._lesson.batch(range(self._full_size), self._model)

        def loss() -> Tensor:
            with self._autocast():
                return self._lesson.loss(self._bare, batch)

        return loss

    def _trained(self) -> list[nn.Parameter]:
        return [own for own in self._model.parameters() if own.requires_grad]

    def _gathered(self, *, last: bool) -> AbstractContextManager[object]:
        """Where gradients are averaged over processes: with the last micro-batch alone."""
        no_sync = getattr(self._model, "no_sync", None)
        return nullcontext() if last or no_sync is None else no_sync()


def _autocast(device: str, kind: str) -> AbstractContextManager[object]:
    return nullcontext() if kind == "none" else torch.autocast(device, _AUTOCAST[kind])


def _recompute(block: nn.Module) -> None:
    """Has a block keep its inputs alone; it runs again when its gradients are wanted."""
    block.forward = partial(
        checkpoint,
        block.forward,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), _statistics_kept(block)),
    )


@contextmanager
def _statistics_kept(block: nn.Module) -> Iterator[None]:
    """Has batch normalisation take no note of a batch that it has seen already."""
    norms = [own for own in block.modules() if isinstance(own, _BatchNorm)]
    before = [(own, own.momentum, own.num_batches_tracked) for own in norms]
    for own in norms:
        own.momentum = 0.0
        own.num_batches_tracked = None
    try:
        yield
    finally:
        for own, momentum, seen in before:
            own.momentum, own.num_batches_tracked = momentum, seen


def _size(part: Any) -> int:
    """Samples of a micro-batch: the length of its first tensor."""
    found = part
    while not isinstance(found, Tensor):
        found = next(iter(found.values() if isinstance(found, Mapping) else found))
    return len(found)


def _each_once(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without those that lie where one before them does, as tied weights do."""
    seen: set[int] = set()
    kept = {}
    for name, tensor in state.items():
        if tensor.data_ptr() not in seen or not tensor.numel():
            kept[name] = tensor
        seen.add(tensor.data_ptr())
    return kept
