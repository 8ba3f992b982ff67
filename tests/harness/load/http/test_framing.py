"""Where a response ends, however its bytes are cut into readings."""

import http.client
import io
from bisect import bisect_right
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accelbench.harness.load.http.framing import (
    LIMIT,
    Framing,
    MalformedResponse,
    body,
    final_head,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def chunks(*payloads: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """The payloads in chunked coding."""
    return b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in payloads) + end


def fed(readings: list[bytes]) -> tuple[object, ...]:
    """What a framing says of some readings: where the end was seen, and all its attributes."""
    framing = Framing()
    whole_at, size = None, 0
    try:
        for data in readings:
            size += len(data)
            if framing.feed(data):
                whole_at = size
    except MalformedResponse as error:
        return ("malformed", str(error))
    return (whole_at, framing.eof(), framing.status, framing.keep_alive, framing.body_at)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The bytes cut at some places."""
    inside = sorted({place % len(data) for place in places} - {0})
    return [data[a:b] for a, b in pairwise([0, *inside, len(data)])]


class _Socket:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        """The bytes as a file."""
        return io.BytesIO(self._data)


def by_http_client(data: bytes) -> tuple[int, bytes, bool]:
    """Status, body and whether the connection stays, by Python's own client."""
    response = http.client.HTTPResponse(_Socket(data), method="POST")
    response.begin()
    return response.status, response.read(), not response.will_close


payloads = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.sampled_from(
        [b"0\r\n\r\n", b"\r\n0\r\n\r\n", b"data: x\n\n", b"\r\n", b"1\r\nx\r\n", CHUNKED]
    ),
)
trailers = st.sampled_from([b"", b"X-A: b\r\n", b"X-A: b\r\nx-c:\r\n"])
extensions = st.sampled_from([b"", b";a=b", b" ;a", b";n=0"])


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A well-formed response with a known end."""
    version = draw(st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]))
    before = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    extra = draw(
        st.sampled_from(
            [
                b"",
                b"Connection: close\r\n",
                b"Connection: keep-alive\r\n",
                b"connection:Keep-Alive, x\r\nX: y:z\r\n",
            ]
        )
    )
    parts = draw(st.lists(payloads, max_size=6))
    coding = draw(st.sampled_from(["chunked", "length", "none"]))
    if coding == "none":
        return before + version + b" 204 No Content\r\n" + extra + b"\r\n"
    if coding == "length":
        whole = b"".join(parts)
        length = b"Content-Length: %d\r\n" % len(whole)
        return before + version + b" 200 OK\r\n" + extra + length + b"\r\n" + whole
    coded = b"".join(
        b"%s%s\r\n%s\r\n"
        % (draw(st.sampled_from([b"%x", b"%X", b"000%x"])) % len(one), draw(extensions), one)
        for one in parts
    )
    end = b"0" + draw(extensions) + b"\r\n" + draw(trailers) + b"\r\n"
    head = before + version + b" 200\r\n" + extra + b"Transfer-Encoding: Chunked\r\n\r\n"
    return head + coded + end


@settings(max_examples=400, deadline=None)
@given(data=responses(), places=st.lists(st.integers(0, 10**6), max_size=30))
def test_the_end_is_found_at_the_last_byte_under_any_cut(data: bytes, places: list[int]) -> None:
    """Readings do not matter: the response is whole with its last byte and not before."""
    found = fed(cut(data, places))
    assert found[0] == len(data)
    assert found == fed([data]) == fed([data[k : k + 1] for k in range(len(data))])


@settings(max_examples=200, deadline=None)
@given(data=responses())
def test_it_agrees_with_the_client_of_python(data: bytes) -> None:
    """Status, body, and whether the connection can be used again, are those that it finds."""
    framing = Framing()
    assert framing.feed(data)
    found = final_head(data)
    assert found
    head, at = found
    assert (at, head.status) == (framing.body_at, framing.status)
    content, _, _ = body(data, head, at)
    assert (framing.status, content, framing.keep_alive) == by_http_client(data)


@settings(max_examples=200, deadline=None)
@given(data=responses(), cut_off=st.integers(0, 10**6))
def test_each_byte_of_a_body_is_found_where_it_stood(data: bytes, cut_off: int) -> None:
    """The pieces of a body tell the place of each of its bytes, also of a part of a response."""
    part = data[: cut_off % len(data) + 1]
    found = final_head(part)
    if found is None:
        return
    content, starts, shifts = body(part, *found)
    for k, byte in enumerate(content):
        assert part[k + shifts[bisect_right(starts, k) - 1]] == byte


@settings(max_examples=300, deadline=None)
@given(
    data=responses().flatmap(
        lambda data: st.tuples(st.just(data), st.integers(0, len(data) - 1), st.binary(max_size=3))
    ),
    places=st.lists(st.integers(0, 10**6), max_size=30),
)
def test_a_damaged_response_ends_alike_under_any_cut(
    data: tuple[bytes, int, bytes], places: list[int]
) -> None:
    """Bytes put into a response change what is said of it, and never by how it was cut."""
    good, at, noise = data
    damaged = good[:at] + noise + good[at + 1 :]
    if damaged:
        whole = fed([damaged])
        assert fed(cut(damaged, places)) == whole
        assert fed([damaged[k : k + 1] for k in range(len(damaged))]) == whole


@settings(deadline=None)
@given(payload=payloads, places=st.lists(st.integers(0, 10**6), max_size=10))
@example(payload=b"0\r\n\r\n", places=[len(CHUNKED) + 8])
def test_a_payload_that_looks_like_an_end_is_none(payload: bytes, places: list[int]) -> None:
    """An end inside a chunk is passed over by the size of the chunk."""
    data = CHUNKED + chunks(payload, payload)
    framing = Framing()
    readings = cut(data, places)
    assert [framing.feed(one) for one in readings] == [False] * (len(readings) - 1) + [True]


def test_a_body_without_length_ends_when_the_server_closes() -> None:
    """Only the close says where it ends, and the connection cannot be used again."""
    framing = Framing()
    assert not framing.feed(OK + b"Connection: keep-alive\r\n\r\nabc")
    assert not framing.feed(b"def")
    assert framing.eof()
    assert not framing.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        OK + b"Content-Length: 5\r\n\r\nabcd",
        CHUNKED + b"5\r\nabc",
        CHUNKED + b"5\r\nabcde\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_a_response_cut_off_is_not_whole(data: bytes) -> None:
    """A close before the end leaves a part."""
    framing = Framing()
    assert not (data and framing.feed(data))
    assert not framing.eof()


@pytest.mark.parametrize("status", [204, 304])
def test_some_statuses_have_no_body(status: int) -> None:
    """204 and 304 end with their head, whatever length it names."""
    framing = Framing()
    assert framing.feed(b"HTTP/1.1 %d X\r\nContent-Length: 9\r\n\r\n" % status)
    assert framing.status == status


def test_informational_responses_are_skipped() -> None:
    """100 and 103 come before the response; the body begins after all heads."""
    before = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    data = before + OK + b"Content-Length: 2\r\n\r\n"
    framing = Framing()
    assert not framing.feed(data)
    assert (framing.status, framing.body_at) == (200, len(data))
    assert framing.feed(b"ab")


def test_equal_content_lengths_are_one() -> None:
    """A length that is said twice is the length."""
    framing = Framing()
    assert framing.feed(OK + b"Content-Length: 2, 2\r\ncontent-length: 2\r\n\r\nab")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP/1"),
        (b"HTTP/2 200\r\n\r\n", "not HTTP/1"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "bad status line"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "switches to another protocol"),
        (OK + b"A: b\r\n folded\r\n\r\n", "a folded header"),
        (OK + b"A b\r\n\r\n", "bad header"),
        (OK + b"A : b\r\n\r\n", "bad header"),
        (OK + b"A: b\nC: d\r\n\r\n", "a bare line end in a header"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "several content-lengths"),
        (OK + b"Content-Length: +1\r\n\r\n", "bad content-length"),
        (OK + b"Content-Length: 1_0\r\n\r\n", "bad content-length"),
        (OK + b"Content-Length: \r\n\r\n", "bad content-length"),
        (
            OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "both content-length and chunked",
        ),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "not just chunked"),
        (OK + b"Content-Length: 1\r\n\r\nab", "bytes beyond the end"),
        (CHUNKED + chunks(b"a") + b"x", "bytes beyond the end"),
        (b"HTTP/1.1 204 No\r\n\r\nx", "bytes beyond the end"),
        (CHUNKED + b"zz\r\n", "bad chunk size"),
        (CHUNKED + b"-1\r\nab", "bad chunk size"),
        (CHUNKED + b"0x1\r\na\r\n", "bad chunk size"),
        (CHUNKED + b"1_0\r\na\r\n", "bad chunk size"),
        (CHUNKED + b"\r\n", "bad chunk size"),
        (CHUNKED + b"1" * 17 + b"\r\n", "bad chunk size"),
        (CHUNKED + b"data: no chunk at all", "bad chunk size"),
        (CHUNKED + b"1\r\nabc\r\n", "a chunk goes on beyond its size"),
        (CHUNKED + b"1\r\naX\n0\r\n\r\n", "a chunk goes on beyond its size"),
        (CHUNKED + b"1\r\na\rX0\r\n\r\n", "a chunk goes on beyond its size"),
        (CHUNKED + b"0\r\nno trailer\r\n\r\n", "bad header"),
        (OK + b"A: " + b"b" * LIMIT, "head longer than 64 KiB"),
        (CHUNKED + b"0\r\nA: " + b"b" * LIMIT, "trailers longer than 64 KiB"),
        (CHUNKED + b"1;" + b"b" * LIMIT, "bad chunk size"),
    ],
)
def test_what_is_no_response_is_refused(data: bytes, reason: str) -> None:
    """Each fault is named in few words, in one reading as in many."""
    for size in (len(data), 4096, 7 if len(data) > LIMIT else 1):
        found = fed([data[begin : begin + size] for begin in range(0, len(data), size)])
        assert found[0] == "malformed"
        assert reason in str(found[1])


@pytest.mark.parametrize("coding", [b"Content-Length: 1\r\n\r\na", None])
def test_bytes_after_the_end_are_refused_later_too(coding: bytes | None) -> None:
    """A reading after the end belongs to no request."""
    framing = Framing()
    assert framing.feed(OK + coding if coding else CHUNKED + chunks(b"a"))
    with pytest.raises(MalformedResponse, match="beyond the end"):
        framing.feed(b"x")
