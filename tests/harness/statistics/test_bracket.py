"""The search for the largest level that passes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.statistics.bracket import next_level


def search(edge, first, resolution, passes=None):
    """All levels that are tried against an edge, with what came of them."""
    passes = passes or (lambda level: level <= edge)
    tried = {}
    while (level := next_level(tried, first, resolution)) is not None:
        assert level not in tried
        tried[level] = passes(level)
    return tried


def test_the_search_begins_where_it_is_told_to():
    """Nothing is known before the first level is tried."""
    assert next_level({}, 7.0, 0.1) == 7.0


def test_levels_double_while_they_pass_and_halve_while_they_do_not():
    """Until there is one of each, the next is twice or half the farthest."""
    assert next_level({4.0: True}, 4.0, 0.1) == 8.0
    assert next_level({4.0: True, 8.0: True}, 4.0, 0.1) == 16.0
    assert next_level({4.0: False}, 4.0, 0.1) == 2.0


def test_a_bracket_is_cut_at_its_geometric_mean():
    """Rates are compared by their ratio."""
    assert next_level({4.0: True, 16.0: False}, 4.0, 0.1) == 8.0


@given(edge=st.floats(0.05, 2000), first=st.floats(0.5, 100))
def test_the_search_ends_with_a_bracket_around_the_edge(edge, first):
    """Whatever the edge and the start, the edge lies in a bracket of the wanted width."""
    tried = search(edge, first, 0.05)
    met = max((level for level, good in tried.items() if good), default=0.0)
    failing = min((level for level, good in tried.items() if not good), default=float("inf"))
    assert met <= edge <= failing
    assert failing <= met * 1.06 or met * 2.01 > first * 2**10 or failing / 2 < first / 2**10


def test_a_level_that_passes_above_one_that_does_not_is_passed_over():
    """What is sustained must be sustained at every lower load tried."""
    assert next_level({4.0: True, 8.0: False, 16.0: True}, 4.0, 0.1) == pytest.approx(5.66)


def test_a_search_that_finds_no_edge_ends():
    """A level that always passes, or never, is not chased for ever."""
    assert len(search(float("inf"), 1.0, 0.1)) <= 11
    assert len(search(0.0, 1.0, 0.1)) <= 11
