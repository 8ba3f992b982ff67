"""Floating-point operations of single operators, by the formulas of PyTorch's own counter.

But for one: for the gradient of a convolution's filters that counter (2.13) takes every filter to
meet all channels of the input, also where it has groups, so that it counts as many times too much as
there are groups. Here a filter meets the channels of its own group.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils.flop_counter import flop_registry

from accelbench.suites.workloads.lowering import grouped
from accelbench.suites.workloads.lowering.attention import BACKWARD

_aten = torch.ops.aten
_attention = flop_registry[_aten._scaled_dot_product_flash_attention]  # noqa: SLF001  (its key)


def flops_of(func: Any, args: Any, kwargs: Mapping[str, Any], result: Any) -> Any:
    """FLOPs of one call, two for a multiply-add; an integer, symbolic where shapes are.

    Args:
        func: The overload that was called.
        args: Its operands.
        kwargs: Likewise.
        result: What it returned.
    """
    packet = func._overloadpacket  # noqa: SLF001  (the registry's key)
    formula = _OWN.get(packet) or flop_registry.get(packet)
    return formula(*args, **kwargs, out_val=result) if formula else 0


def _attention_flops(query: Any, key: Any, value: Any, *_args: Any, **kwargs: Any) -> Any:
    return _attention(query, key, value, out_val=kwargs["out_val"])


def _attention_backward_flops(
    _grad: Any, out: Any, query: Any, key: Any, value: Any, *_args: Any, **_kwargs: Any
) -> Any:
    """Of the four products for the gradients of values, weights, queries and keys."""
    return 2 * _attention(query, key, value, out_val=out)


def _convolution_backward_flops(
    grad: Any, inputs: Any, filters: Any, *args: Any, **_kwargs: Any
) -> Any:
    """As much as the forward pass for each of the gradients of inputs and filters."""
    _bias, _stride, _padding, _dilation, transposed, _more, _groups, wanted = args
    gradients: Sequence[bool] = wanted[:2]
    places = (inputs if transposed else grad).shape
    return sum(gradients) * 2 * math.prod(places) * math.prod(filters.shape[1:])


_OWN: Mapping[Any, Callable[..., Any]] = {
    _aten.convolution_backward: _convolution_backward_flops,
    _aten.scaled_dot_product_attention: _attention_flops,
    BACKWARD: _attention_backward_flops,
    _aten._grouped_mm: grouped.flops,  # noqa: SLF001  (its name)
}
