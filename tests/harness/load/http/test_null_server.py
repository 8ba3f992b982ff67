"""The null server answers like a real one, when it says, and never outlives who started it."""

import http.client
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load.http import null_server
from accelbench.harness.load.http.null_answers import RefusedError, prompt_tokens, read_body
from accelbench.harness.load.http.null_server import NullServer

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
COMMAND = [sys.executable, "-m", "accelbench.harness.load.http.null_server"]
USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def url():
    """A null server without delays."""
    with NullServer(tokens=5, model="100 % null") as server:
        yield server.url


def connect(url):
    """A plain connection."""
    place = urlsplit(url)
    return socket.create_connection((place.hostname, place.port), timeout=10)


def request(path, body, fields=""):
    """The bytes of a POST."""
    told = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(told)}\r\n\r\n"
    return head.encode() + told


def receive(sock, end=b"0\r\n\r\n"):
    """All bytes until those that end a response."""
    data = bytearray()
    while not data.endswith(end):
        part = sock.recv(1 << 20)
        assert part, f"closed after {data!r}"
        data += part
    return bytes(data)


def chunks(raw):
    """The chunks of a response."""
    at = raw.index(b"\r\n\r\n") + 4
    found = []
    while at < len(raw):
        begin = raw.index(b"\r\n", at) + 2
        end = begin + int(raw[at:begin], 16)
        assert raw[end : end + 2] == b"\r\n"
        found.append(raw[begin:end])
        at = end + 2
    return found


def stream(url, path=COMPLETIONS, **asked):
    """The events of one streamed answer."""
    with closing(connect(url)) as sock:
        sock.sendall(request(path, {"prompt": "a b", "stream": True, **asked}))
        return events(receive(sock))


def events(raw):
    """The events of a response, without the mark of the end."""
    return [json.loads(chunk.removeprefix(b"data: ")) for chunk in chunks(raw)[:-2]]


def call(url, method, path, body=None):
    """Status and document of one response, by another client."""
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read())


def test_every_token_is_an_event_in_a_chunk_of_its_own(url):
    """A stream is one chunk a token, a mark of the end, and an empty chunk."""
    with closing(connect(url)) as sock:
        sock.sendall(request(COMPLETIONS, {"prompt": "a", "stream": True}))
        raw = receive(sock)
    assert raw.startswith(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream")
    parts = chunks(raw)
    assert parts[-2:] == [b"data: [DONE]\n\n", b""]
    assert len(parts) == 5 + 2
    assert all(part.startswith(b"data: {") and part.endswith(b"\n\n") for part in parts[:5])


def test_a_completion_ends_with_its_reason(url):
    """Only the last token says why it is the last, and the model is the one served."""
    told = stream(url)
    assert [event["choices"][0]["text"] for event in told] == [" word"] * 5
    assert [event["choices"][0]["finish_reason"] for event in told] == [None] * 4 + ["length"]
    assert {event["model"] for event in told} == {"100 % null"}
    assert len({event["id"] for event in told}) == 1
    assert told[0]["id"] != stream(url)[0]["id"]


def test_a_chat_begins_with_its_role(url):
    """The first event of a chat is the role, then comes one event a token."""
    deltas = [event["choices"][0]["delta"] for event in stream(url, CHAT, max_tokens=2)]
    assert deltas == [{"role": "assistant", "content": ""}, *[{"content": " word"}] * 2]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({}, 5),
        ({"max_tokens": 1}, 1),
        ({"max_tokens": 7, "max_completion_tokens": 3}, 3),
        ({"max_tokens": None}, 5),
        ({"prompt": 'say "max_tokens": 3, "stream": false', "max_tokens": 2}, 2),
        ({"stop": ["max_tokens", "stream"], "max_tokens": 2}, 2),
    ],
)
def test_as_many_tokens_as_asked(url, asked, count):
    """The request's own number counts, wherever it stands and whatever its texts say."""
    assert len(stream(url, **asked)) == count


def test_stamps_lie_between_the_clients_own(url):
    """Sent, received, written, arrived: on one clock and in this order, event by event."""
    with closing(connect(url)) as sock:
        sent = time.perf_counter_ns()
        sock.sendall(request(CHAT, {"stream": True, **USAGE}))
        stamps = [event["null"] for event in events(receive(sock))]
        arrived = time.perf_counter_ns()
    assert len({stamp["received_ns"] for stamp in stamps}) == 1
    written = [stamp["written_ns"] for stamp in stamps]
    assert sent <= stamps[0]["received_ns"] <= written[0]
    assert written == sorted(written)
    assert written[-1] <= arrived
    assert written[0] == written[1]  # the role goes out with the first token
    assert len(set(written[1:])) == 6


def test_usage_only_where_asked(url):
    """A last event without choices counts the tokens, where the request asks for it."""
    last = stream(url, prompt=[1, 2, 3], max_tokens=4, **USAGE)[-1]
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 3, "total_tokens": 7, "completion_tokens": 4}
    assert all(event["usage"] is None for event in stream(url))


@pytest.mark.parametrize(("path", "key"), [(COMPLETIONS, "text"), (CHAT, "message")])
def test_an_answer_that_is_not_streamed_is_one_document(url, path, key):
    """Without `stream` the answer is one JSON document with its counts and stamps."""
    status, told = call(url, "POST", path, {"prompt": "a", "max_tokens": 2})
    said = told["choices"][0][key]
    assert status == 200
    assert said in (" word word", {"role": "assistant", "content": " word word"})
    assert told["usage"]["completion_tokens"] == 2
    assert told["null"]["received_ns"] <= told["null"]["written_ns"]


def test_pages_of_a_server(url):
    """Health, version and models are told as by a real server."""
    assert call(url, "GET", "/health") == (200, {})
    assert call(url, "GET", "/version") == (200, {"version": "null"})
    assert call(url, "GET", "/v1/models?x=1")[1]["data"][0]["id"] == "100 % null"


def test_a_connection_is_used_again(url):
    """Requests follow each other on one connection, streamed or not, good or unknown."""
    with closing(connect(url)) as sock:
        for _ in range(3):
            sock.sendall(request(COMPLETIONS, {"stream": True}))
            assert len(events(receive(sock))) == 5
            sock.sendall(b"GET /nothing HTTP/1.1\r\n\r\n")
            assert receive(sock, b"}").startswith(b"HTTP/1.1 404 ")


def test_a_request_that_comes_in_pieces(url):
    """Where a request is cut makes no difference, and a client that asks first is told to go on."""
    whole = request(COMPLETIONS, {"stream": True}, "Expect: 100-continue\r\n")
    body = whole.index(b"{")
    with closing(connect(url)) as sock:
        for place in range(body):
            sock.sendall(whole[place : place + 1])
        assert receive(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(whole[body:-3])
        sock.sendall(whole[-3:])
        assert len(events(receive(sock))) == 5


def test_close_is_honoured(url):
    """The connection ends after the answer to a request that says so."""
    with closing(connect(url)) as sock:
        sock.sendall(request(COMPLETIONS, {"stream": True}, "Connection: close\r\n"))
        receive(sock)
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST /v1/completions HTTP/1.1\r\n\r\n", 411),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: few\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /v1/completions HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", 505),
        (b"GET /v1/completions HTTP/1.1\r\n\r\n", 405),
        (b"POST /nothing HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 404),
        (b"hello\r\n\r\n", 400),
        (b"x" * 70000, 431),
        (b"GET /health HTTP/1.1\r\n\r\n" * 2, 400),
        (request(COMPLETIONS, {"max_tokens": 0}), 400),
        (request(COMPLETIONS, {"max_tokens": "many"}), 400),
        (request(COMPLETIONS, {"max_tokens": 10**9}), 400),
        (request(COMPLETIONS, [1]), 400),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(url, raw, status):
    """A request that cannot be served gets its status and a JSON error, and the connection ends."""
    with closing(connect(url)) as sock:
        sock.sendall(raw)
        head, _, body = receive(sock, b"}}").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"connection: close" in head
        assert json.loads(body)["error"]["message"]
        assert sock.recv(1) == b""


def test_a_client_that_does_not_read_holds_up_nobody(url):
    """A stream waits for a slow reader, comes whole, and others are answered meanwhile."""
    with closing(connect(url)) as slow:
        slow.sendall(request(COMPLETIONS, {"stream": True, "max_tokens": 30000}))
        assert len(stream(url)) == 5
        written = [event["null"]["written_ns"] for event in events(receive(slow))]
    assert len(written) == 30000
    assert written == sorted(written)


def test_more_clients_than_the_system_lets_in():
    """Hundreds that ask together are served, those without a socket when others have gone."""
    with NullServer() as server:
        stream(server.url)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (50, 50))
        socks = [connect(server.url) for _ in range(300)]
        for sock in socks:
            sock.sendall(request(COMPLETIONS, {"stream": True}))
        for sock in socks:
            assert len(events(receive(sock))) == 16
            sock.close()
        assert processor_time(server.pid) < 100


def test_tokens_are_never_early():
    """Token k is written no sooner than the first delay and k gaps after the request."""
    with NullServer(first_s=0.02, gap_s=0.003) as server:
        stamps = [event["null"] for event in stream(server.url, max_tokens=6)]
        _, whole = call(server.url, "POST", COMPLETIONS, {"max_tokens": 6})
    for place, stamp in enumerate(stamps):
        due_ns = stamp["received_ns"] + 20_000_000 + place * 3_000_000
        assert stamp["written_ns"] >= due_ns
    assert whole["null"]["written_ns"] - whole["null"]["received_ns"] >= 35_000_000


def test_slots_are_given_in_the_order_of_coming():
    """With one slot, service of a request begins when that of the one before it has ended."""
    with NullServer(first_s=0.02, slots=1) as server:
        socks = [connect(server.url) for _ in range(4)]
        heads = []
        for sock in socks:
            sock.sendall(request(COMPLETIONS, {"stream": True, "max_tokens": 2}))
            heads.append(receive(sock, b"\r\n\r\n"))
        told = [events(head + receive(sock)) for head, sock in zip(heads, socks, strict=True)]
        for sock in socks:
            sock.close()
    for before, after in pairwise(told):
        ended = before[-1]["null"]["written_ns"]
        assert after[0]["null"]["received_ns"] <= ended
        assert after[0]["null"]["written_ns"] >= ended + 20_000_000


def test_a_client_that_goes_away_frees_its_slot():
    """A request that waits is served when the client before it gives up, served or waiting too."""
    with NullServer(gap_s=3600, slots=1) as server:
        socks = [connect(server.url) for _ in range(3)]
        for sock in socks:
            sock.sendall(request(COMPLETIONS, {"stream": True, "max_tokens": 2}))
            sock.recv(1000)
        socks[1].close()
        socks[0].close()
        assert b"word" in socks[2].recv(1000)
        socks[2].close()


def start(*options, stdin=subprocess.PIPE):
    """A null server's process that listens, and its port."""
    process = subprocess.Popen([*COMMAND, *options], stdin=stdin, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())["port"]


def test_it_ends_with_its_standard_input():
    """The server ends by itself when the other end of its standard input is gone, idle or not."""
    process, port = start("--gap-s=3600")
    with process, closing(connect(f"http://127.0.0.1:{port}")) as sock:
        sock.sendall(request(COMPLETIONS, {"stream": True}))
        assert b"word" in sock.recv(1000)
        process.stdin.close()
        assert process.wait(10) == 0


def test_it_ends_when_terminated():
    """SIGTERM ends the server with exit code 0 and without a word; until then it serves."""
    process, port = start(stdin=subprocess.DEVNULL)
    with process:
        assert len(stream(f"http://127.0.0.1:{port}")) == 16
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stdout.read() == ""


def test_the_context_ends_it_for_certain(monkeypatch):
    """After the block the process is gone, also if it hears nothing, and whatever was raised."""
    monkeypatch.setattr(null_server, "_END_S", 0.01)
    pids = []

    def fail(server):
        pids.append(server.pid)
        raise KeyError

    with pytest.raises(KeyError), NullServer() as server:
        fail(server)
    with NullServer() as server:
        pids.append(server.pid)
        os.kill(server.pid, signal.SIGSTOP)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_port_in_use_is_told_in_one_line(url):
    """A server that cannot listen ends with the reason."""
    port = urlsplit(url).port
    with pytest.raises(TrialError, match=rf"null server: port {port} .*in use") as told:
        NullServer(port=port).__enter__()
    assert "\n" not in str(told.value)


def test_a_processor_that_is_not_there(url):
    """Binding to an unknown processor is told, and binding to a known one holds."""
    with pytest.raises(TrialError, match="processor 99999"):
        NullServer(cpu=99999).__enter__()
    cpu = max(os.sched_getaffinity(0))
    with NullServer(cpu=cpu) as server:
        assert os.sched_getaffinity(server.pid) == {cpu}


def test_options_out_of_range(capfd):
    """A number that makes no sense ends the process before it listens."""
    with pytest.raises(TrialError, match="null server"):
        NullServer(tokens=0).__enter__()
    assert "must be 1 to" in capfd.readouterr().err


def test_quick_reading_agrees_with_a_parser():
    """Looking for keys and parsing JSON tell the same of a body."""
    plain = {"model": "m", "max_tokens": 9, "stream": True, **USAGE, "prompt": [1, 2]}
    for spaces in (None, 2):
        body = json.dumps(plain, indent=spaces).encode()
        assert read_body(body, 5) == read_body(body + b"\n", 5) == (9, True, True)
        assert prompt_tokens(body) == 2
    with pytest.raises(RefusedError, match="no JSON"):
        read_body(b"", 5)


def test_waiting_takes_no_processor_time():
    """A stream says at once that it will come, and the server sleeps until its time."""
    with NullServer(first_s=3600) as server, closing(connect(server.url)) as sock:
        sock.sendall(request(COMPLETIONS, {"stream": True}))
        assert receive(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
        before = processor_time(server.pid)
        select.select([sock], [], [], 0.2)
        assert processor_time(server.pid) - before <= 5


def processor_time(pid):
    """Processor time of a process so far, in hundredths of a second."""
    told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(told[11]) + int(told[12])
