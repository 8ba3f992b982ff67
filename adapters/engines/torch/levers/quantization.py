"""Weights of linear layers in fewer bits: int8 by torchao, int4 and ternary by own layers.

Formulas: int8 symmetric, a scale for each output channel (torchao's default); int4 asymmetric,
16 levels between the least and the largest weight of a group; ternary by the mean of magnitudes
(BitNet b1.58, arXiv:2402.17764): scale = mean |w| of the layer, w' = round(w / scale) held to
-1, 0 and 1. All are made after training, from the weights alone: no calibration data.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.quiet import quiet_torchao
from accelbench.harness.schema.plain import Plain

GROUPS = (128, 64, 32)
"""Weights that share a scale in int4, the first that divides a row."""

_LEVELS = 15
_ROWS = 16  # the int4 kernel of the CPU takes rows by sixteen


class TernaryLinear(nn.Module):
    """A linear layer with weights from -1, 0 and 1 and one scale.

    The weights lie as int8. The product is dense, in the format of the input: PyTorch has no
    kernel that adds without multiplying.

    Args:
        source: The layer whose weights are rounded.
    """

    weight: Tensor
    scale: Tensor

    def __init__(self, source: nn.Linear) -> None:
        super().__init__()
        weight = source.weight.detach()
        scale = weight.float().abs().mean().clamp(min=torch.finfo(torch.float32).tiny)
        signs = (weight.float() / scale).round().clamp(-1, 1).to(torch.int8)
        self.register_buffer("weight", signs)
        self.register_buffer("scale", scale.to(weight.dtype))
        self.bias = source.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """The products times the scale, and the bias."""
        found = functional.linear(inputs, self.weight.to(inputs.dtype)) * self.scale
        return found if self.bias is None else found + self.bias


class Int4Linear(nn.Module):
    """A linear layer with weights in 4 bits, by PyTorch's own kernel for the CPU.

    Args:
        source: The layer, in bfloat16; its input features are divisible by a group and its output
            features by 16.
        group: Weights of a row that share a scale and a zero.
    """

    packed: Tensor
    scales: Tensor

    def __init__(self, source: nn.Linear, group: int) -> None:
        super().__init__()
        rows, columns = source.weight.shape
        grouped = source.weight.detach().float().reshape(rows, columns // group, group)
        low, high = grouped.amin(-1, keepdim=True), grouped.amax(-1, keepdim=True)
        scale = ((high - low) / _LEVELS).clamp(min=torch.finfo(torch.bfloat16).tiny)
        level = ((grouped - low) / scale).round().clamp(0, _LEVELS).to(torch.int32)
        zero = low + scale * (_LEVELS + 1) / 2
        both = torch.stack((scale.squeeze(-1).t(), zero.squeeze(-1).t()), dim=-1)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(  # noqa: SLF001  (its one name)
            level.reshape(rows, columns), 1
        )
        self.register_buffer("packed", packed)
        self.register_buffer("scales", both.contiguous().to(source.weight.dtype))
        self.bias = source.bias
        self._group, self._rows = group, rows

    def forward(self, inputs: Tensor) -> Tensor:
        """Products in the format of the input with weights that are widened on the way."""
        flat = inputs.reshape(-1, inputs.shape[-1]).contiguous()
        found = torch.ops.aten._weight_int4pack_mm_for_cpu(  # noqa: SLF001  (its one name)
            flat, self.packed, self._group, self.scales
        )
        found = cast("Tensor", found).reshape(*inputs.shape[:-1], self._rows)
        return found if self.bias is None else found + self.bias


def quantised(model: nn.Module, kind: str) -> Mapping[str, Plain]:
    """Quantises the linear layers of a model in place; returns the facts.

    Args:
        model: The model, on its device and in its format.
        kind: As `Levers.quantization`, not "none".

    Raises:
        TrialError: No layer can be quantised so.
        ForeignError: torchao refused.
    """
    layers = linear_layers(model)
    if kind == "int4_weight_only":
        taken = {name: group for name, layer in layers.items() if (group := _group(layer))}
        made: Callable[[str, nn.Linear], nn.Module]
        made = lambda name, layer: Int4Linear(layer, taken[name])  # noqa: E731
        if taken and next(iter(layers.values())).weight.device.type == "cuda":
            _by_torchao(model, kind, taken)
        else:
            _replace(model, {name: layers[name] for name in taken}, made)
    elif kind == "ternary":
        taken = dict.fromkeys(layers, 0)
        _replace(model, layers, lambda _, layer: TernaryLinear(layer))
    else:
        taken = dict.fromkeys(layers, 0)
        if taken:
            _by_torchao(model, kind, taken)
    if not taken:
        raise TrialError(f"no linear layer can be quantised as {kind}", remedy="use another lever")
    return _told(kind, sorted(taken), sorted(layers.keys() - taken.keys()), set(taken.values()))


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """The linear layers by name, without those whose weights another layer shares."""
    owners: dict[int, int] = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            owners[id(parameter)] = owners.get(id(parameter), 0) + 1
    return {
        name: layer
        for name, layer in model.named_modules()
        if type(layer) is nn.Linear and owners[id(layer.weight)] == 1
    }


def _group(layer: nn.Linear) -> int:
    """Weights that share a scale; 0 where the kernel does not take the layer."""
    if layer.out_features % _ROWS:
        return 0
    return next((group for group in GROUPS if layer.in_features % group == 0), 0)


def _replace(
    model: nn.Module,
    layers: Mapping[str, nn.Linear],
    made: Callable[[str, nn.Linear], nn.Module],
) -> None:
    for name, layer in layers.items():
        model.set_submodule(name, made(name, layer))


def _by_torchao(model: nn.Module, kind: str, taken: Mapping[str, int]) -> None:
    quiet_torchao()
    with foreign("quantising with torchao", where=kind):
        from torchao import quantization as torchao  # noqa: PLC0415  (only for these levers)

        config = {
            "int8_dynamic": torchao.Int8DynamicActivationInt8WeightConfig,
            "int8_weight_only": torchao.Int8WeightOnlyConfig,
            "int4_weight_only": lambda: torchao.Int4WeightOnlyConfig(
                group_size=min(taken.values()), int4_packing_format="tile_packed_to_4d"
            ),
        }[kind]()
        torchao.quantize_(model, config, filter_fn=lambda _, name: name in taken)


def _told(kind: str, taken: list[str], left: list[str], groups: set[int]) -> Mapping[str, Plain]:
    """What is known of a method of quantisation."""
    about: dict[str, dict[str, Plain]] = {
        "int8_dynamic": {
            "granularity": "a scale for each output channel, and for each row of activations",
            "kernel": "int8 products, summed in int32",
            "conversions": "activations to int8 and sums back, in every call",
            "bits": 8.0,
        },
        "int8_weight_only": {
            "granularity": "a scale for each output channel",
            "kernel": "weights are widened, products in the session's format",
            "conversions": "weights to the session's format, in every call",
            "bits": 8.0,
        },
        "int4_weight_only": {
            "granularity": f"scale and zero for {' or '.join(map(str, sorted(groups)))} weights",
            "kernel": "weights are widened on the way, products in bfloat16",
            "conversions": "weights to bfloat16, inside the kernel",
            "bits": 4.0,
        },
        "ternary": {
            "granularity": "one scale a layer, the mean of magnitudes",
            "kernel": "dense products in the session's format: zeros are not skipped",
            "conversions": "weights from int8 to the session's format, in every call",
            "bits": 8.0,
            "information_bits": 1.585,
        },
    }
    return {
        "method": kind,
        **about[kind],
        "scheme": "asymmetric" if kind == "int4_weight_only" else "symmetric",
        "calibration": "none: from the weights alone, after training",
        "layers": len(taken),
        "left_out": list(left),
        "traffic": "counted at the session's format, as if the weights were not quantised",
    }
