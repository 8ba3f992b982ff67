"""FLOPs of an operator by the closed form of its kind, from nothing but its shapes.

A multiply-add is two FLOPs. The forms are those of textbooks; neither PyTorch's counter nor the code
that records graphs is asked.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from accelbench.harness.schema.opgraph import Operator, OpGraph

Shape = Sequence[int]

_MATRIX = 2


def of_graph(graph: OpGraph) -> int:
    """FLOPs of all operators of a graph."""
    return sum(op.count * of_operator(op) for op in graph.operators)


def of_operator(op: Operator) -> int:
    """FLOPs of one occurrence; 0 where the operator multiplies no matrices."""
    form = _FORMS.get(op.name)
    return form(op) if form else 0


def counted_too_often(op: Operator) -> int:
    """FLOPs that PyTorch's counter adds to a convolution's backward pass where it has groups.

    A filter's gradient is a sum over the channels of its own group. The counter (2.13) takes all
    channels of the input for every filter, so that it counts as many times too much as there are
    groups.

    Returns:
        Of one occurrence; 0 of other operators, without groups and where filters learn nothing.
    """
    if op.name != _CONVOLUTION_BACKWARD or not _learns(op):
        return 0
    _, entered, filters = op.inputs[:3]
    groups = entered[1] // filters[1]
    return (groups - 1) * _convolved(op.inputs[0], filters)


def _product(left: Shape, right: Shape) -> int:
    """Of (..., m, k) and (..., k, n): 2 m n k of each pair."""
    return 2 * math.prod(left) * right[-1]


def _grouped(op: Operator) -> int:
    """Of rows that are divided between matrices; which row goes where changes nothing."""
    left, right = op.inputs[:2]
    matrices = left[0] if len(left) == len(right) > _MATRIX else 1
    return 2 * matrices * left[-2] * left[-1] * right[-1]


def _convolved(outputs: Shape, filters: Shape) -> int:
    """Each output sums the products of a filter with its channels, places and kernel."""
    return 2 * math.prod(outputs) * math.prod(filters[1:])


def _convolution_backward(op: Operator) -> int:
    """As much as the forward pass for the inputs' gradient, and the same for the filters'."""
    given, entered, filters = op.inputs[:3]
    gradients = sum(tuple(shape) == tuple(entered) for shape in op.outputs) + _learns(op)
    return gradients * _convolved(given, filters)


def _learns(op: Operator) -> bool:
    return op.inputs[2] in op.outputs


def _attention(query: Shape, key: Shape, value: Shape) -> int:
    """Scores of every query with every key, and as many weights times values."""
    *_, queries, width = query
    heads = math.prod(query[:-2])
    return 2 * heads * queries * key[-2] * (width + value[-1])


_CONVOLUTION_BACKWARD = "aten.convolution_backward"

_FORMS: Mapping[str, Callable[[Operator], int]] = {
    "aten.mm": lambda op: _product(*op.inputs[:2]),
    "aten.bmm": lambda op: _product(*op.inputs[:2]),
    "aten.addmm": lambda op: _product(*op.inputs[1:3]),
    "aten.baddbmm": lambda op: _product(*op.inputs[1:3]),
    "aten._grouped_mm": _grouped,
    "aten.convolution": lambda op: _convolved(op.outputs[0], op.inputs[1]),
    _CONVOLUTION_BACKWARD: _convolution_backward,
    "aten.scaled_dot_product_attention": lambda op: _attention(*op.inputs[:3]),
    "accelbench.attention_backward": lambda op: 2 * _attention(*op.inputs[2:5]),
}
