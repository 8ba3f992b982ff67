"""Each misbehaviour of the server for tests is the one it is named for."""

import http.client
import json
import socket
import threading
from contextlib import closing, suppress
from urllib.parse import urlsplit

import pytest

from tests.harness.load.http.misbehaving import BEHAVIOURS, DONE, END, HEAD, misbehaving

ASKED = {"prompt": "a", "stream": True, "stream_options": {"include_usage": True}}
EVENT = b"data: {"


def connect(url):
    """A plain connection."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=10)


def send(sock, path="/v1/completions", **asked):
    """Sends one request."""
    body = json.dumps({**ASKED, **asked}).encode()
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)


def tokens_of(sock, count):
    """What comes until it holds so many events."""
    data = b""
    while data.count(b"}\n\n\r\n") < count:
        data += sock.recv(65536)
    return data


def everything(sock):
    """All that comes until the connection ends."""
    data = bytearray()
    while part := sock.recv(1 << 20):
        data += part
    return bytes(data)


def until(sock, end):
    """What comes until it ends so."""
    data = b""
    while not data.endswith(end):
        part = sock.recv(65536)
        assert part, data
        data += part
    return data


def once(name, **options):
    """All that comes for one request to a server that closes."""
    with misbehaving(name, **options) as url, closing(connect(url)) as sock:
        send(sock)
        return everything(sock)


def kept(name, end=END, **options):
    """What comes for a request, with the same coming for a second on the same connection."""
    with misbehaving(name, **options) as url, closing(connect(url)) as sock:
        send(sock)
        first = until(sock, end)
        send(sock)
        assert until(sock, end) == first
        return first


def test_good_is_good():
    """The server that does nothing wrong is understood by another client, in all its forms."""
    with misbehaving("good") as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        with closing(connection):
            connection.request("GET", "/v1/models")
            assert json.loads(connection.getresponse().read())["data"][0]["id"] == "model"
            for path in ("/v1/completions", "/v1/chat/completions"):
                connection.request("POST", path, json.dumps({**ASKED, "max_tokens": 3}))
                told = connection.getresponse().read()
                assert told.count(b" word") == 3
                assert told.endswith(b"data: [DONE]\n\n")
                assert b'"completion_tokens": 3' in told
                connection.request("POST", path, json.dumps({"max_tokens": 3}))
                choices = json.loads(connection.getresponse().read())["choices"]
                assert choices[0]["finish_reason"] == "length"


def test_refuse():
    """No connection can be made."""
    with misbehaving("refuse") as url, pytest.raises(ConnectionRefusedError):
        connect(url)


@pytest.mark.parametrize("tokens", [None, 2])
def test_hang(tokens):
    """Nothing comes, or nothing more after some tokens, and the connection stays."""
    with misbehaving("hang", tokens=tokens) as url, closing(connect(url)) as sock:
        send(sock)
        if tokens is not None:
            assert tokens_of(sock, tokens).startswith(HEAD)
        sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_close_at_once():
    """The connection ends before the request is read."""
    with misbehaving("close_at_once") as url, closing(connect(url)) as sock:
        assert sock.recv(1) == b""


def test_partial_head():
    """As many bytes of the head come as told."""
    assert once("partial_head", after=30) == HEAD[:30]


def test_half_stream():
    """Some tokens come, and then the end."""
    told = once("half_stream", tokens=3)
    assert told.count(EVENT) == 3
    assert not told.endswith(END)


def test_reset_mid_stream():
    """After some tokens the client is told of a reset."""
    with misbehaving("reset_mid_stream") as url, closing(connect(url)) as sock:
        send(sock)
        with pytest.raises(ConnectionResetError):
            everything(sock)


@pytest.mark.parametrize(
    ("name", "status", "part"),
    [
        ("too_many_requests", b"429", b"Retry-After: 1\r\n"),
        ("internal_error", b"500", b"<html>"),
        ("wrong_type", b"200", b"Content-Type: text/html"),
    ],
)
def test_other_answers(name, status, part):
    """The answer has its status and its form, and the connection is kept."""
    told = kept(name, {"too_many_requests": b"}}"}.get(name, b"</html>"))
    assert told.startswith(b"HTTP/1.1 " + status)
    assert part in told


def test_redirect():
    """The answer names another place."""
    told = kept("redirect", b"\r\n\r\n", to="/there")
    assert told.startswith(b"HTTP/1.1 302 ")
    assert b"Location: /there\r\n" in told


def test_streams_that_are_wrong_inside():
    """The transfer is right, and what it carries is not."""
    assert b'"ind\n\n' in kept("bad_json")
    assert b'{"error": {' in kept("error_event")
    assert kept("zero_tokens") == HEAD + DONE + END
    assert DONE not in kept("no_done")
    assert b'"length"' in kept("no_done")
    assert b"completion_tokens" not in kept("no_usage")
    assert b'"completion_tokens": 99' in kept("contradicting_usage", told=99)


def test_endless():
    """Tokens come until the client goes away; the server ends none the less."""
    with misbehaving("endless") as url, closing(connect(url)) as sock:
        send(sock)
        came = 0
        while came < 1_000_000 and (data := sock.recv(65536)):
            came += len(data)
        assert came >= 1_000_000


def test_long_line():
    """The line has its length and no end."""
    told = once("long_line", size=2_500_000)
    assert told.count(b"a") >= 2_500_000
    assert told.endswith(END)
    assert b"\n\n" not in told[len(HEAD) :].replace(b"\r\n", b"")


def test_bad_chunk_size():
    """After a token the size of a chunk is no number."""
    with misbehaving("bad_chunk_size") as url, closing(connect(url)) as sock:
        send(sock)
        assert b"\r\nzz\r\n" in until(sock, END)


@pytest.mark.parametrize(("name", "off"), [("length_too_long", 100), ("length_too_short", -20)])
def test_wrong_lengths(name, off):
    """The head states other bytes than come."""
    told = once(name) if off > 0 else kept(name, b"[DONE]\n\n")
    head, _, body = told.partition(b"\r\n\r\n")
    assert int(head.rpartition(b": ")[2]) == len(body) + off


def test_slow_loris():
    """A good stream comes a byte at a time."""
    with misbehaving("slow_loris", gap_s=0.001) as url, closing(connect(url)) as sock:
        send(sock, max_tokens=1)
        readings = []
        while not b"".join(readings).endswith(END):
            readings.append(sock.recv(65536))
    assert len(readings) > len(b"".join(readings)) / 4


def test_close_after_answer():
    """The answer is whole and promises to go on, and the connection ends."""
    told = once("close_after_answer")
    assert told.endswith(END)
    assert b"close" not in told.lower()


def test_continue_first():
    """Another response comes before the good one."""
    told = kept("continue_first")
    assert told.startswith(b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD)


def test_dies_after():
    """Some requests are answered, then all connections end and none can be made."""
    with misbehaving("dies_after", requests=2, tokens=1) as url:
        with closing(connect(url)) as first, closing(connect(url)) as other:
            for sock in (first, other):
                send(sock)
                until(sock, END)
            send(first)
            assert everything(first).count(EVENT) == 1
            assert everything(other) == b""
        with pytest.raises(ConnectionRefusedError):
            connect(url)


def test_nothing_is_left_behind():
    """Whatever a client leaves undone, the end of the block ends all threads."""
    before = threading.active_count()
    for behaviour in BEHAVIOURS:
        with misbehaving(behaviour.__name__) as url, suppress(OSError), connect(url) as sock:
            send(sock)
        assert threading.active_count() == before
