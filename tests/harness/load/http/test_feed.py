"""Which request is due next."""

from accelbench.harness.load.http.feed import Scheduled, Users


def taken(feed, now_ns):
    """All that is due now."""
    found = []
    while (one := feed.take(now_ns)) is not None:
        found.append(one)
    return found


def test_a_schedule_gives_each_request_at_its_own_instant_and_keeps_it_when_late():
    """What is taken late keeps the instant at which it was due."""
    feed = Scheduled((0, 1, 2), (100, 200, 300), None)
    assert feed.next_ns() == 100
    assert taken(feed, 99) == []
    assert taken(feed, 250) == [(0, 100), (1, 200)]
    assert feed.next_ns() == 300
    assert taken(feed, 1000) == [(2, 300)]
    assert feed.next_ns() is None


def test_a_schedule_does_not_wait_for_answers():
    """Without a limit nothing that ends makes a difference."""
    feed = Scheduled(range(100), range(100), None)
    assert len(taken(feed, 1000)) == 100


def test_a_limit_holds_back_what_is_due_and_skips_nothing():
    """What the limit holds back is given when a request ends, with its own due instant."""
    feed = Scheduled((0, 1, 2), (10, 20, 30), 1)
    assert taken(feed, 50) == [(0, 10)]
    assert feed.next_ns() is None
    feed.ended(0, 60)
    assert feed.next_ns() == 20
    assert taken(feed, 60) == [(1, 20)]
    feed.ended(1, 70)
    assert taken(feed, 70) == [(2, 30)]


def test_a_user_asks_again_when_its_answer_has_come():
    """The next request of a user is due at the end of the one before."""
    feed = Users(iter(range(4)), users=2, group=1, start_ns=5)
    assert taken(feed, 4) == []
    assert taken(feed, 5) == [(0, 5), (1, 5)]
    assert feed.next_ns() is None
    feed.ended(1, 9)
    assert feed.next_ns() == 9
    assert taken(feed, 12) == [(2, 9)]
    feed.ended(0, 20)
    assert taken(feed, 20) == [(3, 20)]


def test_users_stop_when_nothing_is_left_to_ask():
    """With the last ticket taken no user is waited for."""
    feed = Users(iter(range(1)), users=3, group=1, start_ns=0)
    assert taken(feed, 1) == [(0, 0)]
    assert feed.next_ns() is None
    feed.ended(0, 4)
    assert taken(feed, 5) == []
    assert feed.next_ns() is None


def test_a_query_of_several_samples_waits_for_all_of_them():
    """The samples of the next query are due together when the last of this one has ended."""
    feed = Users(iter(range(6)), users=1, group=3, start_ns=0)
    assert taken(feed, 0) == [(0, 0), (1, 0), (2, 0)]
    feed.ended(2, 10)
    feed.ended(0, 30)
    assert feed.next_ns() is None
    feed.ended(1, 29)
    assert taken(feed, 30) == [(3, 30), (4, 30), (5, 30)]


def test_offline_requests_are_due_at_the_start_whenever_they_are_sent():
    """Users then only bound how many are on their way."""
    feed = Users(iter(range(3)), users=2, group=1, start_ns=7, due_ns=7)
    assert taken(feed, 7) == [(0, 7), (1, 7)]
    feed.ended(0, 50)
    assert taken(feed, 50) == [(2, 7)]
