"""Attention as one operator under autograd, forward and backward, as fused kernels do it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class WholeAttention(TorchFunctionMode):
    """Keeps autograd from taking `scaled_dot_product_attention` apart."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.scaled_dot_product_attention and torch.is_grad_enabled():
            return _whole(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _whole(  # noqa: PLR0917  (as PyTorch has them)
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,  # noqa: ARG001  (adds neither products nor operands)
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    options = {"is_causal": is_causal, "scale": scale, "enable_gqa": enable_gqa}
    return _Attention.apply(query, key, value, attn_mask, options)  # type: ignore[no-untyped-call]  # PyTorch's own


class _Attention(torch.autograd.Function):
    """Both passes of attention, each one operator."""

    @staticmethod
    def forward(ctx: Any, *operands: Any) -> Any:
        """The operator itself, below the layer that would take it apart."""
        query, key, value, mask, options = operands
        with torch._C._AutoDispatchBelowAutograd():  # noqa: SLF001  (there is no public way)
            out = functional.scaled_dot_product_attention(query, key, value, mask, **options)
        ctx.save_for_backward(out, query, key, value, mask)
        ctx.learns_mask = mask is not None and mask.requires_grad
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Gradients of queries, keys, values and, where it is learned, of the mask."""
        (grad,) = grads
        found = attention_backward(grad, *ctx.saved_tensors, ctx.learns_mask)
        of_mask = found[3] if ctx.learns_mask else None
        return (*found[:3], of_mask, None)


@torch.library.custom_op("accelbench::attention_backward", mutates_args=())
def attention_backward(  # noqa: PLR0917  (an operator's operands)
    grad: Tensor,
    out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    learns_mask: bool,
) -> list[Tensor]:
    """Stands for the backward kernel of attention; there are only shapes to compute."""
    raise NotImplementedError


@attention_backward.register_fake
def _(  # noqa: PLR0917  (likewise)
    grad: Tensor,  # noqa: ARG001  (shapes follow from the others)
    out: Tensor,  # noqa: ARG001  (likewise)
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    learns_mask: bool,
) -> list[Tensor]:
    found = [torch.empty_like(own) for own in (query, key, value)]
    if learns_mask and mask is not None:
        found.append(torch.empty_like(mask))
    return found


BACKWARD = torch.ops.accelbench.attention_backward
"""The operator as the dispatcher knows it."""
