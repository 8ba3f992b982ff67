"""The usual stream, read quickly: events of one choice with text, and behind them a usage.

Nearly all streams of nearly all servers look like this. One with anything else (an error, token ids,
reasoning, tool calls, a second choice, a usage in between, a value of another type) is left to
`events`, which finds out what is wrong with it, if anything.
"""

from typing import Annotated, NamedTuple, TypeAlias

import msgspec

MOST_TOKENS = 1 << 31
"""No answer has so many."""

_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=MOST_TOKENS)]


class Usage(NamedTuple):
    """Tokens so far, as a server counts them; None for what it does not tell."""

    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None


class _Details(msgspec.Struct, gc=False):
    cached_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def told(self) -> Usage:
        """The counts by themselves."""
        cached, reasoning = self.prompt_tokens_details, self.completion_tokens_details
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            None if cached is None else cached.cached_tokens,
            None if reasoning is None else reasoning.reasoning_tokens,
        )


class _Words(msgspec.Struct, gc=False):
    content: str | None = None
    text: object = None
    reasoning_content: object = None
    reasoning: object = None
    tool_calls: object = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    text: str | None = None
    delta: _Words | None = None
    finish_reason: str | None = None
    token_ids: object = None
    message: object = None
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    tool_calls: object = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: object = None
    kind: str | None = msgspec.field(name="object", default=None)


_DECODER = msgspec.json.Decoder(list[_Chunk])


class Usual(NamedTuple):
    """A usual stream.

    Attributes:
        text: The pieces of its text.
        numbers: The event that brought each.
        usages: What is told with the last piece, and behind it.
        finish_reason: Why the server stopped; None where it did not say.
    """

    text: list[str]
    numbers: list[int]
    usages: list[Usage]
    finish_reason: str | None


def read_usual(data: list[bytes]) -> Usual | None:
    """What a stream says, if it is a usual one.

    Args:
        data: The data of each event.
    """
    chunks = _chunks(data)
    if chunks is None:
        return None
    text: list[str] = []
    numbers: list[int] = []
    usages: list[Usage] = []
    reason = None
    for number, chunk in enumerate(chunks):
        for choice in chunk.choices or ():
            words = choice.text if choice.delta is None else choice.delta.content
            if words:
                if usages:
                    return None
                text.append(words)
                numbers.append(number)
            reason = reason if choice.finish_reason is None else choice.finish_reason
        if chunk.usage is not None:
            if chunk.choices and (usages or not text):
                return None
            usages.append(chunk.usage.told())
    return Usual(text, numbers, usages, reason)


def _chunks(data: list[bytes]) -> list[_Chunk] | None:
    """The events, if each is a usual one."""
    try:
        chunks = _DECODER.decode(b"[%s]" % b",".join(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(chunks) != len(data) or any(map(_unusual, chunks)):
        return None
    return chunks


def _unusual(chunk: _Chunk) -> bool:
    """Whether an event has more than text or a usage."""
    choices = chunk.choices
    if chunk.error or chunk.kind == "error":
        return True
    if not choices:
        return False
    choice = choices[0]
    delta = choice.delta
    more = len(choices) > 1 or choice.index or choice.token_ids is not None
    if more or choice.message or choice.tool_calls:
        return True
    if choice.content or choice.reasoning_content or choice.reasoning:  # beside an empty delta too
        return True
    return delta is not None and bool(
        choice.text or delta.text or delta.tool_calls or delta.reasoning_content or delta.reasoning
    )
