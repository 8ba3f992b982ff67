"""Models and optimisers as data-parallel ranks hold them: whole, or a share of each."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel


class DataParallel(DistributedDataParallel):
    """A whole copy on each rank, whose gradients are averaged in the backward pass.

    Without gradients it is the copy itself, so that a rank can be asked alone; its weights have
    the names that they have in the model.
    """

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """What the model answers."""
        shared: Any = super().forward  # torch leaves it untyped
        return (shared if torch.is_grad_enabled() else self.module)(*inputs, **named)

    def state_dict(self, *given: Any, **named: Any) -> Any:
        """That of the model."""
        return self.module.state_dict(*given, **named)


def sharded(model: nn.Module, blocks: Sequence[nn.Module], *, weights: bool) -> nn.Module:
    """The same model, of whose weights, gradients and optimiser's state each rank holds a share.

    Args:
        model: The model; it is changed in place.
        blocks: Its parts that are gathered one after another; what is in none of them is gathered
            with the whole.
        weights: Whether the weights of a part are given up again after its forward pass (ZeRO
            stage 3), or kept until its backward pass is done (stage 2).
    """
    for part in (*blocks, model):
        fully_shard(part, reshard_after_forward=weights)
    whole: Any = model
    whole.no_sync = partial(_no_sync, whole, weights=weights)
    whole.state_dict = partial(_whole_state, model.state_dict)
    return model


@contextmanager
def _no_sync(model: FSDPModule, *, weights: bool) -> Iterator[None]:
    """Gradients stay where they are, as those of micro-batches but the last; whole weights too."""
    _sync(model, gradients=False, weights=weights)
    try:
        yield
    finally:
        _sync(model, gradients=True, weights=True)


def _sync(model: FSDPModule, *, gradients: bool, weights: bool) -> None:
    """Whether the next backward passes share out gradients, and give up whole weights."""
    model.set_requires_gradient_sync(gradients)
    model.set_reshard_after_backward(weights)


def _whole_state(state_dict: Any) -> dict[str, Tensor]:
    """The weights gathered from all ranks, which all have to ask for them."""
    return {
        name: own.full_tensor() if isinstance(own, DTensor) else own
        for name, own in state_dict().items()
    }


def shared_out(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """An optimiser of the same kind whose state lies in shares on the ranks (ZeRO stage 1).

    Each rank steps its share of the parameters and sends them to the others.

    Args:
        optimiser: One that has not stepped yet.
    """
    kind = type(optimiser)
    taken = inspect.signature(kind).parameters
    usual = {name: value for name, value in optimiser.defaults.items() if name in taken}
    groups: Any = [dict(group) for group in optimiser.param_groups]
    return ZeroRedundancyOptimizer(groups, optimizer_class=kind, **usual)


def held_bytes(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, int]:
    """What this rank holds of weights, gradients and optimiser's state, bytes.

    Args:
        model: The model, or this rank's stage of it.
        optimiser: Steps it.
    """
    own: Any = getattr(optimiser, "optim", optimiser)
    parameters = list(model.parameters())
    kept = [one for state in own.state.values() for one in state.values()]
    return {
        "weights": sum(_held(one) for one in parameters),
        "gradients": sum(_held(one.grad) for one in parameters if one.grad is not None),
        "optimizer_state": sum(_held(one) for one in kept if isinstance(one, Tensor)),
    }


def _held(tensor: Tensor) -> int:
    return tensor.to_local().nbytes if isinstance(tensor, DTensor) else tensor.nbytes
