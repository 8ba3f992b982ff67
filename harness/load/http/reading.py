"""Reads what came over the wire: when tokens arrived, how many, and whether all went well."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from accelbench.harness.load.http.answer import (
    MESSAGE,
    Answer,
    Kind,
    message_of,
    storable,
)
from accelbench.harness.load.http.events import DONE, BadEvent, decode, decoded, events, line_of
from accelbench.harness.load.http.exchange import Exchange, Outcome
from accelbench.harness.load.http.framing import MalformedResponse, body, final_head
from accelbench.harness.load.http.usual import read_usual

Status: TypeAlias = Literal["ok", "failed", "timeout", "cancelled", "unsent"]
_OK = 200
_OUTCOMES: dict[Outcome, tuple[Status, str]] = {
    "refused": ("failed", "refused"),
    "closed": ("failed", "closed"),
    "malformed": ("failed", "malformed HTTP"),
    "too_large": ("failed", "too large"),
    "timeout": ("timeout", "timed out"),
    "cancelled": ("cancelled", "cancelled"),
    "unsent": ("unsent", "unsent"),
}


@dataclass(frozen=True)
class Reply:
    """An answer as read.

    Where the server tells how many tokens an event brought (token ids, or usage in each event),
    its arrival has that count. Otherwise the total of the usage is laid on the arrivals by
    `shares`; without a usage they have no count. An arrival of 0 tokens brought text only.

    Attributes:
        status: "ok" for a whole answer with at least one token.
        error: Why not, in one line; None if it is ok.
        at_ns: When tokens arrived, in order; also of an answer that broke off.
        counts: How many with each arrival; None where nobody told.
        kinds: Of which kind.
        done_ns: When the last byte of a whole response arrived, whatever it says; else None.
        input_tokens: As the server counted them; None where it did not.
        cached_input_tokens: How many of them came from a prefix cache; None likewise.
        output_tokens: As the server or a tokenizer counted them; None likewise.
        reasoning_tokens: How many of them were reasoning; None likewise.
        finish_reason: Why the server stopped; None where it did not say.
        text: The answer.
        reasoning: The text of its reasoning.
        spread: Whether counts were laid on arrivals by convention.
        streamed: Whether events came; a whole answer in JSON is one arrival.
    """

    status: Status
    error: str | None
    at_ns: tuple[int, ...]
    counts: tuple[int | None, ...]
    kinds: tuple[Kind, ...]
    done_ns: int | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    finish_reason: str | None
    text: str
    reasoning: str
    spread: bool
    streamed: bool


def read(exchange: Exchange) -> Reply:
    """What the server answered; whatever it sent, there is a reply with a reason.

    Args:
        exchange: What went over the wire.
    """
    answer = Answer()
    try:
        problem = _take_response(answer, exchange)
    except (MalformedResponse, BadEvent) as error:
        problem = str(error)
    answer.settle()
    complete = exchange.outcome == "complete"
    status: Status = "ok"
    if not complete:
        status, problem = _ended(exchange, answer, problem)
    elif problem := problem or answer.shortcoming():
        status = "failed"
    return Reply(
        status=status,
        error=problem or None,
        at_ns=tuple(answer.at_ns),
        counts=tuple(answer.counts),
        kinds=tuple(answer.kinds),
        done_ns=exchange.ended_ns if complete else None,
        input_tokens=answer.input_tokens,
        cached_input_tokens=answer.cached_input_tokens,
        output_tokens=answer.output_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        finish_reason=answer.finish_reason,
        text=storable("".join(answer.text)),
        reasoning=storable("".join(answer.reasoning)),
        spread=answer.spread,
        streamed=answer.streamed,
    )


def _take_response(answer: Answer, exchange: Exchange) -> str:
    """Takes all that came; returns what is wrong with it, "" if nothing."""
    found = final_head(exchange.raw)
    if found is None:
        return ""
    head, at = found
    content, starts, shifts = body(exchange.raw, head, at)
    if head.status != _OK:
        message = message_of(_or_text(content))
        return f"HTTP {head.status}: {message}" if message else f"HTTP {head.status}"
    coding = head.fields.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        return f"content encoding {line_of(coding, MESSAGE)}"
    media = head.fields.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media == b"text/event-stream":
        answer.streamed = True
        _take_events(answer, content, _Places(starts, shifts, exchange))
    elif media != b"application/json":
        return f"content type {line_of(media, MESSAGE)}" if media else "no content type"
    elif exchange.outcome == "complete":
        answer.take(decode(content), exchange.ended_ns)
    return ""


class _Places:
    """When the bytes of a body arrived.

    Args:
        starts: The place in the body at which each piece begins.
        shifts: How much further behind in the response it is.
        exchange: With the readings.
    """

    __slots__ = ("_at_ns", "_shifts", "_starts", "_upto")

    def __init__(self, starts: list[int], shifts: list[int], exchange: Exchange) -> None:
        self._starts = starts
        self._shifts = shifts
        self._upto = exchange.upto
        self._at_ns = exchange.at_ns

    def at_ns(self, end: int) -> int:
        """When the last byte before a place arrived."""
        if len(self._at_ns) == 1:
            return self._at_ns[0]
        last = end - 1
        last += self._shifts[bisect_right(self._starts, last) - 1]
        return self._at_ns[bisect_right(self._upto, last)]


def _take_events(answer: Answer, content: bytes, places: _Places) -> None:
    data, ends = events(content)
    if DONE in data:
        answer.ended = True
        data = data[: data.index(DONE)]
    usual = read_usual(data)
    if usual is not None:
        answer.take_all(usual, [places.at_ns(ends[number]) for number in usual.numbers])
        return
    taken = 0
    try:
        for event in decoded(data):
            answer.take(event, places.at_ns(ends[taken]))
            taken += 1
    except BadEvent as error:
        raise BadEvent(f"event {taken + 1}: {error}") from error


def _ended(exchange: Exchange, answer: Answer, problem: str) -> tuple[Status, str]:
    """Status and error of an exchange that did not end with a whole response."""
    status, words = _OUTCOMES[exchange.outcome]
    if exchange.outcome not in ("refused", "unsent"):
        words = f"{words} {_progress(answer.counts)}"
    reasons = [words, line_of(exchange.detail, MESSAGE), problem]
    return status, ": ".join(reason for reason in dict.fromkeys(reasons) if reason)


def _progress(counts: Sequence[int | None]) -> str:
    told = [count for count in counts if count is not None]
    if not counts:
        return "before the first token"
    number, what = (sum(told), "token") if len(told) == len(counts) else (len(counts), "arrival")
    return f"after {number} {what}" if number == 1 else f"after {number} {what}s"


def _or_text(content: bytes) -> object:
    try:
        return decode(content)
    except BadEvent:
        return content
