"""A recording is told for the sizes that it holds for, and for no others."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402  (after the check that torch is there)
from hypothesis import strategies as st  # noqa: E402  (likewise)
from torch import nn  # noqa: E402  (likewise)

from accelbench.harness.schema.symbolic import Polynomial, Span  # noqa: E402  (likewise)
from accelbench.suites.workloads.lowering import graphs  # noqa: E402  (likewise)
from tests.suites.workloads.lowering.lowered import (  # noqa: E402  (likewise)
    Doing,
    around,
    by_numbers,
    content,
    graph,
)

pytestmark = pytest.mark.torch

SOME = st.integers(1, 9)


def recording(function, *rest, batch=4, tokens=20):
    """The recording made for one batch and so many tokens."""
    key = object()
    graphs.lower(around(Doing(function), *rest), key, "forward", batch, tokens, 0)
    (found,) = graphs.recordings(key)
    return found


def test_one_recording_serves_all_batches_and_lengths():
    """Shapes, FLOPs and elements are polynomials in the sizes."""
    found = recording(lambda x: x @ x.transpose(1, 2), "t", 3)
    (op,) = found.operators
    assert (found.batch, found.tokens) == (Span(2, None), Span(2, None))
    assert op.outputs == (
        (Polynomial(((1, 1, 0, 0),)), Polynomial(((1, 0, 1, 0),)), Polynomial(((1, 0, 1, 0),))),
    )
    assert str(op.flops) == "6*batch*tokens**2"
    assert str(op.elements_read) == "6*batch*tokens"
    assert found.at(5, 7, 0).flops == 6 * 5 * 49


def test_sizes_of_one_are_numbers():
    """PyTorch takes other paths for them."""
    assert recording(lambda x: x.relu(), "t", batch=1).batch == Span(1, 1)


@pytest.mark.parametrize(
    ("tokens", "span"),
    [
        (4, Span(2, 8)),
        (8, Span(2, 8)),
        (9, Span(9, 20)),
        (20, Span(9, 20)),
        (21, Span(21, None)),
        (500, Span(21, None)),
    ],
)
def test_a_decision_of_the_model_bounds_the_recording(tokens, span):
    """A branch at 8 and one above 20 leave three spans, that touch and do not overlap."""

    def branching(x):
        length = x.shape[1]
        if length <= 8:
            return x.relu()
        return x.sigmoid() if length < 21 else x.tanh()

    assert recording(branching, "t", tokens=tokens).tokens == span


@pytest.mark.parametrize(
    ("tokens", "low", "high"), [(4, 2, 4), (5, 5, None), (10, 5, None), (40, 5, None)]
)
def test_a_decision_by_a_square_bounds_at_its_root(tokens, low, high):
    """The root of 23 lies between 4 and 5."""

    def branching(x):
        return x.relu() if x.shape[1] * x.shape[1] < 23 else x.tanh()

    assert recording(branching, "t", tokens=tokens).tokens == Span(low, high)


@pytest.mark.parametrize(("batch", "tokens"), [(2, 3), (3, 4), (8, 50), (2, 6), (13, 2)])
def test_a_decision_by_two_sizes_leaves_a_box_that_lies_on_one_side(batch, tokens):
    """Twelve samples times tokens or more: all corners of the box decide alike."""

    def branching(x):
        return x.relu() if x.shape[0] * x.shape[1] >= 12 else x.tanh()

    found = recording(branching, "t", batch=batch, tokens=tokens)
    assert found.holds(batch, tokens, 0)
    low = found.batch.low * found.tokens.low
    high = None if found.batch.high is None else found.batch.high * (found.tokens.high or 10**9)
    assert low >= 12 or (high is not None and high < 12)


def test_a_shape_that_is_no_polynomial_makes_its_size_a_number():
    """Half of the tokens, rounded down, is told for one length at a time; batches stay free."""
    found = recording(lambda x: x[:, ::3].relu(), "t", tokens=20)
    assert (found.batch, found.tokens) == (Span(2, None), Span(20, 20))
    assert found.at(6, 20, 0).operators[0].inputs == ((6, 7),)


def test_a_loop_over_tokens_makes_their_number_a_number():
    """A cell that runs once a token occurs as often as there are tokens."""
    cell = nn.GRU(3, 4, batch_first=True)
    subject, key = around(cell, "t", 3), object()
    for tokens in (5, 6):
        found = graphs.lower(subject, key, "forward", 2, tokens, 0)
        gates = [op for op in found.operators if op.flops]
        assert found.flops == 2 * 2 * tokens * 12 * (3 + 4)
        assert max(op.count for op in gates) == tokens
    assert [own.tokens for own in graphs.recordings(key)] == [Span(5, 5), Span(6, 6)]


def test_what_is_known_is_not_recorded_again():
    """Sizes within the spans cost no further recording, others do."""
    subject, key = around(nn.Linear(3, 2), "t", 3), object()
    for batch, tokens in ((2, 5), (9, 2), (4, 4), (1, 5), (1, 9)):
        graphs.lower(subject, key, "forward", batch, tokens, 0)
    assert len(graphs.recordings(key)) == 2
    assert graphs.recordings(object()) == ()


def test_a_recording_is_not_told_where_it_does_not_hold():
    """Asking for other sizes is an error, not a wrong graph."""
    found = recording(lambda x: x.relu() if x.shape[1] < 30 else x.tanh(), "t", tokens=20)
    with pytest.raises(ValueError, match="does not hold for batch 4, tokens 30"):
        found.at(4, 30, 0)


BRANCHING = around(
    Doing(lambda x: (x.relu() if x.shape[1] < 5 else x[:, 1:]) @ x.new_empty(3, x.shape[0])),
    "t",
    3,
)
BRANCHING_KEY = object()


@given(batch=SOME, tokens=SOME)
@settings(deadline=None, max_examples=25)
def test_any_size_gives_the_graph_that_numbers_give(batch, tokens):
    """Operators, shapes, FLOPs, elements and edges are those of a recording without symbols."""
    found = graphs.lower(BRANCHING, BRANCHING_KEY, "forward", batch, tokens, 0)
    assert content(found) == content(by_numbers(BRANCHING, "forward", (batch, tokens, 0)))


def test_a_model_that_knows_numbers_alone_is_recorded_for_one_size():
    """An operator that takes no symbol is no reason to fail."""

    def stubborn(x):
        if isinstance(x.shape[0], torch.SymInt):
            raise TypeError("numbers, please")
        return x.relu()

    found = recording(stubborn, 3, batch=6)
    assert found.batch == Span(6, 6)
    assert graph(around(Doing(stubborn), 3), batch=7).operators[0].inputs == ((7, 3),)
