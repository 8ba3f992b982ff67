"""Products of groups of rows with a matrix each, as a mixture of experts computes them.

How many rows a group gets is the data's to say. The sum over all groups is not: it is computed
here. PyTorch's own shape function of `aten._grouped_mm` knows bfloat16 alone.
"""

import math
from typing import Any

import torch
from torch import Tensor

OPERATOR = torch.ops.aten._grouped_mm.default  # noqa: SLF001  (its name)
_STACKED = 3


def result(left: Tensor, right: Tensor, ends: Tensor | None = None, *_args: Any) -> Tensor:
    """What the operator returns: only its shape is of use.

    Args:
        left: Rows of all groups, shape (rows, k), or a matrix for each group, (groups, m, k).
        right: A matrix for each group, shape (groups, k, n), or columns of all groups, (k, columns).
        ends: Where each group ends, shape (groups,).

    Returns:
        Shape (rows, n) or (m, columns); of rows and columns, whose groups lie along `k`, a matrix
        for each group, shape (groups, m, n).
    """
    shape = [left.shape[-2], right.shape[-1]]
    if left.dim() == right.dim():
        of = left if ends is None else ends
        shape = [of.shape[0], *shape]
    return left.new_empty(shape)


def flops(left: Tensor, right: Tensor, *_args: Any, **_kwargs: Any) -> Any:
    """FLOPs of all groups together, two for a multiply-add."""
    count = left.shape[0] if left.dim() == right.dim() == _STACKED else 1
    return 2 * count * left.shape[-2] * left.shape[-1] * right.shape[-1]


def never_met(left: Tensor, right: Tensor) -> Any:
    """Elements of the matrices that no row meets: where there are fewer rows than matrices."""
    if not left.dim() < right.dim() or left.shape[0] >= right.shape[0]:
        return 0
    return (right.shape[0] - left.shape[0]) * math.prod(right.shape[1:])
