"""Server-sent events: cut out of a stream, and their JSON decoded.

The format of events is that of the HTML standard, section 9.2.6: lines end in LF, CRLF or CR, an
event ends with a blank line, and what has no blank line behind it is no event.
"""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

DONE = b"[DONE]"
"""What the last event of a stream says in place of JSON."""

_SHOWN = 80
_BATCH = 1024
_BOM = b"\xef\xbb\xbf"
_BETWEEN = b"\n\ndata: "
# One line, and with it the blank line that may end its event; further blank lines say nothing.
_LINE = re.compile(rb"([^\r\n]*)(?:\r\n|\r|\n)((?:\r\n|\r|\n)?)[\r\n]*")


class BadEvent(ValueError):  # noqa: N818  (the name says what is wrong)
    """An event cannot be read; the message is a short reason."""


def events(body: bytes) -> tuple[list[bytes], list[int]]:
    """The data of each event of a stream, and the place behind the blank line that ends it.

    Args:
        body: The stream, as far as it has come.
    """
    stop = body.rfind(_BETWEEN[:2])
    if stop < 0 or b"\r" in body or not body.startswith(_BETWEEN[2:]):
        return _by_lines(body)
    lines = body[6:stop]  # each event is one line, as nearly all servers write them
    data = lines.split(_BETWEEN)
    if not all(data) or lines.count(b"\n") != 2 * len(data) - 2:
        return _by_lines(body)
    ends, end = [], 0
    for one in data:
        end += len(one) + len(_BETWEEN)
        ends.append(end)
    return data, ends


def decoded(data: list[bytes]) -> Iterator[object]:
    """What the JSON of each event says, in order; many are read in one go where that works.

    Args:
        data: The data of each.

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

    Args:
        data: The JSON, in UTF-8.

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
