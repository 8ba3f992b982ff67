"""A connection that never blocks, and knows when the bytes it reads had arrived."""

import errno
import os
import select
import socket
import ssl
import sys
import time
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from accelbench.harness.load.http.live import Live

READ_BYTES = 65536
"""Most bytes of one reading."""

CONTROL_BYTES = 64
"""Room for what the kernel tells beside the bytes of a reading."""

_SO_TIMESTAMPNS = 35 if sys.platform == "linux" else None
_TIMESPEC = Struct("qq")
_NS_PER_S = 1_000_000_000
_REFRESH_NS = 500_000_000


class Peer(NamedTuple):
    """Whom to connect to, its name resolved.

    Attributes:
        family: Of the socket.
        address: As the socket takes it.
        name: The name a certificate must have.
        tls: How to encrypt; None for plain TCP.
    """

    family: int
    address: tuple[object, ...]
    name: str
    tls: ssl.SSLContext | None


def resolve(host: str, port: int, *, tls: bool) -> Peer:
    """The first address of a host.

    Raises:
        OSError: The name is not known.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    return Peer(family, address, host, ssl.create_default_context() if tls else None)


class ArrivalClock:
    """Brings the kernel's arrival times onto the monotonic clock.

    The kernel stamps by the time of day. Its distance from the monotonic clock is measured anew
    twice a second; what a step of the time of day spoils in between is found out by `place`.
    """

    __slots__ = ("_offset_ns", "_until_ns")

    def __init__(self) -> None:
        self._until_ns = 0
        self._offset_ns = 0
        self.refresh(time.perf_counter_ns())

    def refresh(self, now_ns: int) -> None:
        """Measures the distance again if it is old; of three tries the quickest counts."""
        if now_ns < self._until_ns:
            return
        self._until_ns = now_ns + _REFRESH_NS
        quickest = _NS_PER_S
        for _ in range(3):
            before = time.perf_counter_ns()
            day = time.time_ns()
            took = time.perf_counter_ns() - before
            if took < quickest:
                quickest = took
                self._offset_ns = day - before - took // 2

    def place(self, stamp: bytes, after_ns: int, now_ns: int) -> int:
        """When bytes arrived, on the monotonic clock; `now_ns` where the stamp cannot be true.

        Args:
            stamp: The kernel's.
            after_ns: When something earlier happened on the connection.
            now_ns: When the bytes were read.
        """
        seconds, rest = _TIMESPEC.unpack(stamp)
        at_ns: int = seconds * _NS_PER_S + rest - self._offset_ns
        return at_ns if after_ns <= at_ns <= now_ns else now_ns


class Connection:
    """A plain TCP connection.

    Args:
        peer: Whom to connect to.
        clock: For the times of arrivals.

    Attributes:
        fd: The socket's number.
        live: The exchange under way, or None while it is idle.
        served: Exchanges that it has ended well.
        open: Whether requests can be sent.
        at_ns: When the bytes of the latest reading arrived.
        lag_ns: How much later they were read.

    Raises:
        OSError: There is no socket to be had.
    """

    __slots__ = (
        "_clock",
        "_out",
        "_reached",
        "_sock",
        "at_ns",
        "fd",
        "lag_ns",
        "live",
        "open",
        "served",
    )

    def __init__(self, peer: Peer, clock: ArrivalClock) -> None:
        self._clock = clock
        self._sock = socket.socket(peer.family, socket.SOCK_STREAM)
        try:
            self._sock.settimeout(0)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask_for_stamps(self._sock)
            self._sock.connect(peer.address)
        except BlockingIOError:
            pass  # it is being made
        except OSError:
            self._sock.close()
            raise
        self.fd = self._sock.fileno()
        self.live: Live | None = None
        self.served = 0
        self.open = False
        self.at_ns = 0
        self.lag_ns = 0
        self._out = b""
        self._reached = False

    def failure(self) -> str:
        """Why the connection could not be made, or "" if it was."""
        number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return _told(number) if number else ""

    def interest(self) -> int:
        """What epoll is to wait for: room to write while it is being made or has bytes left."""
        waits = self._out or not self._reached
        return select.EPOLLIN | select.EPOLLOUT if waits else select.EPOLLIN

    def begin(self) -> bool:
        """The other side can be reached; returns whether requests can be sent now."""
        self._reached = self.open = True
        return True

    def send(self, data: bytes) -> bool:
        """Hands bytes to the system; returns whether it took all of them.

        Raises:
            OSError: The connection is broken.
        """
        try:
            taken = self._sock.send(data)
        except BlockingIOError:
            taken = 0
        self._out = data[taken:] if taken < len(data) else b""
        return not self._out

    def flush(self) -> bool:
        """Hands over what was left; returns whether nothing is left now.

        Raises:
            OSError: The connection is broken.
        """
        return self.send(self._out) if self._out else True

    def receive(self) -> bytes | None:
        """Bytes that have arrived, with `at_ns` and `lag_ns`; b"" at the end, None for none yet.

        Raises:
            OSError: The connection is broken.
        """
        try:
            data, control, _, _ = self._sock.recvmsg(READ_BYTES, CONTROL_BYTES)
        except BlockingIOError:
            return None
        now_ns = time.perf_counter_ns()
        if control:
            at_ns = self._clock.place(control[0][2], self.at_ns, now_ns)
            self.at_ns = at_ns
            self.lag_ns = now_ns - at_ns
        else:
            self.at_ns = now_ns
            self.lag_ns = 0
        return data

    def close(self) -> None:
        """Closes the socket."""
        self._sock.close()


class TlsConnection(Connection):
    """An encrypted connection: the bytes are stamped as they arrive, before they are deciphered."""

    __slots__ = ("_incoming", "_outgoing", "_session")

    def __init__(self, peer: Peer, clock: ArrivalClock) -> None:
        super().__init__(peer, clock)
        assert peer.tls is not None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = peer.tls.wrap_bio(self._incoming, self._outgoing, server_hostname=peer.name)

    def begin(self) -> bool:
        """Goes on with the handshake; returns whether it is done.

        Raises:
            OSError: The handshake failed, or the certificate is not good.
        """
        self._reached = True
        if self.open:
            return True
        data = super().receive()
        if data == b"":
            raise OSError(errno.ECONNRESET, "closed in the handshake")
        if data:
            self._incoming.write(data)
        try:
            self._session.do_handshake()
            self.open = True
        except ssl.SSLWantReadError:
            pass
        super().send(self._out + self._outgoing.read())
        return self.open

    def send(self, data: bytes) -> bool:
        """Enciphers and hands over; returns whether the system took all of it."""
        self._session.write(data)
        return super().send(self._out + self._outgoing.read())

    def flush(self) -> bool:
        """Hands over what was left; returns whether nothing is left now."""
        return super().send(self._out) if self._out else True

    def receive(self) -> bytes | None:
        """Deciphered bytes that have arrived; b"" at the end, None for none yet."""
        data = super().receive()
        if not data:
            return data
        self._incoming.write(data)
        parts = []
        try:
            while part := self._session.read(READ_BYTES):
                parts.append(part)
        except ssl.SSLWantReadError:
            return b"".join(parts) or None
        except ssl.SSLZeroReturnError:
            pass
        return b"".join(parts)


def connect(peer: Peer, clock: ArrivalClock) -> Connection:
    """Begins a connection.

    Raises:
        OSError: There is no socket to be had.
    """
    return Connection(peer, clock) if peer.tls is None else TlsConnection(peer, clock)


def ask_for_stamps(sock: socket.socket) -> None:
    """Has the kernel tell when bytes arrived, where it can; what a listener accepts inherits it."""
    if _SO_TIMESTAMPNS is not None:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def stamps_arrivals() -> bool:
    """Whether this system tells when bytes arrived, not only when they were read."""
    return _SO_TIMESTAMPNS is not None


def out_of_sockets(error: OSError) -> bool:
    """Whether the system has no socket, port or memory for one more connection."""
    return error.errno in _EXHAUSTED


def _told(number: int) -> str:
    return os.strerror(number)


_EXHAUSTED = (
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EADDRNOTAVAIL,
)
