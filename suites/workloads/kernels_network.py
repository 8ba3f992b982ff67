"""The operators of `kernels` in PyTorch, each a module that holds its second operand."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_SCALE = 3.0  # as in STREAM


class _Operator(nn.Module):
    """Gives its result where it gave the one before: nothing is allocated in a call."""

    def __init__(self) -> None:
        super().__init__()
        self._place: Tensor | None = None

    def _result(self, like: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Where a result of this shape goes."""
        if self._place is None or self._place.shape != shape:
            self._place = torch.empty(shape, dtype=dtype or like.dtype, device=like.device)
        return self._place


class Gemm(_Operator):
    """A product of matrices: (batch, m, k) by (k, n)."""

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        self.second = nn.Parameter(torch.empty(k, n).uniform_(-1, 1))

    def forward(self, first: Tensor) -> Tensor:
        """The product, shape (batch, m, n)."""
        rows, result = first.flatten(0, 1), self.second.shape[1]
        found = self._result(rows, len(rows), result)
        torch.mm(rows, self.second, out=found)
        return found.view(*first.shape[:2], result)


class GemmInt8(_Operator):
    """A product of int8 matrices, summed in int32: (batch, m, k) by (k, n)."""

    second: Tensor

    def __init__(self, n: int, k: int) -> None:
        super().__init__()
        self.register_buffer("second", torch.randint(-127, 128, (k, n), dtype=torch.int8))

    def forward(self, first: Tensor) -> Tensor:
        """The product, int32, shape (batch, m, n)."""
        rows, result = first.flatten(0, 1), self.second.shape[1]
        found = self._result(rows, len(rows), result, dtype=torch.int32)
        torch._int_mm(rows, self.second, out=found)  # noqa: SLF001  (its one name)
        return found.view(*first.shape[:2], result)


class Copy(_Operator):
    """a = b, each of shape (batch, elements)."""

    def forward(self, first: Tensor) -> Tensor:
        """The copy."""
        return self._result(first, *first.shape).copy_(first)


class Triad(_Operator):
    """a = b + s c, as STREAM has it; b has shape (batch, elements), c (elements,)."""

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.second = nn.Parameter(torch.empty(elements).uniform_(-1, 1))

    def forward(self, first: Tensor) -> Tensor:
        """The sum, shape (batch, elements)."""
        found = self._result(first, *first.shape)
        torch.add(first, self.second, alpha=_SCALE, out=found)
        return found


class Attention(nn.Module):
    """Attention of a sequence to itself by PyTorch's fused operator, no mask."""

    def forward(self, first: Tensor) -> Tensor:
        """Queries, keys and values (batch, 3, heads, tokens, head_dim); gives one of them."""
        query, key, value = first.unbind(1)
        return functional.scaled_dot_product_attention(query, key, value)


class Launch(nn.Module):
    """A chain of additions to one number for each sample; what they take is not arithmetic.

    Args:
        launches: How many.
    """

    def __init__(self, launches: int) -> None:
        super().__init__()
        self._launches = launches

    def forward(self, first: Tensor) -> Tensor:
        """The number after all additions, shape (batch, 1); the input is added to."""
        for _ in range(self._launches):
            first.add_(1)
        return first


def operator(name: str, shape: tuple[int, ...], seed: int) -> nn.Module:
    """An operator with its second operand, which depends on shape and seed alone.

    Args:
        name: As `Kernels.operator`.
        shape: As `Kernels.shape`.
        seed: Of the operand.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match name, shape:
            case "gemm", (_, n, k):
                made: nn.Module = Gemm(n, k)
            case "gemm_int8", (_, n, k):
                made = GemmInt8(n, k)
            case "copy", _:
                made = Copy()
            case "triad", (elements,):
                made = Triad(elements)
            case "attention", _:
                made = Attention()
            case "convolution", (channels_in, channels_out, _, kernel):
                made = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
            case "launch", (launches,):
                made = Launch(launches)
    return made
