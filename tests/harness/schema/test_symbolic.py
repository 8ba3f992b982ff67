"""Graphs whose sizes are polynomials, told at given sizes."""

import pytest

from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.symbolic import Polynomial, Span, SymbolicGraph, SymbolicOperator

ZERO, THREE = Polynomial(()), Polynomial(((3, 0, 0, 0),))
ROWS = Polynomial(((1, 1, 1, 0),))
GROWN = Polynomial(((2, 0, 0, 0), (-1, 0, 0, 1), (5, 1, 2, 1)))


@pytest.mark.parametrize(
    ("polynomial", "value", "told", "constant"),
    [
        (ZERO, 0, "0", True),
        (THREE, 3, "3", True),
        (ROWS, 10, "batch*tokens", False),
        (GROWN, 2 - 7 + 5 * 2 * 25 * 7, "2 + -1*context + 5*batch*tokens**2*context", False),
    ],
)
def test_a_polynomial_has_a_value_and_a_text(polynomial, value, told, constant):
    """At batch 2, 5 tokens and context 7."""
    assert polynomial.at(2, 5, 7) == value
    assert str(polynomial) == told
    assert polynomial.constant is constant


@pytest.mark.parametrize(
    ("span", "inside", "outside"),
    [(Span(2, None), [2, 10**9], [1]), (Span(3, 5), [3, 5], [2, 6]), (Span(0, 0), [0], [1])],
)
def test_a_span_holds_its_ends(span, inside, outside):
    """Both ends belong to it; without an upper one there is no end."""
    assert all(map(span.holds, inside))
    assert not any(map(span.holds, outside))


def graph():
    """One product of rows with a matrix of weights, in prefill without context."""
    product = SymbolicOperator(
        "aten.mm",
        4,
        ((ROWS, THREE), (THREE, THREE)),
        ((ROWS, THREE),),
        "float32",
        Polynomial(((18, 1, 1, 0),)),
        Polynomial(((9, 0, 0, 0), (3, 1, 1, 0))),
        Polynomial(((3, 1, 1, 0),)),
        (1,),
    )
    spans = Span(2, None), Span(2, 8), Span(0, 0)
    return SymbolicGraph("test", "prefill", *spans, (product,), ((0, 0),), 9, ())


def test_a_recording_told_at_given_sizes_is_an_operator_graph():
    """Shapes, FLOPs and elements take their values; counts, edges and weights are kept."""
    shapes = ((10, 3), (3, 3)), ((10, 3),)
    expected = Operator("aten.mm", 4, *shapes, "float32", 180, 39, 30, (1,))
    assert graph().at(2, 5, 0) == OpGraph("test", "prefill", 2, 5, 0, (expected,), ((0, 0),), 9)


@pytest.mark.parametrize("sizes", [(1, 5, 0), (2, 9, 0), (2, 5, 1)])
def test_a_recording_refuses_sizes_that_it_does_not_hold_for(sizes):
    """Each size has a span of its own."""
    assert not graph().holds(*sizes)
    with pytest.raises(ValueError, match="the recording of prefill does not hold for batch"):
        graph().at(*sizes)
