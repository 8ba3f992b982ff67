"""Spans: unions, and what they share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.busy import Spans, union

pairs = st.lists(st.tuples(st.integers(0, 60), st.integers(-2, 9)), max_size=12)


def joined(rows: list[tuple[int, int]]) -> tuple[Spans, set[int]]:
    """The union of spans, and the unit cells that they cover."""
    start = np.array([float(s) for s, _ in rows])
    end = np.array([float(s + length) for s, length in rows])
    return union(start, end), {cell for s, length in rows for cell in range(s, s + length)}


@given(pairs, pairs)
def test_spans_are_sets_of_instants(
    first: list[tuple[int, int]], second: list[tuple[int, int]]
) -> None:
    """Length, union, intersection and difference, held against counting unit cells."""
    (one, cells), (other, others) = joined(first), joined(second)
    assert one.length_ns == len(cells)
    assert (one | other).length_ns == len(cells | others)
    assert one.shared_ns(other) == len(cells & others)
    assert one.beyond_ns(other) == len(cells - others)


@given(pairs)
def test_unions_are_disjoint_and_in_order(rows: list[tuple[int, int]]) -> None:
    """A span that touches the one before belongs to it."""
    found, _ = joined(rows)
    assert (found.start < found.end).all()
    assert (found.end[:-1] < found.start[1:]).all()


def test_what_does_not_tell_its_ends_is_no_time() -> None:
    """NaN is neither early nor late."""
    found = union(np.array([0.0, np.nan, 5.0]), np.array([1.0, 9.0, np.nan]))
    assert (found.start.tolist(), found.end.tolist()) == ([0], [1])
