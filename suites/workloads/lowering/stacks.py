"""Deep stacks of equal layers: which layers are alike, and what more of them add."""

import types
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from accelbench.suites.workloads.lowering.recorder import Notes

_OWN_PLACE = {"layer_idx", "layer_index", "layer_id", "layer_number", "target_name"}
_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, tuple)
_RECORDED = 2
"""Periods of a stack that are recorded: the first and the last differ from those between them."""


@dataclass(frozen=True)
class Stack:
    """A stack whose layers repeat.

    Attributes:
        path: Where the model has it.
        short: How many layers of it are recorded.
        period: After how many layers it repeats.
        missing: How many periods the model has beyond `short`.
    """

    path: str
    short: int
    period: int
    missing: int


def repeating(model: nn.Module, paths: Sequence[str]) -> tuple[Stack, ...]:
    """Those of a model's stacks that are worth shortening.

    Layers are alike when class, attributes, parameters and buffers of all their modules are,
    apart from the layer's own number, and when they share no parameter.

    Args:
        model: The whole model.
        paths: Of its stacks.
    """
    found = []
    for path in paths:
        layers = list(model.get_submodule(path).children())
        if _share(model, path, layers):
            continue
        marks = [_mark(layer) for layer in layers]
        period = next(
            p
            for p in range(1, len(marks) + 1)
            if all(a == b for a, b in zip(marks, marks[p:]))  # noqa: B905  (the second is shorter)
        )
        short = _RECORDED * period + len(marks) % period
        missing = (len(marks) - short) // period
        if missing > 1:
            found.append(Stack(path, short, period, missing))
    return tuple(found)


@contextmanager
def shortened(model: nn.Module, counts: Mapping[str, int]) -> Iterator[None]:
    """Leaves a model only so many layers of some of its stacks, for as long as it is entered."""
    whole = {path: model.get_submodule(path) for path in counts}
    try:
        for path, count in counts.items():
            _put(model, path, nn.ModuleList(list(whole[path].children())[:count]))
        yield
    finally:
        for path, stack in whole.items():
            _put(model, path, stack)


def extended(base: Notes, longer: Sequence[Notes], missing: Sequence[int]) -> Notes | None:
    """What the whole model does, or None where a period adds more than equal operators.

    Args:
        base: What the short model does.
        longer: For each stack, what the model does with one more period of it.
        missing: For each stack, how many periods are missing.
    """
    counts = dict(base.counts)
    for notes, times in zip(longer, missing, strict=True):
        if notes.counts.keys() != base.counts.keys() or notes.edges != base.edges:
            return None
        for op, count in notes.counts.items():
            counts[op] += times * (count - base.counts[op])
    return Notes(counts, base.edges)


def _put(model: nn.Module, path: str, stack: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, stack)


def _share(model: nn.Module, path: str, layers: Sequence[nn.Module]) -> bool:
    """Whether a parameter of a layer is also one of another layer, or lies elsewhere too."""
    inside = [id(own) for layer in layers for own in layer.parameters()]
    outside = {
        id(own)
        for name, own in model.named_parameters(remove_duplicate=False)
        if not name.startswith(f"{path}.")
    }
    return len(set(inside)) != len(inside) or not outside.isdisjoint(inside)


def _mark(layer: nn.Module) -> Hashable:
    """What layers that are alike have in common."""
    modules = tuple(
        (name, type(module), tuple(sorted(_attributes(module))))
        for name, module in layer.named_modules(remove_duplicate=False)
    )
    tensors = tuple(
        (name, tuple(own.shape), own.dtype, own.requires_grad)
        for found in (layer.named_parameters(remove_duplicate=False), layer.named_buffers())
        for name, own in found
    )
    return modules, tensors


def _attributes(module: nn.Module) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        if name not in _OWN_PLACE and not (name.startswith("_") and isinstance(value, dict)):
            yield name, _told(value)


def _told(value: Any) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return f"{tuple(value.shape)} {value.dtype}"
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, set | list) and not value:
        return "nothing"
    if isinstance(value, dict):  # as peft keeps its options, the layer's own name among them
        told = (f"{key!r}: {_told(own)}" for key, own in value.items() if key not in _OWN_PLACE)
        return f"{{{', '.join(told)}}}"
    return f"the object {id(value)}"
