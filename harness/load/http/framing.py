"""Where a response of HTTP/1.1 ends (RFC 9112), found while its bytes arrive."""

import re
from functools import lru_cache
from typing import NamedTuple

LIMIT = 65536
"""Most bytes of the heads of a response, of a chunk's header, and of trailers."""

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?")
_SIZE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,16}[ \t]*(?:;.*|\r)?", re.DOTALL)
_FINAL = 200
_SWITCHING = 101
_BODILESS = (204, 304)
_SIZE_DIGITS = 16
_LENGTH_DIGITS = 18
_FOREVER = 1 << 62


class MalformedResponse(ValueError):  # noqa: N818  (the name says what is wrong)
    """What came is not a response of HTTP/1.1; the message is a short reason."""


class Head(NamedTuple):
    """Status line and header fields of a response.

    Attributes:
        minor: 1 for HTTP/1.1, 0 for HTTP/1.0.
        status: The status code.
        fields: Values by lower-case name, not to be changed; several of one name are joined by
            commas.
    """

    minor: int
    status: int
    fields: dict[bytes, bytes]

    @property
    def chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return b"transfer-encoding" in self.fields


class Framing:
    """Finds the end of one response; it keeps offsets and an unfinished line, never the bytes.

    Attributes:
        status: The status code; 0 until the head is whole.
        keep_alive: Whether the connection can be used again.
        body_at: How many bytes came before the body, informational responses included.
    """

    __slots__ = (
        "_again",
        "_carry",
        "_chunked",
        "_open_ended",
        "_skip",
        "_step",
        "body_at",
        "keep_alive",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.keep_alive = False
        self.body_at = 0
        self._carry = b""
        self._chunked = False
        self._open_ended = False
        self._skip = 0  # bytes until there is something to look at, or until the end
        self._again = b""  # end of a chunk and header of the next, where that is as long as before
        self._step = 0  # bytes from one such header to the next

    def feed(self, data: bytes) -> bool:
        """Takes a reading; returns whether the response is whole with it.

        Only the bytes of this reading are given, in order, and only headers of chunks are looked
        at. A payload that looks like an end is passed over by its size.

        Args:
            data: What was read, not empty.

        Raises:
            MalformedResponse: It is not HTTP/1.1, or goes on after its end.
        """
        left = self._skip - len(data)
        if left > 1:  # at 1 the first half of a chunk's line end is in this reading
            self._skip = left
            return False
        if self._chunked:
            return self._walk(data)
        if not self.status:
            return self._begin(data)
        if left < 0:
            raise MalformedResponse("bytes beyond the end")
        self._skip = left
        return not left

    def eof(self) -> bool:
        """Whether the response is whole when the server closes now."""
        return self.status > 0 and not self._chunked and (self._open_ended or not self._skip)

    def _begin(self, data: bytes) -> bool:
        data = self._carry + data
        found = final_head(data)
        if found is None:
            self._carry = data
            return False
        self._carry = b""
        head, self.body_at = found
        self.status = head.status
        self.keep_alive = _keeps_alive(head)
        if head.status in _BODILESS:
            pass
        elif head.chunked:
            self._chunked = True
        elif b"content-length" in head.fields:
            self._skip = _length(head)
        else:
            self._skip, self._open_ended, self.keep_alive = _FOREVER, True, False
        rest = data[self.body_at :]
        if rest:
            return self.feed(rest)
        return not self._chunked and not self._skip

    def _walk(self, data: bytes) -> bool:
        """Goes from one chunk's header to the next as far as the reading goes."""
        at = self._skip
        if self._carry:
            data = self._carry + data
            self._carry = b""
        end = len(data)
        while at <= end:
            if self._again and at > 1 and data.startswith(self._again, at - 2):
                at += self._step
                continue
            if at and not data.endswith(b"\r\n" if at > 1 else b"\n", 0, at):
                raise MalformedResponse("a chunk goes on beyond its size")
            if at == end:
                break
            eol = data.find(b"\r\n", at)
            if eol < 0:
                if not _SIZE_BEGUN.fullmatch(data, at):
                    raise MalformedResponse("bad chunk size")
                self._keep(data[at:], "bad chunk size")
                at = end
                break
            size = chunk_size(data[at:eol])
            if not size:
                return self._close(data, at, eol + 2)
            self._again = b"\r\n%s\r\n" % data[at:eol]
            self._step = eol - at + size + 4
            at += self._step
        if at == end + 1 and not data.endswith(b"\r"):
            raise MalformedResponse("a chunk goes on beyond its size")
        self._skip = at - end
        return False

    def _close(self, data: bytes, at: int, after: int) -> bool:
        """The last chunk's header is at `at`, and trailers or a blank line are behind it."""
        blank = after if data.startswith(b"\r\n", after) else data.find(b"\r\n\r\n", after) + 2
        self._skip = 0
        if blank < after or blank - at > LIMIT:
            self._keep(data[at:], "trailers longer than 64 KiB")
            return False
        if blank > after:
            _fields(data[after : blank - 2])
        if blank + 2 < len(data):
            raise MalformedResponse("bytes beyond the end")
        self._chunked = False
        return True

    def _keep(self, rest: bytes, complaint: str) -> None:
        """Keeps an unfinished line for the next reading."""
        if len(rest) > LIMIT:
            raise MalformedResponse(complaint)
        self._carry = rest


def final_head(data: bytes) -> tuple[Head, int] | None:
    """The head of a response and where its body begins; informational ones before it are skipped.

    Args:
        data: The response from its first byte, as far as it has come.

    Returns:
        None while the head is not whole.

    Raises:
        MalformedResponse: It is no head, or too long.
    """
    at = 0
    while True:
        if not b"HTTP/1.".startswith(data[at : at + 7]):
            raise MalformedResponse("not HTTP/1")
        end = data.find(b"\r\n\r\n", at)
        if end + 4 > LIMIT or (end < 0 and len(data) > LIMIT):
            raise MalformedResponse("head longer than 64 KiB")
        if end < 0:
            return None
        head = _head(data[at:end])
        at = end + 4
        if head.status >= _FINAL:
            return head, at
        if head.status == _SWITCHING:
            raise MalformedResponse("switches to another protocol")


def body(data: bytes, head: Head, at: int) -> tuple[bytes, list[int], list[int]]:
    """The body of a response, as far as it has come, and where each piece of it stood.

    Args:
        data: The response from its first byte.
        head: Its head.
        at: Where its body begins.

    Returns:
        The body; the place in it at which each piece begins; how much further behind in `data`
        the bytes of that piece are. Chunks that are broken, and all behind them, are left out.
    """
    if not head.chunked:
        return data[at:], [0], [at]
    pieces, starts, shifts, size = [], [], [], 0
    header, length = b"", 0
    while True:
        if not (header and data.startswith(header, at)):
            eol = data.find(b"\r\n", at)
            if eol < 0:
                break
            header = data[at : eol + 2]
            try:
                length = int(header, 16) if header[:-2].isalnum() else chunk_size(header[:-2])
            except ValueError:
                break
            if not length:
                break
        begin = at + len(header)
        at = begin + length + 2
        piece = data[begin : at - 2]
        pieces.append(piece)
        starts.append(size)
        shifts.append(begin - size)
        size += length
    return b"".join(pieces), starts, shifts


def chunk_size(line: bytes) -> int:
    """The size that a chunk's header names, without its extensions.

    Raises:
        MalformedResponse: It is no hexadecimal number.
    """
    if not line.isalnum():
        if len(line) > LIMIT:
            raise MalformedResponse("bad chunk size")
        line = line.partition(b";")[0].rstrip(b" \t")
    if len(line) > _SIZE_DIGITS or not line.isalnum():
        raise MalformedResponse("bad chunk size")
    try:
        return int(b"0" + line, 16)  # with a 0 before it, "0x" is no prefix
    except ValueError:
        raise MalformedResponse("bad chunk size") from None


@lru_cache(maxsize=64)
def _head(data: bytes) -> Head:
    """Reads a head; those of one second are mostly the same, byte for byte."""
    first, _, rest = data.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise MalformedResponse("bad status line")
    head = Head(int(match[1]), int(match[2]), _fields(rest) if rest else {})
    if head.chunked:
        if head.fields[b"transfer-encoding"].lower() != b"chunked":
            raise MalformedResponse("a transfer coding that is not just chunked")
        if b"content-length" in head.fields:
            raise MalformedResponse("both content-length and chunked")
    return head


def _fields(data: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    lines = data.split(b"\r\n")
    if not data.count(b"\r") == data.count(b"\n") == len(lines) - 1:
        raise MalformedResponse("a bare line end in a header")
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or b" " in name or b"\t" in name:
            folded = line[:1] in (b" ", b"\t")
            raise MalformedResponse("a folded header" if folded else "bad header")
        name = name.lower()
        value = value.strip(b" \t")
        fields[name] = fields[name] + b", " + value if name in fields else value
    return fields


def _length(head: Head) -> int:
    values = {value.strip() for value in head.fields[b"content-length"].split(b",")}
    if len(values) > 1:
        raise MalformedResponse("several content-lengths that differ")
    (value,) = values
    if not value.isdigit() or len(value) > _LENGTH_DIGITS:
        raise MalformedResponse("bad content-length")
    return int(value)


def _keeps_alive(head: Head) -> bool:
    connection = head.fields.get(b"connection")
    if connection is None:
        return head.minor == 1
    options = [option.strip() for option in connection.lower().split(b",")]
    return b"close" not in options and (head.minor == 1 or b"keep-alive" in options)
