"""Server-sent events that carry JSON, read from the bytes of a whole stream.

The format is the one of the HTML standard, section 9.2.6: lines end in LF, CRLF or CR, an event ends
with a blank line, and what has no blank line behind it is no event.
"""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

DONE = b"[DONE]"
"""What the last event of a stream says in place of JSON."""

_BATCH = 1024
_LINE_BYTES = 8
_BOM = b"\xef\xbb\xbf"
_SHOWN = 80
# One line, and with it the blank line that may end its event; further blank lines say nothing.
_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)((?:\r\n|\r|\n)?)[\r\n]*")


class BadEvent(ValueError):  # noqa: N818  (the name says what is wrong)
    """An event cannot be read; the message is a short reason."""


def events(body: bytes) -> tuple[list[bytes], list[int]]:
    """The data of each event of a stream, and the place behind the blank line that ends it.

    Args:
        body: The stream, as far as it has come.
    """
    parts = body.split(b"\n\n") if _looks_plain(body) else []
    ends, end = [], 0
    data = [part[6:] for part in parts[:-1] if part.startswith(b"data: ")]
    if not all(data) or not data or len(data) < len(parts) - 1:
        return _by_lines(body)
    for part in data:
        end += len(part) + 8
        ends.append(end)
    return data, ends


def decoded(data: list[bytes]) -> Iterator[object]:
    """What the JSON of each event says, in order; many are read in one go where that works.

    Raises:
        BadEvent: One of them is not JSON; those before it were given.
    """
    for begin in range(0, len(data), _BATCH):
        batch = data[begin : begin + _BATCH]
        try:
            found = _DECODER.decode(f"[{b','.join(batch).decode()}]")
        except (ValueError, RecursionError):
            found = ()
        if len(found) == len(batch):
            yield from found
        else:
            for one in batch:
                yield decode(one)


def decode(data: bytes) -> object:
    """What JSON says; numbers are finite.

    Raises:
        BadEvent: It is not JSON.
    """
    try:
        return _DECODER.decode(data.decode())
    except UnicodeDecodeError:
        raise BadEvent("not UTF-8") from None
    except RecursionError:
        raise BadEvent("JSON that is nested too deeply") from None
    except ValueError:
        raise BadEvent(f"not JSON: {line_of(data, _SHOWN)}") from None


def line_of(data: bytes | str, most: int) -> str:
    """Foreign text as one line that can be shown and stored, cut to so many characters.

    Args:
        data: The text, or its bytes in UTF-8.
        most: Characters.
    """
    text = data[: 4 * most].decode(errors="replace") if isinstance(data, bytes) else data
    text = " ".join(text[: 4 * most].split())[:most]
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def _looks_plain(body: bytes) -> bool:
    """Whether events may be one line each, as nearly all servers write them."""
    if b"\r" in body or body.startswith(_BOM):
        return False
    lines = body.count(b"\n")
    return lines == 2 * body.count(b"\n\n") and lines * _LINE_BYTES <= len(body)


def _by_lines(body: bytes) -> tuple[list[bytes], list[int]]:
    found, ends = [], []
    data: list[bytes] = []
    start = len(_BOM) if body.startswith(_BOM) else 0
    stop = max(body.rfind(b"\n"), body.rfind(b"\r")) + 1
    for match in _LINE.finditer(body, start, stop):
        line, blank = match.groups()
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        if blank or not line:
            if any(data):  # an empty event keeps a connection alive and says nothing
                found.append(b"\n".join(data))
                ends.append(match.end(2))
            data = []
    return found, ends


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_refuse)
