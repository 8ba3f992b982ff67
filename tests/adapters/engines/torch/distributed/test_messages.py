"""What ranks tell of their messages, set against one another on their common clock."""

import pytest

from accelbench.adapters.engines.torch.distributed.messages import (
    Message,
    blocked,
    settled,
    shared,
    travels,
    union,
    without,
)
from accelbench.harness.errors import TrialError


def reduced(start, done, **more):
    """A collective that nobody was seen to wait for."""
    return Message("all_reduce", None, start, done, 100, **more)


def test_a_collective_travels_from_when_its_last_rank_has_come():
    """The early rank waits for the late one; both are done when they are."""
    early, late = travels([[reduced(10, 50)], [reduced(30, 52)]])
    assert [(one[0].ready_ns, one[0].done_ns) for one in (early, late)] == [(30, 50), (30, 52)]


def test_messages_between_two_ranks_match_by_their_order():
    """The second one sent is the second one received, whatever goes the other way meanwhile."""
    first = [
        Message("send", 1, 0, 90, 8),
        Message("recv", 1, 5, 70, 0),
        Message("send", 1, 40, 95, 8),
    ]
    second = [
        Message("recv", 0, 20, 30, 0),
        Message("send", 0, 60, 65, 4),
        Message("recv", 0, 35, 80, 0),
    ]
    sent, back, again = travels([first, second])[0]
    assert (sent.ready_ns, sent.done_ns) == (20, 30)
    assert (back.ready_ns, back.done_ns) == (60, 70)
    assert (again.ready_ns, again.done_ns) == (40, 80)


def test_ranks_that_tell_of_other_messages_are_found_out():
    """A collective that one rank has not seen cannot be set against anything."""
    with pytest.raises(TrialError, match="all_reduce was seen by 1 ranks of 2"):
        travels([[reduced(0, 1), reduced(2, 3)], [reduced(0, 1)]])


def test_late_news_of_an_end_is_mended():
    """Done no later than the wait was over, or the phase that waits at its end."""
    told = [
        reduced(10, 99),
        Message("all_gather", None, 12, 80, 1, waited=((13, 20), (30, 31))),
        reduced(200, 300),
    ]
    assert [one.done_ns for one in settled(told, [(0, 50), (60, 70)])] == [50, 20, 300]


def test_a_phase_waits_for_what_it_issued_from_the_last_of_it_on():
    """Before there was something to compute; a message between phases blocks none."""
    told = [reduced(10, 20), reduced(30, 45), reduced(55, 58)]
    assert blocked(told, [(0, 50), (60, 70)]) == [(30, 45)]


def test_seen_waits_are_taken_as_they_are():
    """With the time in which the message was issued, and once where they overlap."""
    told = [
        Message("all_gather", None, 10, 20, 1, waited=((15, 20),), issuing=((10, 12),)),
        Message("all_gather", None, 18, 25, 1, waited=((18, 25),)),
    ]
    assert blocked(told, [(0, 50)]) == [(10, 12), (15, 25)]


def test_spans_are_joined_cut_and_shared():
    """The three things that are done with time."""
    assert union([(5, 7), (1, 3), (3, 4), (9, 9)]) == [(1, 4), (5, 7)]
    assert without((0, 10), [(2, 3), (5, 12)]) == [(0, 2), (3, 5)]
    assert without((0, 10), [(0, 10)]) == []
    assert without((0, 10), [(10, 12)]) == [(0, 10)]
    assert shared((0, 10), [(2, 3), (8, 12), (20, 30)]) == [(2, 3), (8, 10)]
