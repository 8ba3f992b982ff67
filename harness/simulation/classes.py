"""Which kernel of a Transformer each operator of a graph belongs to, and what each kind costs.

A graph knows operators, shapes and edges, not the names of a model's modules. So the kind of an
operator is read from what it computes with and from what lies beside it:

- A product (whatever has FLOPs) of two activations is attention: scores, softmax and weighted sum.
- A product with parameters is a projection if attention is reached from it, or it from
  attention, with no other product between; else it belongs to the MLP if an activation function is;
  else it is an output head, a router or the like.
- Around a root of a mean square lies a normalisation, where it is not one operator.

Occurrences of equal shapes are one operator. An MLP whose products have the shapes of projections
counts as projections.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from accelbench.harness.schema.opgraph import ELEMENT_BYTES, Operator, OpGraph
from accelbench.harness.simulation.placement import Roof

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "attention": "scores, softmax and weighted sum, with the keys and values they read",
        "projections": "products that make queries, keys and values, and the one after attention",
        "mlp": "products before and after an activation function, those of experts too",
        "head": "other products with weights: the output head, a router, an input layer",
        "norm": "normalisation",
        "embedding": "look-up of the tokens' vectors",
        "elementwise": "activation functions, residuals, rotary positions, copies, routing",
    }
)
"""Kinds of operators in the order in which they are drawn, and what each holds."""

_ACTIVATIONS = ("aten.silu", "aten.gelu", "aten.relu", "aten.tanh", "aten.hardswish")
_NORMS = (
    "aten.native_layer_norm",
    "aten.native_batch_norm",
    "aten.native_group_norm",
    "aten.rms_norm",
    "aten._fused_rms_norm",
)
_LOOKS_UP = "aten.embedding"
_ROOT = "aten.rsqrt"


@dataclass(frozen=True)
class ClassCost:
    """All operators of one kind under a roofline.

    Attributes:
        name: Key of `CLASSES`.
        calls: How many operators are called.
        flops: Floating-point operations.
        moved: Compulsory bytes.
        bounds: Seconds of the operators that each ceiling bounds: "compute", or the memory's name.
    """

    name: str
    calls: int
    flops: int
    moved: float
    bounds: Mapping[str, float]

    @property
    def seconds(self) -> float:
        """Time of all of them."""
        return sum(self.bounds.values())

    @property
    def bound(self) -> str:
        """The ceiling under which most of the time passes."""
        return max(self.bounds, key=lambda bound: self.bounds[bound])


def class_costs(graph: OpGraph, roof: Roof, precision: str) -> tuple[ClassCost, ...]:
    """The time of each kind, every operator for the longer of its two times (survey, eq. 14).

    Operators run one after another and nothing is fused; a launch takes no time.

    Args:
        graph: Of one phase of inference.
        roof: Of the machine.
        precision: Key of `ELEMENT_BYTES`: the size at which all elements travel.

    Returns:
        The kinds that occur, in the order of `CLASSES`.
    """
    kinds = classes_of(graph)
    found = []
    for name in CLASSES:
        own = [op for op, kind in zip(graph.operators, kinds, strict=True) if kind == name]
        if own:
            found.append(_cost(name, own, roof, ELEMENT_BYTES[precision]))
    return tuple(found)


def classes_of(graph: OpGraph) -> tuple[str, ...]:
    """The kind of each operator of a graph of inference, a key of `CLASSES`."""
    around = _Neighbours(graph)
    norms = around.normalisation()
    return tuple(
        _product(index, op, around) if op.flops else _other(index, op, norms)
        for index, op in enumerate(graph.operators)
    )


class _Neighbours:
    """Who comes before and after each operator.

    Args:
        graph: The graph.
    """

    def __init__(self, graph: OpGraph) -> None:
        self.operators = graph.operators
        self._after: dict[int, set[int]] = {}
        self._before: dict[int, set[int]] = {}
        for one, other in graph.edges:
            self._after.setdefault(one, set()).add(other)
            self._before.setdefault(other, set()).add(one)

    def beside(self, index: int) -> list[Operator]:
        """Operators on paths from and to this one, up to the next products and with them."""
        seen = self._walk(index, self._after) | self._walk(index, self._before)
        return [self.operators[place] for place in seen]

    def normalisation(self) -> set[int]:
        """Operators of normalisations that are written out: x / root(mean(x * x)) * weight."""
        inside = {place for place, op in enumerate(self.operators) if op.name == _ROOT}
        scaled = {after for root in inside for after in self._after.get(root, ())}
        weighted = {
            after
            for one in scaled
            for after in self._after.get(one, ())
            if self.operators[after].weights and not self.operators[after].flops
        }
        while more := self._serving_only(inside) - inside:
            inside |= more
        return inside | scaled | weighted

    def _serving_only(self, inside: Iterable[int]) -> set[int]:
        """Operators all of whose results go into these."""
        whole = set(inside)
        before = {one for place in whole for one in self._before.get(place, ())}
        return {
            one for one in before if self._after[one] <= whole and not self.operators[one].flops
        }

    def _walk(self, start: int, steps: Mapping[int, set[int]]) -> set[int]:
        seen: set[int] = set()
        edge = set(steps.get(start, ()))
        while edge:
            place = edge.pop()
            seen.add(place)
            if not self.operators[place].flops:
                edge |= steps.get(place, set()) - seen
        return seen


def _product(index: int, op: Operator, around: _Neighbours) -> str:
    if not op.weights:
        return "attention"
    near = around.beside(index)
    if any(one.flops and not one.weights for one in near):
        return "projections"
    return "mlp" if any(one.name in _ACTIVATIONS for one in near) else "head"


def _other(index: int, op: Operator, norms: set[int]) -> str:
    if op.name == _LOOKS_UP:
        return "embedding"
    return "norm" if op.name in _NORMS or index in norms else "elementwise"


def _cost(name: str, operators: Sequence[Operator], roof: Roof, element_bytes: float) -> ClassCost:
    bounds: dict[str, float] = {}
    for op in operators:
        compute_s = op.flops / roof.peak
        memory_s = op.elements_moved * element_bytes / roof.bandwidth
        bound = "compute" if compute_s >= memory_s else roof.memory
        bounds[bound] = bounds.get(bound, 0.0) + op.count * max(compute_s, memory_s)
    return ClassCost(
        name=name,
        calls=sum(op.count for op in operators),
        flops=sum(op.count * op.flops for op in operators),
        moved=element_bytes * sum(op.count * op.elements_moved for op in operators),
        bounds=bounds,
    )
