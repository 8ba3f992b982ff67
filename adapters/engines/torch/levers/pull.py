"""Pulls the levers on a built model, and tells what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from accelbench.adapters.engines.torch.levers.attention import taken_apart
from accelbench.adapters.engines.torch.levers.compilation import compiled
from accelbench.adapters.engines.torch.levers.options import Levers
from accelbench.adapters.engines.torch.levers.quantization import quantised
from accelbench.adapters.engines.torch.levers.sparsity import Sparse, pruned
from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain

_WEIGHT_FORMATS = {
    "int8_dynamic": "int8",
    "int8_weight_only": "int8",
    "int4_weight_only": "int4",
    "ternary": "ternary, as int8",
}


@dataclass(frozen=True)
class Pulled:
    """What the levers did to a model.

    Attributes:
        facts: What a record tells of them; replaces facts of the same name.
        sparse: What pruning did, or None.
    """

    facts: Mapping[str, Plain]
    sparse: Sparse | None = None

    def counters(self) -> Mapping[str, tuple[float, str]]:
        """Counters of the levers by name, each with its unit."""
        if self.sparse is None:
            return {}
        return {
            "sparsity.zero_weights": (self.sparse.zeros, "1"),
            "sparsity.skipped_weights": (self.sparse.skipped, "1"),
            "sparsity.metadata": (self.sparse.metadata_bytes, "byte"),
        }


def pull(model: nn.Module, levers: Levers) -> Pulled:
    """Pulls the levers on a model, in place.

    Args:
        model: The model, on its device and in its format.
        levers: Which; checked against device and format.

    Raises:
        TrialError: The model has nothing that a lever works on.
        ForeignError: A library refused.
    """
    facts: dict[str, Plain] = {}
    sparse = None
    if levers.attention == "eager":
        taken_apart(model)
        facts["attention"] = {"implementation": "eager"}
    if levers.channels_last:
        facts["layout"] = _channels_last(model)
    if levers.sparsity != "none":
        sparse = pruned(model, levers)
        facts["sparsity"] = _sparsity(sparse, levers)
    if levers.quantization != "none":
        told = quantised(model, levers.quantization)
        facts["quantization"] = told
        facts["precision_map"] = _formats(levers.quantization)
    if levers.compile != "none":
        compiled(model, levers.compile)
    if levers.cuda_graphs:
        facts["dispatch"] = "the host replays a recorded CUDA graph, one a shape"
    return Pulled(facts, sparse)


def stored_bytes(model: nn.Module) -> int:
    """Bytes in which the weights of a model lie, indices and scales among them, shared ones once.

    Buffers count where they stand for weights, as in layers that a lever put in.
    """
    own: dict[int, Tensor] = {id(kept): kept for kept in model.parameters()}
    for layer in model.modules():
        if type(layer).__module__.startswith("accelbench.adapters."):
            own |= {id(kept): kept for kept in layer.buffers(recurse=False)}
    return sum(_bytes(kept) for kept in own.values())


def over(found: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a model with those of the levers over them, mappings merged.

    Args:
        found: What was found in the model before.
        told: What the levers tell.
    """
    both = {**found, **told}
    for name in found.keys() & told.keys():
        if isinstance(found[name], Mapping) and isinstance(told[name], Mapping):
            both[name] = over(found[name], told[name])
    return both


def laid_out(inputs: Tensor, levers: Levers) -> Tensor:
    """Images channels last if the lever is pulled; all else as it is.

    Args:
        inputs: Any tensor.
        levers: Which.
    """
    if levers.channels_last and inputs.dim() == 4:  # noqa: PLR2004  (images: N, C, H, W)
        return inputs.contiguous(memory_format=torch.channels_last)
    return inputs


def _bytes(tensor: Tensor) -> int:
    if tensor.layout is torch.sparse_csr:
        parts = (tensor.crow_indices(), tensor.col_indices(), tensor.values())
        return sum(part.nbytes for part in parts)
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if type(tensor) in (Tensor, nn.Parameter) or flatten is None:
        return tensor.nbytes
    found = (getattr(tensor, name) for name in flatten()[0])
    return sum(_bytes(part) for part in found if isinstance(part, Tensor))


def _channels_last(model: nn.Module) -> str:
    if not any(own.dim() == 4 for own in model.parameters()):  # noqa: PLR2004  (a convolution)
        raise TrialError("channels_last is for convolutions, the model has none", remedy="leave it")
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # its stub lacks it
    return "channels last (NHWC)"


def _sparsity(sparse: Sparse, levers: Levers) -> Plain:
    """Nominal and skipped work, and what tells where the weights are."""
    skips = sparse.skipped > 0
    kernel = {
        "dense": "dense: multiplies by zeros, skips nothing",
        "csr": "CSR by dense product (torch.sparse), skips zeros of linear layers",
        "semi_structured": "2:4 sparse tensor cores, skips two of four",
    }[levers.sparse_kernel]
    told: dict[str, Plain] = {
        "pattern": levers.sparsity,
        "method": "magnitude, after training, without fine-tuning",
        "layers": sparse.layers,
        "zero_weights": sparse.zeros / sparse.weights,
        "nominal_share": sparse.zeros / sparse.weights,
        "skipped_share": sparse.skipped / sparse.weights,
        "metadata_bytes": sparse.metadata_bytes,
        "kernel": kernel,
    }
    if not skips:
        told["why_nothing_is_skipped"] = "the weights stay dense tensors with zeros in them"
    if levers.sparsity == "block":
        told["block"] = [levers.sparse_block, levers.sparse_block]
    return told


def _formats(kind: str) -> dict[str, Plain]:
    formats: dict[str, Plain] = {"weights": _WEIGHT_FORMATS[kind]}
    if kind == "int8_dynamic":
        formats["accumulators"] = "int32 of int8 products"
    return formats
