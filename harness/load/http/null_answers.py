"""What the null server reads of a request, and its answers as bytes, made before they are needed."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

HEAD_BYTES = 65536
"""Most bytes of a request's head."""

BODY_BYTES = 64_000_000
"""Most bytes of a request's body."""

MOST_TOKENS = 1_000_000
"""Most tokens of one answer, like the end of a context."""

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
"""What comes before the events of a stream."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Tells a client that asks first to send the body."""

_END = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
_WORD = " word"
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}
_GENERATING = {b"/v1/completions": False, b"/v1/chat/completions": True}
_NUMBER = re.compile(rb"\s*:\s*([0-9]{1,9})\s*[,}]")
_SWITCH = re.compile(rb"\s*:\s*(true|false)\s*[,}]")
_TOKENS = re.compile(rb'"prompt"\s*:\s*\[([0-9,\s]*)\]')


class RefusedError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: Of the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class Head(NamedTuple):
    """What the head of a request says.

    Attributes:
        chat: Whether it goes to chat completions, or to completions; None for neither.
        path: Where it goes.
        length: Bytes of the body.
        close: Whether the connection ends after the answer.
        asks: Whether the client waits for a word before it sends the body.
    """

    chat: bool | None
    path: bytes
    length: int
    close: bool
    asks: bool


class Asked(NamedTuple):
    """What a body asks for.

    Attributes:
        tokens: How many.
        stream: Whether each by itself.
        usage: Whether a stream ends with counts.
    """

    tokens: int
    stream: bool
    usage: bool


class Events(NamedTuple):
    """Events as templates that take received_ns twice and written_ns.

    Attributes:
        role: Comes before the first token of a chat; else empty.
        token: One token.
        last: The last token.
    """

    role: bytes
    token: bytes
    last: bytes


def read_head(head: bytes) -> Head:
    """Reads the head of a request, without its empty line.

    Raises:
        RefusedError: It is no HTTP/1.1, or there is no such page, or the body has no stated length.
    """
    line, _, fields = head.partition(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/"):  # noqa: PLR2004  (method, target, version)
        raise RefusedError(400, "the first line is no HTTP")
    if words[2] != b"HTTP/1.1":
        raise RefusedError(505, "only HTTP/1.1 is spoken here")
    path = words[1].partition(b"?")[0]
    chat = _GENERATING.get(path)
    if chat is None and words[0] != b"GET":
        raise RefusedError(404, "there is no such page")
    if chat is not None and words[0] != b"POST":
        raise RefusedError(405, "this page is asked with POST")
    lowered = b"\r\n" + fields.lower() + b"\r\n"
    if b"\r\ntransfer-encoding:" in lowered:
        raise RefusedError(411, "send the body with content-length")
    told = _field(lowered, b"content-length")
    if told is None and chat is not None:
        raise RefusedError(411, "send content-length")
    if told is not None and not told.isdigit():
        raise RefusedError(400, "content-length is no number")
    length = int(told or 0)
    if length > BODY_BYTES:
        raise RefusedError(413, f"the body has more than {BODY_BYTES} bytes")
    close = _field(lowered, b"connection") == b"close"
    return Head(chat, path, length, close, b"\r\nexpect: 100-continue\r\n" in lowered)


def read_body(body: bytes, usual: int) -> Asked:
    """Reads what a body asks for, by looking for its keys; as JSON where that is not enough.

    A quote inside a JSON string has a backslash before it, so a key that is found without one is
    a key.

    Args:
        body: The body.
        usual: Tokens where it states none.

    Raises:
        RefusedError: It is no JSON object, or asks for what cannot be.
    """
    try:
        tokens, stream, usage = _search(body)
    except LookupError:
        asked = _read_json(body, usual)
    else:
        asked = Asked(usual if tokens is None else int(tokens), stream, usage)
    if not 1 <= asked.tokens <= MOST_TOKENS:
        raise RefusedError(400, f"max_tokens must be 1 to {MOST_TOKENS}")
    return asked


def prompt_tokens(body: bytes) -> int:
    """Tokens of a prompt of token ids; of text, for want of a tokenizer, its spaces and one."""
    found = _TOKENS.search(body)
    if found is None:
        return body.count(b" ") + 1
    return found[1].count(b",") + 1 if found[1].strip() else 0


def answer(status: int, document: Mapping[str, object], *, close: bool = False) -> bytes:
    """A whole response that carries one JSON document."""
    return _response(status, json.dumps(document).encode(), close=close)


def error(refused: RefusedError) -> bytes:
    """The response to a refused request, in OpenAI's form; the connection ends after it."""
    told = {"message": str(refused), "type": "BadRequestError", "code": refused.status}
    return answer(refused.status, {"error": {**told, "param": None}}, close=True)


class Answers:
    """The answers of one model, as templates.

    A template of an event takes the instants received_ns, received_ns and written_ns; numbers have
    a fixed width, so that its size is known.

    Args:
        model: The name of the model.

    Attributes:
        events: Of completions, and of chats.
        pages: The responses of pages that are only read.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._created = int(time.time())
        self.events = (self._events(chat=False), self._events(chat=True))
        served = {"id": model, "object": "model", "created": self._created, "owned_by": "null"}
        self.pages = {
            b"/health": answer(200, {}),
            b"/version": answer(200, {"version": "null"}),
            b"/v1/models": answer(200, {"object": "list", "data": [served]}),
        }

    def tail(self, *, chat: bool, usage: tuple[int, int] | None, at: tuple[int, int, int]) -> bytes:
        """The end of a stream: counts where they are asked for, the mark of the end, the last chunk.

        Args:
            chat: Whether it is a chat.
            usage: Tokens of the prompt and of the answer.
            at: The instants received_ns, received_ns and written_ns.
        """
        if usage is None:
            return _END
        return self._event(_name(chat, stream=True), [], usage) % at + _END

    def whole(self, tokens: int, *, chat: bool, prompt: int, close: bool) -> bytes:
        """A response that is not streamed, as a template.

        Args:
            tokens: Of the answer.
            chat: Whether it is a chat.
            prompt: Tokens of the prompt.
            close: Whether the connection ends after it.
        """
        content = _WORD * tokens
        told = {"message": {"role": "assistant", "content": content}} if chat else {"text": content}
        choices = [{"index": 0, **told, "logprobs": None, "finish_reason": "length"}]
        body = self._document(_name(chat, stream=False), choices, (prompt, tokens))
        size = len(body % (0, 0, 0))
        return _response(200, body, size=size, close=close)

    def _events(self, *, chat: bool) -> Events:
        name = _name(chat, stream=True)

        def event(told: Mapping[str, object], reason: str | None) -> bytes:
            choice = {"index": 0, **told, "logprobs": None, "finish_reason": reason}
            return self._event(name, [choice], None)

        said: dict[str, object] = {"delta": {"content": _WORD}} if chat else {"text": _WORD}
        role = event({"delta": {"role": "assistant", "content": ""}}, None) if chat else b""
        return Events(role, event(said, None), event(said, "length"))

    def _event(self, name: str, choices: Sequence[object], usage: tuple[int, int] | None) -> bytes:
        """One event in a chunk of its own, as a template."""
        event = b"data: " + self._document(name, choices, usage) + b"\n\n"
        return b"%x\r\n" % len(event % (0, 0, 0)) + event + b"\r\n"

    def _document(
        self, name: str, choices: Sequence[object], usage: tuple[int, int] | None
    ) -> bytes:
        document = {
            "object": name,
            "created": self._created,
            "model": self._model,
            "choices": choices,
            "usage": usage and _usage(*usage),
        }
        text = json.dumps(document, separators=(",", ":")).replace("%", "%%")
        kind = "chatcmpl" if name.startswith("chat") else "cmpl"
        stamps = '"null":{"received_ns":%20d,"written_ns":%20d}'
        return f'{{"id":"{kind}-%020d",{text[1:-1]},{stamps}}}'.encode()


def _name(chat: bool, *, stream: bool) -> str:
    if chat:
        return "chat.completion.chunk" if stream else "chat.completion"
    return "text_completion"


def _usage(prompt: int, output: int) -> dict[str, int]:
    total = prompt + output
    return {"prompt_tokens": prompt, "total_tokens": total, "completion_tokens": output}


def _response(status: int, body: bytes, *, close: bool, size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
    ends = "connection: close\r\n" if close else ""
    return f"{head}content-length: {length}\r\n{ends}\r\n".encode() + body


def _field(lowered: bytes, name: bytes) -> bytes | None:
    """The value of a field of the head, or None."""
    at = lowered.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    at += len(name) + 3
    return lowered[at : lowered.index(b"\r\n", at)].strip()


def _search(body: bytes) -> tuple[bytes | None, bool, bool]:
    """Tokens, whether streamed, whether with counts; LookupError where it takes a parser."""
    if not (body.startswith(b"{") and body.endswith(b"}")):
        raise LookupError
    tokens = _found(body, b'"max_completion_tokens"', _NUMBER)
    if tokens is None:
        tokens = _found(body, b'"max_tokens"', _NUMBER)
    stream = _found(body, b'"stream"', _SWITCH) == b"true"
    return tokens, stream, stream and _found(body, b'"include_usage"', _SWITCH) == b"true"


def _found(body: bytes, key: bytes, value: "re.Pattern[bytes]") -> bytes | None:
    """The value of a key; None where there is no such key.

    Raises:
        LookupError: What stands there is not told so simply.
    """
    at = body.find(key)
    if at < 0:
        return None
    found = value.match(body, at + len(key))
    if found is None or body[at - 1 : at] == b"\\":
        raise LookupError
    return found[1]


def _read_json(body: bytes, usual: int) -> Asked:
    try:
        told = json.loads(body)
    except ValueError as broken:
        raise RefusedError(400, "the body is no JSON") from broken
    if not isinstance(told, dict):
        raise RefusedError(400, "the body is no JSON object")
    most = [told.get("max_completion_tokens"), told.get("max_tokens"), usual]
    tokens = next(number for number in most if number is not None)
    if type(tokens) is not int:
        raise RefusedError(400, "max_tokens is no whole number")
    stream = told.get("stream") is True
    options = told.get("stream_options")
    usage = stream and isinstance(options, dict) and options.get("include_usage") is True
    return Asked(tokens, stream, usage)
