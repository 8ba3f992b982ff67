"""What one more forward pass shows of training: the activations it keeps, its blocks' FLOPs."""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def activation_bytes(model: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Bytes that one forward pass keeps for its backward pass.

    Counted are the storages of all tensors that autograd saves, each once and whole, as a view
    keeps all of it alive. Parameters and buffers are not: they lie there anyway. The inputs are,
    where a layer keeps them. What a kernel needs for the moment of its work is not seen.

    The model is left as it was: its mode, its buffers, and the state of the random generators.

    Args:
        model: What is trained.
        loss: Runs its forward pass to the loss, once.
    """
    own = {
        storage.data_ptr()
        for tensor in (*model.parameters(), *model.buffers())
        for storage in _storages(tensor)
    }
    seen: dict[int, int] = {}

    def kept(tensor: Tensor) -> Tensor:
        for storage in _storages(tensor):
            if storage.data_ptr() not in own:
                seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with _left_alone(model), torch.enable_grad(), saved_tensors_hooks(kept, lambda saved: saved):
        alive = loss()  # until all are counted: an address that is given up could come again
    del alive
    return sum(seen.values())


def forward_flops(
    model: nn.Module, blocks: Collection[nn.Module], loss: Callable[[], Tensor]
) -> int:
    """FLOPs of some parts of a model in one forward pass, by PyTorch's own counter.

    Attention is computed by products, which the counter knows on every device; nothing is saved
    for its causal half. The model is left as it was.

    Args:
        model: What is trained.
        blocks: Parts of it, none within another.
        loss: Runs its forward pass to the loss, once.
    """
    counter = FlopCounterMode(display=False)
    with _left_alone(model), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        loss()
    root, chosen = type(model).__name__, {id(block) for block in blocks}
    names = [f"{root}.{name}" for name, part in model.named_modules() if id(part) in chosen]
    counts = counter.get_flop_counts()
    return sum(sum(counts[name].values()) for name in names if name in counts)


@contextmanager
def _left_alone(model: nn.Module) -> Iterator[None]:
    """In training mode for a while; afterwards all is as it was before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {own.device for own in model.parameters() if own.device.type != "cpu"}
    kind = next((device.type for device in devices), "cuda")
    with torch.random.fork_rng(devices=list(devices), device_type=kind):
        try:
            model.train()
            yield
        finally:
            for module, mode in modes:
                module.training = mode
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _storages(tensor: Tensor) -> Iterable[torch.UntypedStorage]:
    """What a tensor lies in; a sparse one in its indices and its values."""
    if tensor.layout is torch.sparse_coo:
        parts = [tensor._indices(), tensor._values()]  # noqa: SLF001  (of one not coalesced, too)
    elif tensor.layout is torch.sparse_csr:
        parts = [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    else:
        parts = [tensor]
    return [part.untyped_storage() for part in parts]
