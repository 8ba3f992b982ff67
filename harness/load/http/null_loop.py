"""The loop of the null server: one thread, one epoll, one send a token."""

import contextlib
import heapq
import itertools
import os
import select
import socket
import time
from collections import deque
from dataclasses import dataclass, field

from accelbench.harness.load.http.connection import (
    CONTROL_BYTES,
    READ_BYTES,
    ArrivalClock,
    ask_for_stamps,
)
from accelbench.harness.load.http.null_answers import (
    CONTINUE,
    HEAD_BYTES,
    STREAM_HEAD,
    Answers,
    Asked,
    Head,
    RefusedError,
    answer,
    error,
    prompt_tokens,
    read_body,
    read_head,
)
from accelbench.harness.units import NS_PER_S

_TURN = 1024


@dataclass(frozen=True)
class Pace:
    """How the null server answers.

    Attributes:
        tokens: Of an answer whose request states no number.
        first_ns: From the start of service to the first token.
        gap_ns: Between tokens.
        slots: Requests served at once, others wait in the order of their coming; 0 for no limit.
    """

    tokens: int
    first_ns: int
    gap_ns: int
    slots: int


@dataclass(slots=True, eq=False)
class _Client:
    """A connection and the answer under way on it."""

    sock: socket.socket
    parts: list[bytes] = field(default_factory=list)  # of a request that is not whole yet
    size: int = 0  # of these
    need: int = 0  # of the whole request, once its head is known
    out: bytes = b""  # what the system did not take yet
    close: bool = False  # no more requests
    busy: bool = False  # a request is whole and its answer is not
    served: bool = False  # it has a slot
    chat: bool = False
    usage: tuple[int, int] | None = None
    at_ns: int = 0  # when the bytes of the latest reading arrived
    received_ns: int = 0
    due_ns: int = 0  # of the next token
    left: int = 0  # tokens to come
    ahead: bytes = b""  # goes before the first token
    role: bytes = b""
    token: bytes = b""
    last: bytes = b""
    stamps: list[int] | None = None  # where they are logged


class Loop:
    """All connections, in one thread.

    Args:
        listener: Listens and does not block.
        answers: Of the model.
        pace: How to answer.
        log: Takes for each request that is answered the instant at which it had arrived whole,
            by the kernel where it tells, then those at which its tokens were written; None for no
            log.
    """

    def __init__(
        self,
        listener: socket.socket,
        answers: Answers,
        pace: Pace,
        log: list[list[int]] | None = None,
    ) -> None:
        self._log = log
        self._listener = listener
        self._answers = answers
        self._pace = pace
        self._poll = select.epoll()
        self._clients: dict[int, _Client] = {}
        self._timers: list[tuple[int, int, _Client]] = []
        self._order = itertools.count()
        self._waiting: deque[_Client] = deque()
        self._served = 0
        self._full = False
        self._clock = ArrivalClock()
        ask_for_stamps(listener)
        self._poll.register(listener.fileno(), select.EPOLLIN)

    def serve(self, stdin: int | None) -> None:
        """Serves until what `stdin` reads has ended."""
        if stdin is not None:
            with contextlib.suppress(PermissionError):  # a file, which always can be read
                self._poll.register(stdin, select.EPOLLIN)
        while True:
            for fd, event in self._ready():
                client = self._clients.get(fd)
                if client is not None:
                    self._serve(client, event)
                elif fd == self._listener.fileno():
                    self._accept()
                elif fd == stdin and not os.read(fd, READ_BYTES):
                    return
            self._fire()

    def _ready(self) -> list[tuple[int, int]]:
        """Waits for connections or the next timer: select counts microseconds, epoll does not."""
        if not self._timers:
            return self._poll.poll()
        wait_ns = self._timers[0][0] - time.perf_counter_ns()
        if wait_ns > 0:
            select.select((self._poll,), (), (), wait_ns / NS_PER_S)
        return self._poll.poll(0)

    def _fire(self) -> None:
        timers = self._timers
        now = time.perf_counter_ns()
        while timers and timers[0][0] <= now:
            client = heapq.heappop(timers)[2]
            if client.served:
                self._advance(client)

    def _accept(self) -> None:
        """Takes all new connections; where the system has no more, until one is closed."""
        while True:
            try:
                sock = self._listener.accept()[0]
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                self._full = True
                self._poll.unregister(self._listener.fileno())
                return
            sock.settimeout(0)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._clients[sock.fileno()] = _Client(sock)
            self._poll.register(sock.fileno(), select.EPOLLIN)

    def _serve(self, client: _Client, event: int) -> None:
        if event & ~select.EPOLLOUT:
            self._read(client)
        if event & select.EPOLLOUT and client.out:
            self._flush(client)

    def _read(self, client: _Client) -> None:
        try:
            data, control, _, _ = client.sock.recvmsg(READ_BYTES, CONTROL_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data, control = b"", []
        now = time.perf_counter_ns()
        self._clock.refresh(now)
        client.at_ns = self._clock.place(control[0][2], client.at_ns, now) if control else now
        if not data or client.busy or client.out:  # gone, or does not wait for its answer
            self._drop(client)
        elif not client.close:
            client.parts.append(data)
            client.size += len(data)
            if client.size >= client.need:
                self._take(client, client.at_ns)

    def _take(self, client: _Client, now: int) -> None:
        """Takes up a request if all of it has come."""
        try:
            request = self._whole(client)
            if request is not None:
                client.parts, client.size, client.need = [], 0, 0
                client.close = request[0].close
                client.received_ns = now
                self._begin(client, *request)
        except RefusedError as refused:
            client.close = True
            self._write(client, error(refused))

    def _whole(self, client: _Client) -> tuple[Head, bytes] | None:
        data = b"".join(client.parts)
        client.parts = [data]
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if client.size > HEAD_BYTES:
                raise RefusedError(431, f"the head has more than {HEAD_BYTES} bytes")
            return None
        head = read_head(data[:end])
        need = end + 4 + head.length
        if client.size > need:
            raise RefusedError(400, "more came than one request")
        if client.size < need:
            client.need = need
            if head.asks:
                self._send(client, CONTINUE)
            return None
        return head, data[end + 4 :]

    def _begin(self, client: _Client, head: Head, body: bytes) -> None:
        """Begins to answer, or lets the request wait for a slot."""
        if head.chat is None:
            page = self._answers.pages.get(head.path)
            self._write(client, page or answer(404, {"detail": "Not Found"}))
            return
        asked = read_body(body, self._pace.tokens)
        self._prepare(client, asked, body, chat=head.chat)
        client.busy = True
        if self._log is not None:
            client.stamps = [client.received_ns]
            self._log.append(client.stamps)
        slots = self._pace.slots
        waits = slots and self._served >= slots
        if asked.stream and (waits or self._pace.first_ns):
            client.ahead = b""
            if not self._send(client, STREAM_HEAD):
                return
        if waits:
            self._waiting.append(client)
        else:
            self._start(client, client.received_ns)
            self._advance(client)

    def _prepare(self, client: _Client, asked: Asked, body: bytes, *, chat: bool) -> None:
        """Lays out the answer; one that is not streamed is a stream of one piece."""
        client.chat = chat
        client.usage = None
        if asked.stream:
            client.ahead = STREAM_HEAD
            client.role, client.token, client.last = self._answers.events[chat]
            client.left = asked.tokens
            client.due_ns = 0
            if asked.usage:
                client.usage = prompt_tokens(body), asked.tokens
            return
        client.ahead = client.role = client.token = b""
        prompt = prompt_tokens(body)
        client.last = self._answers.whole(
            asked.tokens, chat=chat, prompt=prompt, close=client.close
        )
        client.left = 1
        client.due_ns = self._pace.gap_ns * (asked.tokens - 1)

    def _start(self, client: _Client, now: int) -> None:
        """Gives a slot; `due_ns` was relative to the first token until here."""
        self._served += 1
        client.served = True
        client.due_ns += now + self._pace.first_ns

    def _advance(self, client: _Client) -> None:
        """Writes all tokens that are due, one send each, as long as the system takes them."""
        if client.out:
            return
        send, clock = client.sock.send, time.perf_counter_ns
        token, received, stamps = client.token, client.received_ns, client.stamps
        for _ in range(_TURN):
            if not client.left:
                self._finish(client)
                return
            now = clock()
            if now < client.due_ns:
                break
            client.due_ns += self._pace.gap_ns
            client.left -= 1
            if stamps is not None:
                stamps.append(now)
            data = (token if client.left else client.last) % (received, received, now)
            if client.ahead or client.role:
                data = self._opened(client, data, now)
            try:
                taken = send(data)
            except BlockingIOError:
                taken = 0
            except OSError:
                self._drop(client)
                return
            if taken < len(data):
                self._keep(client, data[taken:])
                return
        self._later(client, max(now, client.due_ns))

    def _later(self, client: _Client, at_ns: int) -> None:
        heapq.heappush(self._timers, (at_ns, next(self._order), client))

    def _opened(self, client: _Client, data: bytes, now: int) -> bytes:
        """The first token with what goes before it."""
        if client.role:
            data = client.role % (client.received_ns, client.received_ns, now) + data
        data = client.ahead + data
        client.ahead = client.role = b""
        return data

    def _finish(self, client: _Client) -> None:
        """Ends an answer, and gives its slot to the request that has waited longest."""
        client.busy = False
        tail = b""
        if client.token:
            received = client.received_ns
            at = received, received, time.perf_counter_ns()
            tail = self._answers.tail(chat=client.chat, usage=client.usage, at=at)
        self._release(client)
        self._write(client, tail)

    def _release(self, client: _Client) -> None:
        if not client.served:
            return
        client.served = False
        self._served -= 1
        while self._waiting:
            following = self._waiting.popleft()
            if following.busy:
                self._start(following, time.perf_counter_ns())
                self._later(following, following.due_ns)
                return

    def _write(self, client: _Client, data: bytes) -> None:
        """Writes what ends an answer."""
        if self._send(client, data) and not client.out:
            self._settle(client)

    def _settle(self, client: _Client) -> None:
        """All is written; the other side closes first, so that nothing on its way to it is lost."""
        if client.close:
            with contextlib.suppress(OSError):
                client.sock.shutdown(socket.SHUT_WR)

    def _send(self, client: _Client, data: bytes) -> bool:
        """Hands bytes to the system and keeps what it does not take; False if the client is gone."""
        try:
            taken = client.sock.send(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            self._drop(client)
            return False
        if taken < len(data):
            self._keep(client, data[taken:])
        return True

    def _keep(self, client: _Client, rest: bytes) -> None:
        client.out = rest
        self._poll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, client: _Client) -> None:
        rest, client.out = client.out, b""
        if not self._send(client, rest) or client.out:
            return
        self._poll.modify(client.sock.fileno(), select.EPOLLIN)
        if client.served:
            self._advance(client)
        elif not client.busy:
            self._settle(client)

    def _drop(self, client: _Client) -> None:
        """Ends a connection, whatever it was doing."""
        client.busy = False
        client.out = b""
        del self._clients[client.sock.fileno()]
        client.sock.close()
        self._release(client)
        if self._full:
            self._full = False
            self._poll.register(self._listener.fileno(), select.EPOLLIN)
