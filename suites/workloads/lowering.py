"""From a PyTorch model on the `meta` device to its operator graph; no weights are needed.

The model's own code runs once, under a mode that sees every ATen operator. What is counted:

- FLOPs are those of the model: what torch's own counter knows (matrix products, convolutions,
  attention; two for a multiply-add), each without padding, recomputation or causal saving.
  Any other operator counts 0 FLOPs, but its bytes count.
- Every operand is read and every result written once an occurrence: the compulsory traffic
  of operators that do not keep anything on chip for one another. A look-up reads the rows it
  takes, an expanded operand is read once, and what is overwritten is not read.
- Views move nothing and are left out; so are allocations.
- Attention and max-pooling stay whole, as kernels do them, where torch would take them apart.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from accelbench.harness.schema.opgraph import Operator, OpGraph

_aten = torch.ops.aten
_WHOLE = {_aten.scaled_dot_product_attention.default, _aten.max_pool2d.default}
_NO_DATA = ("aten.empty", "aten.new_empty", "aten.detach_")
_OVERWRITES = ("aten.copy_", "aten.fill_", "aten.zero_")
_LOOKS_UP = ("aten.embedding", "aten.index", "aten.index_select", "aten.gather")


def graph_of(
    model: torch.nn.Module,
    run: Callable[[], object],
    *,
    workload: str,
    phase: str,
    batch: int,
    tokens: int = 1,
    context: int = 0,
) -> OpGraph:
    """The operator graph of one call.

    Operators of the same kind and shapes are one node, so a chain of equal layers shows as
    edges that lead back to earlier nodes.

    Args:
        model: The model, on the `meta` device; its parameters are counted.
        run: Calls the model once.
        workload: Name of the workload.
        phase: "forward", "prefill" or "decode".
        batch: Samples or sequences in the batch.
        tokens: New tokens a sequence.
        context: Tokens already in the cache.
    """
    seen = _Seen()
    with torch.inference_mode(), seen:
        run()
    return OpGraph(
        workload=workload,
        phase=phase,
        batch=batch,
        tokens=tokens,
        context=context,
        operators=tuple(replace(op, count=n) for op, n in seen.counts.items()),
        edges=tuple(sorted(seen.edges)),
        parameters=sum(p.numel() for p in model.parameters()),
    )


class _Seen(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's base is untyped
    """Takes note of each operator that moves data, in order of first occurrence."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # likewise
        self.counts: dict[Operator, int] = {}
        self.edges: set[tuple[int, int]] = set()
        self._index: dict[Operator, int] = {}
        self._producer: dict[int, tuple[torch.UntypedStorage, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in _WHOLE:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        operands, results = _tensors((args, kwargs)), _tensors(result)
        written = _tensors(_written(func, args))
        if results and not _moves_nothing(func, operands, results, written):
            node = _operator(func, args, kwargs, result)
            self._note(node, operands, [*results, *written])
        return result

    def _note(
        self, op: Operator, operands: Iterable[torch.Tensor], results: Iterable[torch.Tensor]
    ) -> None:
        index = self._index.setdefault(op, len(self._index))
        self.counts[op] = self.counts.get(op, 0) + 1
        producers = (self._producer.get(_place(tensor)) for tensor in operands)
        self.edges |= {(producer[1], index) for producer in producers if producer}
        for tensor in results:
            # The storage is kept, so that its address stays its own.
            self._producer[_place(tensor)] = (tensor.untyped_storage(), index)


def _operator(func: Any, args: Any, kwargs: Any, result: Any) -> Operator:
    name = str(func._overloadpacket)  # noqa: SLF001  (what torch's own counter keys on)
    operands, results = _tensors((args, kwargs)), _tensors(result)
    taken = results if name in _LOOKS_UP else operands[:1]
    read = [] if name in _OVERWRITES else taken
    return Operator(
        name=name,
        count=1,
        inputs=tuple(tuple(t.shape) for t in operands),
        outputs=tuple(tuple(t.shape) for t in results),
        dtype=str(results[0].dtype).removeprefix("torch."),
        flops=_flops(func, args, kwargs, result),
        elements_read=_elements(read) + _elements(operands[1:]),
        elements_written=_elements(results),
    )


def _flops(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    if func is _aten.scaled_dot_product_attention.default:
        formula = flop_registry[_aten._scaled_dot_product_flash_attention]  # noqa: SLF001  (same)
        return int(formula(*args[:3], out_val=result))
    formula = flop_registry.get(func._overloadpacket)  # noqa: SLF001  (the registry's key)
    return int(formula(*args, **kwargs, out_val=result)) if formula else 0


def _moves_nothing(
    func: Any,
    operands: Sequence[torch.Tensor],
    results: Sequence[torch.Tensor],
    written: Sequence[torch.Tensor],
) -> bool:
    if str(func).startswith(_NO_DATA):
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


def _elements(tensors: Iterable[torch.Tensor]) -> int:
    """Elements in memory: one that an expanded tensor repeats counts once."""
    return sum(
        math.prod(size for size, stride in zip(t.shape, t.stride(), strict=True) if stride)
        for t in tensors
    )


def _place(tensor: torch.Tensor) -> int:
    place: int = tensor.untyped_storage()._cdata  # noqa: SLF001  (meta storages have no data_ptr)
    return place
