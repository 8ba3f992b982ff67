"""An alarm that epoll waits for."""

import resource
import select
import time

import pytest

from accelbench.harness.load.http.alarm import Alarm

MS_NS = 1_000_000


@pytest.fixture
def alarm():
    """An alarm, and an epoll that waits for it."""
    found = Alarm()
    with select.epoll() as poll:
        poll.register(found.fd, select.EPOLLIN | select.EPOLLET)
        yield found, poll
    found.close()


def test_it_rings_at_its_instant_and_not_before(alarm):
    """The wait ends behind the instant, and only once."""
    clock, poll = alarm
    at_ns = time.perf_counter_ns() + 20 * MS_NS
    clock.set(at_ns)
    assert [fd for fd, _ in poll.poll(5)] == [clock.fd]
    assert time.perf_counter_ns() >= at_ns
    assert poll.poll(0.05) == []


def test_an_instant_that_has_passed_rings_at_once(alarm):
    """Nobody waits for what is overdue."""
    clock, poll = alarm
    clock.set(time.perf_counter_ns() - MS_NS)
    assert poll.poll(0)


def test_another_instant_takes_the_place_of_the_one_before(alarm):
    """What was set first is forgotten, be it sooner or later."""
    clock, poll = alarm
    clock.set(time.perf_counter_ns() + 5 * MS_NS)
    clock.set(time.perf_counter_ns() + 3600 * 1000 * MS_NS)
    assert poll.poll(0.05) == []
    clock.set(time.perf_counter_ns() + 5 * MS_NS)
    assert poll.poll(5)


def test_without_a_file_to_be_had_it_says_so():
    """The error names the reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            Alarm()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
