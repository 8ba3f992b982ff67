"""The operators that a piece of PyTorch code runs, each with what it computes and moves.

The code runs once on tensors without data, under a mode that sees every ATen operator. What is
counted:

- FLOPs are those of the model: what torch's own counter knows (matrix products, convolutions,
  attention; two for a multiply-add), each without padding, recomputation or causal saving.
  Any other operator counts 0 FLOPs, but its bytes count.
- Every operand is read and every result written once an occurrence: the compulsory traffic
  of operators that do not keep anything on chip for one another. A look-up reads the rows it
  takes, an expanded operand is read once, and what is overwritten is not read.
- Views move nothing and are left out; so are allocations, and what the host counts for itself.
  A slice of everything is a view in the backward pass too: PyTorch takes it for none where sizes
  are numbers, and not where they are symbols.
- Attention and max-pooling stay whole, as kernels do them, where torch would take them apart.
  Under autograd attention is two operators: the backward one reads the result, its gradient and
  the operands, and counts the four products that give the gradients. A kernel that computes
  the scores once more, as flash attention does, does a fifth; that is recomputation.
- Where the data decide what is computed, as in a mixture of experts, rows are taken to spread
  evenly: each of `n` groups gets its share, and of fewer than `n` rows each meets a matrix of its
  own. Matrices that no row meets are not read.
"""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from accelbench.harness.schema.symbolic import SymbolicOperator
from accelbench.suites.workloads.lowering import grouped
from accelbench.suites.workloads.lowering.flops import flops_of
from accelbench.suites.workloads.lowering.sizes import Sizes

_aten = torch.ops.aten
_WHOLE = {_aten.scaled_dot_product_attention.default, _aten.max_pool2d.default}
_NO_DATA = ("aten.empty", "aten.new_empty", "aten.lift_fresh")
_OVERWRITES = ("aten.copy_", "aten.fill_", "aten.zero_")
_LOOKS_UP = ("aten.embedding", "aten.index", "aten.index_select", "aten.gather")


@dataclass
class Notes:
    """The operators seen, in order of first occurrence.

    Operators of the same kind and shapes are one, so a chain of equal layers shows as edges that
    lead back to earlier ones.

    Attributes:
        counts: How often each occurred; its own count is 1.
        edges: (producer, consumer) pairs.
    """

    counts: dict[SymbolicOperator, int] = field(default_factory=dict)
    edges: set[tuple[SymbolicOperator, SymbolicOperator]] = field(default_factory=set)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """Takes note of each operator that moves data on the `meta` device.

    Args:
        sizes: Of the recording; they turn shapes into polynomials.
        parameters: Of the model.

    Attributes:
        notes: What was seen.
    """

    def __init__(self, sizes: Sizes, parameters: Iterable[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.notes = Notes()
        self._sizes = sizes
        self._weights = {_place(own) for own in parameters}
        self._producer: dict[int, tuple[torch.UntypedStorage, SymbolicOperator]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is _aten.detach_.default:  # what `torch.tensor` calls on tensors that are not fake
            return args[0]
        if func is _aten.slice_backward.default and self._alike(args[0].shape, args[1]):
            return args[0]
        if func not in _WHOLE and func.namespace == "aten":
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        shaped = grouped.result if func is grouped.OPERATOR else func
        result = shaped(*args, **kwargs)
        operands, results = _tensors((args, kwargs)), _tensors(result)
        written = _tensors(_written(func, args))
        if results and not _moves_nothing(func, operands, results, written):
            self._note(self._operator(func, args, kwargs, result), operands, [*results, *written])
        return result

    def _alike(self, one: Iterable[Any], other: Iterable[Any]) -> bool:
        polynomial = self._sizes.polynomial
        return [polynomial(size) for size in one] == [polynomial(size) for size in other]

    def _note(
        self,
        op: SymbolicOperator,
        operands: Iterable[torch.Tensor],
        results: Iterable[torch.Tensor],
    ) -> None:
        self.notes.counts[op] = self.notes.counts.get(op, 0) + 1
        producers = (self._producer.get(_place(tensor)) for tensor in operands)
        self.notes.edges |= {(producer[1], op) for producer in producers if producer}
        for tensor in results:
            # The storage is kept, so that its address stays its own.
            self._producer[_place(tensor)] = (tensor.untyped_storage(), op)

    def _operator(self, func: Any, args: Any, kwargs: Any, result: Any) -> SymbolicOperator:
        name = str(func._overloadpacket)  # noqa: SLF001  (what torch's own counter keys on)
        operands, results = _tensors((args, kwargs)), _tensors(result)
        taken = results if name in _LOOKS_UP else operands[:1]
        read = [] if name in _OVERWRITES else taken
        elements = _elements(read) + _elements(operands[1:])
        if func is grouped.OPERATOR:
            elements -= grouped.never_met(*operands[:2])
        polynomial = self._sizes.polynomial
        return SymbolicOperator(
            name=name,
            count=1,
            inputs=tuple(tuple(map(polynomial, t.shape)) for t in operands),
            outputs=tuple(tuple(map(polynomial, t.shape)) for t in results),
            dtype=str(results[0].dtype).removeprefix("torch."),
            flops=polynomial(flops_of(func, args, kwargs, result)),
            elements_read=polynomial(elements),
            elements_written=polynomial(_elements(results)),
            weights=tuple(
                place for place, own in enumerate(operands) if _place(own) in self._weights
            ),
        )


def _moves_nothing(
    func: Any,
    operands: Sequence[torch.Tensor],
    results: Sequence[torch.Tensor],
    written: Sequence[torch.Tensor],
) -> bool:
    if str(func).startswith(_NO_DATA) or all(t.device.type != "meta" for t in results):
        return True
    places = {_place(t) for t in operands}
    return not written and all(_place(t) in places for t in results)


def _written(func: Any, args: Any) -> list[Any]:
    """Positional arguments that the operator's schema says it writes to."""
    formal = func._schema.arguments  # noqa: SLF001  (the only public place of alias facts)
    return [
        value
        for argument, value in zip(formal, args, strict=False)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _elements(tensors: Collection[torch.Tensor]) -> Any:
    """Elements in memory: one that an expanded tensor repeats counts once."""
    return sum(
        math.prod(size for size, stride in zip(t.shape, t.stride(), strict=True) if stride != 0)
        for t in tensors
    )


def _place(tensor: torch.Tensor) -> int:
    place: int = tensor.untyped_storage()._cdata  # noqa: SLF001  (meta storages have no data_ptr)
    return place
