"""The loop of a dispatcher, in the process of the test."""

import errno
import time

import pytest

from accelbench.harness.load.http import connection as connections
from accelbench.harness.load.http import dispatch
from accelbench.harness.load.http.connection import ArrivalClock, out_of_sockets, resolve
from accelbench.harness.load.http.dispatch import Dispatcher
from accelbench.harness.load.http.feed import Scheduled, Users
from accelbench.harness.load.http.live import Limits
from accelbench.harness.load.http.null_server import NullServer
from accelbench.harness.load.http.request import address, encode
from accelbench.harness.load.http.target import Target
from accelbench.harness.schema.prompts import Prompt

SECOND_NS = 1_000_000_000


@pytest.fixture
def dispatcher():
    """Makes a dispatcher for a number of alike requests."""

    def made(url, count, *, timeout_s=5.0, tell=lambda *_: None):
        where = address(url)
        body = encode(Target(url, "null"), Prompt("0", "say something", (), 2))
        limits = Limits(
            int(timeout_s * SECOND_NS), 1_000_000, time.perf_counter_ns() + 20 * SECOND_NS
        )
        return Dispatcher(resolve(where.host, where.port, tls=False), [body] * count, limits, tell)

    return made


def at_most(monkeypatch, most):
    """Lets a dispatcher have only so many connections."""
    connect = connections.connect
    opened = []

    def limited(peer, clock):
        if len(opened) == most:
            raise OSError(errno.EMFILE, "Too many open files")
        opened.append(connect(peer, clock))
        return opened[-1]

    monkeypatch.setattr(dispatch, "connect", limited)


def test_without_a_free_socket_a_request_waits_for_one_and_keeps_its_due_instant(
    dispatcher, monkeypatch
):
    """With two sockets for six requests each is sent late, none is lost."""
    at_most(monkeypatch, 2)
    now = time.perf_counter_ns()
    with NullServer(first_s=0.01) as server:
        exchanges, tally = dispatcher(server.url, 6).run(Scheduled(range(6), [now] * 6, None))
    assert sorted(exchange.number for exchange in exchanges) == list(range(6))
    assert {exchange.outcome for exchange in exchanges} == {"complete"}
    assert {exchange.due_ns for exchange in exchanges} == {now}
    assert len(tally.opened_ns) == 2


def test_a_request_that_never_gets_a_socket_is_told_as_unsent(dispatcher, monkeypatch):
    """After the time limit of a request it is given up, with the reason."""
    at_most(monkeypatch, 0)
    now = time.perf_counter_ns()
    with NullServer() as server:
        loop = dispatcher(server.url, 2, timeout_s=0.2)
        exchanges, _ = loop.run(Scheduled(range(2), [now] * 2, None))
    assert [exchange.outcome for exchange in exchanges] == ["unsent"] * 2
    assert [exchange.sent_ns for exchange in exchanges] == [None] * 2
    assert "socket" in exchanges[0].detail


def test_an_answer_for_which_there_is_no_memory_costs_that_request_alone(dispatcher, monkeypatch):
    """It ends with a reason; the others of the load are served."""
    receive, calls = connections.Connection.receive, iter(range(1000))

    def short_of_memory(self):
        if next(calls) == 2:
            raise MemoryError
        return receive(self)

    monkeypatch.setattr(connections.Connection, "receive", short_of_memory)
    with NullServer(first_s=0.002, gap_s=0.002) as server:
        users = Users(iter(range(6)), 1, 1, time.perf_counter_ns())
        exchanges, _ = dispatcher(server.url, 6).run(users)
    ended = {exchange.number: exchange.outcome for exchange in exchanges}
    assert sorted(ended) == list(range(6))
    assert sorted(ended.values()) == ["complete"] * 5 + ["too_large"]
    (lost,) = [exchange for exchange in exchanges if exchange.outcome == "too_large"]
    assert "no memory" in lost.detail


def test_news_tells_what_was_sent_and_what_has_ended(dispatcher):
    """Counts come while it runs."""
    told = []
    now = time.perf_counter_ns()
    with NullServer(first_s=0.06) as server:
        loop = dispatcher(server.url, 12, tell=lambda *counts: told.append(counts))
        loop.run(Users(iter(range(12)), 1, 1, now))
    assert told[0][:3] == (0, 0, 0)
    sent, ended, bad, response_s = told[-1]
    assert sent >= ended > 0
    assert bad == 0
    assert response_s >= ended * 0.06


def test_arrival_stamps_lie_between_sending_and_reading(dispatcher):
    """They ascend, and the last is the end of the exchange."""
    now = time.perf_counter_ns()
    with NullServer() as server:
        exchanges, tally = dispatcher(server.url, 20).run(Users(iter(range(20)), 2, 1, now))
    for exchange in exchanges:
        stamps = exchange.at_ns.tolist()
        assert exchange.sent_ns <= stamps[0]
        assert stamps == sorted(stamps)
        assert stamps[-1] == exchange.ended_ns
        assert exchange.upto[-1] == len(exchange.raw)
    if connections.stamps_arrivals():
        assert tally.lag_ns > 0


def test_a_stamp_that_a_set_clock_has_spoilt_is_not_believed():
    """Before the last event on the connection, or after the reading, it gives way to the reading."""
    clock = ArrivalClock()
    now_ns = time.perf_counter_ns()
    day_ns = time.time_ns()

    def stamp(off_ns):
        return connections._TIMESPEC.pack(*divmod(day_ns + off_ns, SECOND_NS))

    near = clock.place(stamp(0), now_ns - SECOND_NS, now_ns + SECOND_NS)
    assert abs(near - now_ns) < 100_000_000
    for hours_ns in (3600 * SECOND_NS, -3600 * SECOND_NS):
        assert clock.place(stamp(hours_ns), now_ns - SECOND_NS, now_ns) == now_ns


def test_what_counts_as_out_of_sockets():
    """Files, ports and memory can run out; a refusal is something else."""
    assert out_of_sockets(OSError(errno.EMFILE, ""))
    assert out_of_sockets(OSError(errno.EADDRNOTAVAIL, ""))
    assert not out_of_sockets(OSError(errno.ECONNREFUSED, ""))
