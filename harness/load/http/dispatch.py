"""The loop of a dispatcher: sends what is due, keeps what arrives, and reads none of it."""

import gc
import select
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from accelbench.harness.load.http.alarm import Alarm
from accelbench.harness.load.http.connection import (
    ArrivalClock,
    Connection,
    Peer,
    connect,
    out_of_sockets,
    stamps_arrivals,
)
from accelbench.harness.load.http.exchange import Exchange, Outcome
from accelbench.harness.load.http.feed import Feed, Scheduled
from accelbench.harness.load.http.framing import MalformedResponse
from accelbench.harness.load.http.live import Limits, Live, Tally

_NS_PER_S = 1_000_000_000
_TICK_NS = 50_000_000
_NEWS_NS = 500_000_000
_LAGS = 1 << 16
_NO_MEMORY = "the load generator has no memory for more than {} bytes"

Tell = Callable[[int, int, int, float], None]
"""Takes how many requests were sent, have ended, and of these did not end well; and the sum of
the response times of the others, seconds."""


class Dispatcher:
    """Drives requests over connections of its own, in one thread.

    Args:
        peer: Whom to connect to.
        bodies: Each whole request, by its place in the plan.
        limits: Where to give up.
        tell: Takes counts, twice a second.
    """

    def __init__(self, peer: Peer, bodies: Sequence[bytes], limits: Limits, tell: Tell) -> None:
        self._peer = peer
        self._bodies = bodies
        self._limits = limits
        self._tell = tell
        self._clock = ArrivalClock()
        self._poll = select.epoll()
        self._by_fd: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._backlog: deque[Live] = deque()
        self._deadlines: deque[tuple[int, Live, Connection]] = deque()
        self._exchanges: list[Exchange] = []
        self._lags = array("L", bytes(_LAGS * array("L").itemsize))
        self._opened = array("q")
        self._resends = 0
        self._sent = 0
        self._bad = 0
        self._response_ns = 0
        self._under_way = 0
        self._feed: Feed = Scheduled((), (), None)
        self._alarm = Alarm()
        self._wake_ns = 0  # when to look at the clock's work again
        self._tick_ns = 0
        self._news_ns = 0
        self._poll.register(self._alarm.fd, select.EPOLLIN | select.EPOLLET)

    def prepare(self, connections: int) -> None:
        """Opens connections, so that the first requests need not."""
        for _ in range(connections):
            try:
                connection = connect(self._peer, self._clock)
            except OSError:
                return
            self._join(connection)

    def run(self, feed: Feed) -> tuple[list[Exchange], Tally]:
        """Sends all that the feed has and waits for the end of each.

        Returns:
            What became of each request that was taken from the feed, in the order of their ends,
            and what the dispatcher tells of itself.
        """
        self._feed = feed
        with _garbage_waits():
            began, cpu = time.perf_counter_ns(), time.process_time_ns()
            while self._goes_on():
                self._take(self._poll.poll())
            cpu, ended = time.process_time_ns() - cpu, time.perf_counter_ns()
        self._poll.close()
        self._alarm.close()
        for connection in self._by_fd.values():
            connection.close()
        tally = Tally(
            cpu / _NS_PER_S,
            (ended - began) / _NS_PER_S,
            self._lag_p99(),
            tuple(self._opened),
            self._resends,
        )
        return self._exchanges, tally

    def _goes_on(self) -> bool:
        """Does what the clock or an end has made due; returns whether anything is left to do."""
        now = time.perf_counter_ns()
        if now >= self._wake_ns:
            if now >= self._limits.give_up_ns:
                self._give_all_up(now)
                return False
            if now >= self._tick_ns:
                self._tick(now)
            self._send_due(now)
        return self._under_way > 0 or self._feed.next_ns() is not None

    def _send_due(self, now: int) -> None:
        while self._backlog and self._idle:
            self._transmit(self._idle.pop(), self._backlog.popleft())
        while taken := self._feed.take(now):
            live = Live(taken[0], taken[1], self._bodies[taken[0]])
            self._sent += 1
            self._under_way += 1
            if self._idle:
                self._transmit(self._idle.pop(), live)
            else:
                self._dial(live)
        due = self._feed.next_ns()
        self._wake_ns = self._tick_ns if due is None else min(due, self._tick_ns)
        self._alarm.set(self._wake_ns)

    def _dial(self, live: Live) -> None:
        """Opens a connection for a request; without a socket it waits for one."""
        now = time.perf_counter_ns()
        if live.sent_ns is None and now - live.due_ns > self._limits.timeout_ns:
            self._end(live, now, "unsent", "no socket was free in time")
            return
        try:
            connection = connect(self._peer, self._clock)
        except OSError as error:
            if out_of_sockets(error):
                self._backlog.append(live)
            else:
                live.sent_ns = live.sent_ns or now
                self._end(live, now, "refused", error.strerror or str(error))
            return
        self._join(connection)
        self._launch(connection, live, now)

    def _join(self, connection: Connection) -> None:
        self._by_fd[connection.fd] = connection
        self._opened.append(time.perf_counter_ns())
        self._poll.register(connection.fd, connection.interest())

    def _launch(self, connection: Connection, live: Live, now: int) -> None:
        """From here on the request counts as sent."""
        if live.sent_ns is None:
            live.sent_ns = now
        connection.live = live
        connection.at_ns = now
        self._deadlines.append((live.sent_ns + self._limits.timeout_ns, live, connection))

    def _transmit(self, connection: Connection, live: Live) -> None:
        """Sends a request over an open connection."""
        self._launch(connection, live, time.perf_counter_ns())
        self._hand_over(connection, live)

    def _hand_over(self, connection: Connection, live: Live) -> None:
        try:
            all_taken = connection.send(live.body)
        except OSError as error:
            self._broken(connection, error.strerror or str(error))
            return
        if not all_taken:
            self._poll.modify(connection.fd, connection.interest())

    def _take(self, events: Sequence[tuple[int, int]]) -> None:
        """Takes what has come; the alarm's ringing is taken by `_goes_on`."""
        by_fd = self._by_fd
        for fd, event in events:
            connection = by_fd.get(fd)
            if connection is None:
                continue
            if not connection.open:
                self._dialling(connection)
                continue
            if event & select.EPOLLOUT:
                self._flush(connection)
            if event & ~select.EPOLLOUT and connection.fd in by_fd:
                self._readable(connection)

    def _dialling(self, connection: Connection) -> None:
        """A connection that was being made has got somewhere, or nowhere."""
        failure = connection.failure()
        try:
            ready = not failure and connection.begin()
        except OSError as error:
            failure = error.strerror or str(error)
        if failure:
            self._drop(connection)
            if connection.live is not None:
                self._end(connection.live, time.perf_counter_ns(), "refused", failure)
            return
        self._poll.modify(connection.fd, connection.interest())
        if not ready:
            return
        if connection.live is not None:
            self._hand_over(connection, connection.live)
        else:
            self._idle.append(connection)

    def _flush(self, connection: Connection) -> None:
        try:
            done = connection.flush()
        except OSError as error:
            self._broken(connection, error.strerror or str(error))
            return
        if done:
            self._poll.modify(connection.fd, connection.interest())

    def _readable(self, connection: Connection) -> None:
        try:
            data = connection.receive()
        except OSError as error:
            self._broken(connection, error.strerror or str(error))
            return
        except MemoryError:
            self._overflow(connection)
            return
        if data is None:
            return
        live = connection.live
        if live is None or not data:
            self._broken(connection, "the server closed the connection", clean=True)
            return
        live.readings.append(data)
        live.size += len(data)
        live.at_ns.append(connection.at_ns)
        live.upto.append(live.size)
        self._lags[min(connection.lag_ns >> 10, _LAGS - 1)] += 1
        try:
            whole = live.framing.feed(data)
        except MalformedResponse as error:
            self._drop(connection)
            self._end(live, connection.at_ns, "malformed", str(error))
            return
        if whole:
            self._complete(connection, live)
        elif live.size > self._limits.response_bytes:
            self._drop(connection)
            told = f"more than {self._limits.response_bytes} bytes came"
            self._end(live, connection.at_ns, "too_large", told)

    def _overflow(self, connection: Connection) -> None:
        """There is no memory for more: the answer under way is given up, and what came of it."""
        self._drop(connection)
        live, connection.live = connection.live, None
        if live is not None:
            live.readings.clear()
            self._end(live, time.perf_counter_ns(), "too_large", _NO_MEMORY.format(live.size))

    def _complete(self, connection: Connection, live: Live) -> None:
        connection.live = None
        connection.served += 1
        self._response_ns += connection.at_ns - live.due_ns
        if live.framing.keep_alive:
            self._idle.append(connection)
        else:
            self._drop(connection)
        self._end(live, connection.at_ns, "complete", "")
        self._send_due(time.perf_counter_ns())

    def _broken(self, connection: Connection, why: str, *, clean: bool = False) -> None:
        """The connection has ended. A request that an idle one took in vain is sent once more."""
        self._drop(connection)
        live, connection.live = connection.live, None
        if live is None:
            return
        if connection.served and not live.size and not live.resent:
            live.resent = True
            self._resends += 1
            self._dial(live)
        elif clean and live.framing.eof():
            self._end(live, connection.at_ns, "complete", "")
        else:
            self._end(live, time.perf_counter_ns(), "closed", why)

    def _drop(self, connection: Connection) -> None:
        del self._by_fd[connection.fd]
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()

    def _tick(self, now: int) -> None:
        """What is done now and then: time limits, requests without a socket, the clock, news."""
        self._tick_ns = min(now + _TICK_NS, self._limits.give_up_ns)
        deadlines = self._deadlines
        while deadlines and (deadlines[0][1].over or deadlines[0][0] <= now):
            _, live, connection = deadlines.popleft()
            if connection.live is live and not live.over:
                self._drop(connection)
                self._end(live, now, "timeout", "")
        waiting, self._backlog = self._backlog, deque()
        for live in waiting:
            self._dial(live)
        self._clock.refresh(now)
        if now >= self._news_ns:
            self._news_ns = now + _NEWS_NS
            response_s = self._response_ns / _NS_PER_S
            self._tell(self._sent, len(self._exchanges), self._bad, response_s)

    def _give_all_up(self, now: int) -> None:
        """The time is up: nothing more is sent, what is on its way is given up."""
        for connection in list(self._by_fd.values()):
            live = connection.live
            self._drop(connection)
            if live is not None:
                self._end(live, now, "timeout", "the time limit of the trial came first")
        for live in self._backlog:
            self._end(live, now, "unsent", "the time limit of the trial came first")
        self._backlog.clear()

    def _end(self, live: Live, at_ns: int, outcome: Outcome, detail: str) -> None:
        live.over = True
        self._wake_ns = 0
        try:
            raw = b"".join(live.readings)
        except MemoryError:
            raw, outcome, detail = b"", "too_large", _NO_MEMORY.format(live.size)
        self._under_way -= 1
        self._bad += outcome != "complete"
        self._exchanges.append(
            Exchange(
                number=live.number,
                due_ns=live.due_ns,
                sent_ns=live.sent_ns,
                ended_ns=at_ns,
                outcome=outcome,
                detail=detail,
                raw=raw,
                at_ns=live.at_ns,
                upto=live.upto,
            )
        )
        live.readings.clear()
        self._feed.ended(live.number, at_ns)

    def _lag_p99(self) -> int | None:
        """The lag that 99 % of all readings do not exceed, in steps of 1024 ns."""
        total = sum(self._lags)
        if not total or not stamps_arrivals():
            return None
        seen = 0
        for step, count in enumerate(self._lags):
            seen += count
            if seen >= 0.99 * total:
                return (step + 1) << 10
        return None


@contextmanager
def _garbage_waits() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
