"""A server that does one thing wrong, for tests of what a client makes of it.

`with misbehaving("half_stream", tokens=3) as url:` starts one; the name is that of a function
below, the options are its own. Each function is the whole of one connection: where it returns, the
connection is closed. Pages that are only read are answered well where requests are read at all.
"""

import json
import socket
import struct
import threading
from contextlib import closing, contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
MODEL = "model"


def chunk(data):
    """Bytes as one chunk of a chunked transfer."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(document):
    """One server-sent event, in a chunk of its own."""
    return chunk(b"data: " + json.dumps(document).encode() + b"\n\n")


DONE = chunk(b"data: [DONE]\n\n")


def counts(tokens):
    """What a server says of the tokens of a request."""
    return {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}


def response(status, kind, body, fields=""):
    """A whole response with a stated length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{fields}Content-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


class Wire:
    """One connection of the server."""

    def __init__(self, server, sock):
        self.server = server
        self._sock = sock
        self._came = b""
        self._chat = False
        self._asked = {}

    def requests(self):
        """Reads one request after the other."""
        while True:
            yield self.request()

    def request(self):
        """Reads the next request that asks for tokens; ConnectionError where none comes any more."""
        while True:
            line, body = self._read()
            method, path, _ = line.split(" ")
            if method == "post":
                self._chat = "chat" in path
                self._asked = json.loads(body)
                return
            told = {"data": [{"id": MODEL, "object": "model"}]} if path == "/v1/models" else {}
            self.send(response("200 OK", "application/json", json.dumps(told).encode()))

    def _read(self):
        """The first line of a request, and its body."""
        while b"\r\n\r\n" not in self._came:
            self._more()
        head, _, self._came = self._came.partition(b"\r\n\r\n")
        line, *fields = head.decode().lower().split("\r\n")
        length = int(dict(field.split(":", 1) for field in fields).get("content-length", 0))
        while len(self._came) < length:
            self._more()
        body, self._came = self._came[:length], self._came[length:]
        return line, body

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise ConnectionAbortedError
        self._came += data

    def send(self, data):
        """Sends all of it; OSError where the client or the server is gone."""
        self._sock.sendall(data)

    def pause(self, seconds=None):
        """Waits, without a number until the server ends."""
        if self.server.over.wait(seconds):
            raise ConnectionAbortedError

    def reset(self):
        """Ends the connection so that the client is told of a reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    @property
    def wanted(self):
        """How many tokens the request asks for."""
        return self._asked.get("max_completion_tokens") or self._asked.get("max_tokens") or 4

    def token(self, reason=None):
        """The event of one token."""
        said = {"delta": {"content": " word"}} if self._chat else {"text": " word"}
        return self._document([{"index": 0, **said, "finish_reason": reason}])

    def tokens(self, count):
        """The events of tokens, the last with a reason."""
        return self.token() * (count - 1) + self.token("length")

    def usage(self, count):
        """The event that counts tokens."""
        return self._document([], counts(count))

    def _document(self, choices, usage=None):
        return event({"id": "x", "model": MODEL, "choices": choices, "usage": usage})

    def answer(self):
        """Answers as a good server does."""
        count = self.wanted
        if self._asked.get("stream"):
            usage = self.usage(count) if self._asked.get("stream_options") else b""
            self.send(HEAD + self.tokens(count) + usage + DONE + END)
            return
        text = " word" * count
        said = {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        choices = [{"index": 0, **said, "finish_reason": "length"}]
        told = {"id": "x", "model": MODEL, "choices": choices, "usage": counts(count)}
        self.send(response("200 OK", "application/json", json.dumps(told).encode()))


def good(wire):
    """Does nothing wrong."""
    for _ in wire.requests():
        wire.answer()


def refuse(wire):
    """Takes no connection (the server does not listen)."""


def hang(wire, tokens=None):
    """Takes the request and never answers, or never goes on after some tokens."""
    wire.request()
    if tokens is not None:
        wire.send(HEAD + wire.token() * tokens)
    wire.pause()


def close_at_once(wire):
    """Closes a connection as soon as it is made."""


def partial_head(wire, after=20):
    """Closes within the head of the response."""
    wire.request()
    wire.send(HEAD[:after])


def half_stream(wire, tokens=2):
    """Closes within a stream, between two events."""
    wire.request()
    wire.send(HEAD + wire.token() * tokens)


def reset_mid_stream(wire, tokens=2):
    """Resets the connection within a stream."""
    wire.request()
    wire.send(HEAD + wire.token() * tokens)
    wire.reset()


def too_many_requests(wire, retry_after=1):
    """Answers 429, says when to come again, and keeps the connection."""
    error = {"message": "slow down", "type": "rate_limit_error", "param": None, "code": 429}
    body = json.dumps({"error": error}).encode()
    for _ in wire.requests():
        after = f"Retry-After: {retry_after}\r\n"
        wire.send(response("429 Too Many Requests", "application/json", body, after))


def internal_error(wire):
    """Answers 500 with a page for people."""
    for _ in wire.requests():
        wire.send(response("500 Internal Server Error", "text/html", b"<html>Sorry</html>"))


def bad_json(wire):
    """Sends an event within a stream that is no JSON."""
    for _ in wire.requests():
        broken = wire.token() + chunk(b'data: {"choices": [{"ind\n\n')
        wire.send(HEAD + broken + wire.tokens(2) + DONE + END)


def error_event(wire, tokens=1):
    """Tells of an error within a stream that began well with status 200."""
    error = event({"error": {"message": "out of memory", "code": 500}})
    for _ in wire.requests():
        wire.send(HEAD + wire.token() * tokens + error + DONE + END)


def wrong_type(wire):
    """Answers 200 with a page for people."""
    for _ in wire.requests():
        wire.send(response("200 OK", "text/html", b"<html><body>Welcome</body></html>"))


def endless(wire, gap_s=0.0):
    """Sends tokens until the client goes away."""
    wire.request()
    wire.send(HEAD)
    while True:
        wire.send(wire.token())
        wire.pause(gap_s)


def long_line(wire, size=100_000_000):
    """Sends one event of very many bytes without an end of line."""
    wire.request()
    wire.send(HEAD + chunk(b"data: "))
    while size > 0:
        wire.send(chunk(b"a" * min(size, 1_000_000)))
        size -= 1_000_000
    wire.send(END)


def zero_tokens(wire):
    """Ends a stream before the first token, as if all were well."""
    for _ in wire.requests():
        wire.send(HEAD + DONE + END)


def no_done(wire):
    """Ends a stream with the last token's reason and without the mark of the end."""
    for _ in wire.requests():
        wire.send(HEAD + wire.tokens(wire.wanted) + END)


def no_usage(wire):
    """Counts no tokens, also where it is asked to."""
    for _ in wire.requests():
        wire.send(HEAD + wire.tokens(wire.wanted) + DONE + END)


def contradicting_usage(wire, told=1):
    """Counts other tokens than it sends."""
    for _ in wire.requests():
        wire.send(HEAD + wire.tokens(wire.wanted) + wire.usage(told) + DONE + END)


def bad_chunk_size(wire, size=b"zz"):
    """States the size of a chunk by what is no number."""
    wire.request()
    wire.send(HEAD + wire.token() + size + b"\r\n" + wire.token() + DONE + END)
    wire.pause()


def length_too_long(wire, by=100):
    """Closes before as many bytes have come as the head states."""
    _stated(wire, by)


def length_too_short(wire, by=20):
    """Goes on after as many bytes as the head states, and keeps the connection."""
    while True:
        _stated(wire, -by)


def _stated(wire, off):
    wire.request()
    body = b'data: {"choices": [{"index": 0, "text": " word"}]}\n\ndata: [DONE]\n\n'
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body) + off}"
    )
    wire.send(head.encode() + b"\r\n\r\n" + body)


def slow_loris(wire, gap_s=0.05):
    """Sends a good stream byte by byte."""
    wire.request()
    for byte in HEAD + wire.tokens(wire.wanted) + DONE + END:
        wire.send(bytes([byte]))
        wire.pause(gap_s)


def close_after_answer(wire):
    """Answers well, does not say that it closes the connection, and closes it."""
    wire.request()
    wire.answer()


def redirect(wire, to="/elsewhere"):
    """Sends the client to another place."""
    for _ in wire.requests():
        wire.send(response("302 Found", "text/plain", b"", f"Location: {to}\r\n"))


def continue_first(wire):
    """Says 100 Continue unasked before each good answer."""
    for _ in wire.requests():
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.answer()


def dies_after(wire, requests=3, tokens=None):
    """Answers some requests well; at the next, perhaps after some tokens, the whole server ends."""
    for _ in wire.requests():
        if wire.server.count() > requests:
            if tokens is not None:
                wire.send(HEAD + wire.token() * tokens)
            wire.server.stop()
        wire.answer()


BEHAVIOURS = (
    *(good, refuse, hang, close_at_once, partial_head, half_stream, reset_mid_stream),
    *(too_many_requests, internal_error, bad_json, error_event, wrong_type, endless, long_line),
    *(zero_tokens, no_done, no_usage, contradicting_usage, bad_chunk_size, length_too_long),
    *(length_too_short, slow_loris, close_after_answer, redirect, continue_first, dies_after),
)


class _Server:
    """Listens, and has a thread for each connection."""

    def __init__(self, behaviour, options):
        self.over = threading.Event()
        self._behave = behaviour
        self._options = options
        self._requests = 0
        self._lock = threading.Lock()
        self._threads = []
        self.listener = socket.socket()
        self._socks = [self.listener]
        self.listener.bind(("127.0.0.1", 0))

    def listen(self):
        """Takes connections until the server ends."""
        self.listener.listen(512)
        self._start(self._accept)

    def _start(self, work, *sock):
        self._threads.append(threading.Thread(target=work, args=sock))
        self._threads[-1].start()

    def _accept(self):
        with suppress(OSError):
            while not self.over.is_set():
                self._start(self._connection, self.listener.accept()[0])

    def _connection(self, sock):
        with self._lock:
            self._socks.append(sock)
        with closing(sock), suppress(OSError):
            if not self.over.is_set():
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._behave(Wire(self, sock), **self._options)

    def count(self):
        """Counts a request of any connection and tells how many there were."""
        with self._lock:
            self._requests += 1
            return self._requests

    def stop(self):
        """Ends all connections and listens no more."""
        self.over.set()
        with self._lock:
            for sock in self._socks:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def join(self):
        """Waits for the end of all connections."""
        for thread in self._threads:
            thread.join()


@contextmanager
def misbehaving(name, **options):
    """A server that behaves as the function of that name, for the length of a `with`.

    Yields:
        Its base address.
    """
    server = _Server({one.__name__: one for one in BEHAVIOURS}[name], options)
    with closing(server.listener):
        if name != "refuse":
            server.listen()
        try:
            yield f"http://127.0.0.1:{server.listener.getsockname()[1]}"
        finally:
            server.stop()
            server.join()
