"""Weights set to zero, and the kernel that skips them where there is one.

A dense kernel multiplies by zeros: the share of zeros is nominal, and nothing is skipped.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from accelbench.adapters.engines.torch.levers.options import Levers
from accelbench.adapters.engines.torch.levers.quantization import linear_layers
from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign

_KEPT, _OF = 2, 4


@dataclass(frozen=True)
class Sparse:
    """What pruning did.

    Attributes:
        layers: Layers that were pruned.
        weights: Their weights.
        zeros: Those of them that are 0.
        skipped: Those that the kernel does not multiply by.
        metadata_bytes: Bytes that tell where the others are.
    """

    layers: int
    weights: int
    zeros: int
    skipped: int
    metadata_bytes: int


class CsrLinear(nn.Module):
    """A linear layer whose product skips zeros, by PyTorch's sparse product (CSR by dense).

    Args:
        source: The layer, zeros set.
    """

    weight: Tensor

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("weight", compressed(source.weight.detach()))
        self.bias = source.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """The product, shape (..., output features)."""
        flat = inputs.reshape(-1, inputs.shape[-1])
        product: Tensor = torch.sparse.mm(self.weight, flat.t())
        found = product.t().reshape(*inputs.shape[:-1], self.weight.shape[0])
        return found if self.bias is None else found + self.bias


def compressed(weight: Tensor) -> Tensor:
    """A matrix in CSR, with indices in 32 bits, which the kernels take as they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        found = weight.to_sparse_csr()
        return torch.sparse_csr_tensor(
            found.crow_indices().to(torch.int32),
            found.col_indices().to(torch.int32),
            found.values(),
            found.shape,
            check_invariants=True,
        )


def pruned(model: nn.Module, levers: Levers) -> Sparse:
    """Sets weights of linear layers and convolutions to 0, in place, by magnitude.

    Args:
        model: The model, on its device and in its format.
        levers: Its sparsity is not "none".

    Raises:
        TrialError: No layer can be pruned so.
        ForeignError: PyTorch refused.
    """
    mask = _masks(levers)
    linear = linear_layers(model)
    layers: dict[str, nn.Module] = {**linear, **_convolutions(model)}
    weights = zeros = skipped = metadata = count = 0
    for name, layer in layers.items():
        weight = layer.get_parameter("weight")
        rows = weight.detach().flatten(1)
        kept = mask(rows.float().abs())
        if kept is None:
            continue
        with torch.no_grad():
            weight.mul_(kept.view_as(weight))
        count, weights = count + 1, weights + weight.numel()
        zero = weight.numel() - int(weight.count_nonzero())
        zeros += zero
        if levers.sparse_kernel != "dense" and name in linear:
            told = _compress(model, name, linear[name], levers.sparse_kernel)
            skipped, metadata = skipped + zero, metadata + told
    if not count or (levers.sparse_kernel != "dense" and not skipped):
        raise TrialError(f"no layer can be pruned as {levers.sparsity}", remedy="use another lever")
    return Sparse(count, weights, zeros, skipped, metadata)


def _compress(model: nn.Module, name: str, layer: nn.Linear, kernel: str) -> int:
    """Gives a layer to the kernel that skips; returns the bytes of its indices."""
    with foreign("compressing sparse weights", where=name):
        if kernel == "semi_structured":
            from torch.sparse import to_sparse_semi_structured  # noqa: PLC0415  (GPU)

            sparse = to_sparse_semi_structured(layer.weight.detach())
            layer.weight = nn.Parameter(sparse, requires_grad=False)
            return layer.in_features * layer.out_features // 8  # 2 bits for each of 2 in 4
        skipping = CsrLinear(layer)
        model.set_submodule(name, skipping)
        return skipping.weight.crow_indices().nbytes + skipping.weight.col_indices().nbytes


def _convolutions(model: nn.Module) -> dict[str, nn.Module]:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}


def _masks(levers: Levers) -> Callable[[Tensor], Tensor | None]:
    """Which weights of a matrix are kept, by magnitude; None where the pattern does not fit."""
    kinds: Mapping[str, Callable[[Tensor], Tensor | None]] = {
        "unstructured": lambda size: _largest(size, levers.sparse_share),
        "block": lambda size: _blocks(size, levers.sparse_block, levers.sparse_share),
        "2_of_4": _two_of_four,
    }
    return kinds[levers.sparsity]


def _largest(size: Tensor, share: float) -> Tensor:
    """All but the smallest, so many that their share is as near as it can be."""
    flat = size.flatten()
    kept = torch.ones_like(flat, dtype=torch.bool)
    kept[flat.argsort(stable=True)[: round(share * flat.numel())]] = False
    return kept.view_as(size)


def _blocks(size: Tensor, side: int, share: float) -> Tensor | None:
    rows, columns = size.shape
    if rows % side or columns % side:
        return None
    sums = size.reshape(rows // side, side, columns // side, side).sum(dim=(1, 3))
    kept = _largest(sums, share)
    return kept.repeat_interleave(side, 0).repeat_interleave(side, 1)


def _two_of_four(size: Tensor) -> Tensor | None:
    if size.shape[1] % _OF:
        return None
    grouped = size.reshape(-1, _OF)
    largest = grouped.topk(_KEPT, dim=1).indices
    kept = torch.zeros_like(grouped, dtype=torch.bool)
    return kept.scatter_(1, largest, value=True).view_as(size)
