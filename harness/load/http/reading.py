"""Reads what came over the wire: when tokens arrived, how many, and whether all went well."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from accelbench.harness.load.http.events import (
    DONE,
    BadEvent,
    decode,
    decoded,
    events,
    line_of,
)
from accelbench.harness.load.http.exchange import Exchange, Outcome
from accelbench.harness.load.http.framing import Head, MalformedResponse, body, final_head

Status: TypeAlias = Literal["ok", "failed", "timeout", "cancelled", "unsent"]
Kind: TypeAlias = Literal["content", "reasoning"]
Arrival: TypeAlias = tuple[int, int | None, Kind]
"""When tokens arrived, how many (None where nobody told), and of which kind."""

_OK = 200
_MESSAGE = 200
_MOST_TOKENS = 1 << 31
_BROKEN_OFF = ("abort", "error")
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
        arrivals: In order of time; also of an answer that broke off.
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
    arrivals: tuple[Arrival, ...]
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
    answer = _Answer()
    try:
        _take_response(answer, exchange)
        problem = answer.shortcoming() if exchange.outcome == "complete" else ""
    except (MalformedResponse, BadEvent) as error:
        problem = str(error)
    answer.settle()
    status: Status = "failed" if problem else "ok"
    if exchange.outcome != "complete":
        status, problem = _ended(exchange, answer, problem)
    return Reply(
        status=status,
        error=problem or None,
        arrivals=tuple(zip(answer.at_ns, answer.counts, answer.kinds, strict=True)),
        done_ns=exchange.ended_ns if exchange.outcome == "complete" else None,
        input_tokens=answer.input_tokens,
        cached_input_tokens=answer.cached_input_tokens,
        output_tokens=answer.output_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        finish_reason=answer.finish_reason,
        text=_storable("".join(answer.text)),
        reasoning=_storable("".join(answer.reasoning)),
        spread=answer.spread,
        streamed=answer.streamed,
    )


def counted(reply: Reply, tokens: int) -> Reply:
    """The reply with its tokens counted from its text; the server's own count stands.

    Args:
        reply: As read.
        tokens: What a tokenizer makes of its whole text, reasoning included.
    """
    if reply.output_tokens is not None:
        return reply
    counts, spread = _completed([count for _, count, _ in reply.arrivals], tokens)
    arrivals = tuple(
        (at_ns, count, kind)
        for (at_ns, _, kind), count in zip(reply.arrivals, counts, strict=True)
    )
    return replace(
        reply, arrivals=arrivals, output_tokens=tokens, spread=reply.spread or spread
    )


def shares(tokens: int, arrivals: int) -> list[int]:
    """How many tokens each arrival is taken to have brought, where only the sum is known.

    As evenly as whole numbers allow, the larger shares last. Fewer tokens than arrivals go one
    each to arrivals at even distances from the first to the last, as both showed text; the others
    get 0.

    Args:
        tokens: In all.
        arrivals: How many there are, at least one.
    """
    if tokens >= arrivals:
        each, more = divmod(tokens, arrivals)
        return [each] * (arrivals - more) + [each + 1] * more
    laid = [0] * arrivals
    for k in range(tokens):
        laid[k * (arrivals - 1) // max(tokens - 1, 1)] = 1
    return laid


class _Answer:
    """What has been read so far of one answer; it grows event by event."""

    __slots__ = (
        "_known",
        "_open",
        "at_ns",
        "cached_input_tokens",
        "counts",
        "ended",
        "finish_reason",
        "input_tokens",
        "kinds",
        "output_tokens",
        "reasoning",
        "reasoning_tokens",
        "spread",
        "streamed",
        "text",
    )

    def __init__(self) -> None:
        self.at_ns: list[int] = []
        self.counts: list[int | None] = []
        self.kinds: list[Kind] = []
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.input_tokens: int | None = None
        self.cached_input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.reasoning_tokens: int | None = None
        self.finish_reason: str | None = None
        self.ended = False
        self.spread = False
        self.streamed = False
        self._known = 0  # tokens whose arrivals are known
        self._open: list[int] = []  # arrivals that wait for a count

    def take(self, event: object, at_ns: int) -> None:
        """Takes what one event says.

        Raises:
            BadEvent: It is an error, or no chunk of an answer.
        """
        if not isinstance(event, dict):
            raise BadEvent("not a JSON object")
        choices = event.get("choices")
        if event.get("error") or (not choices and event.get("object") == "error"):
            raise BadEvent(f"error from the server: {_message(event)}")
        came = False
        if choices:
            if not isinstance(choices, list):
                raise BadEvent("choices are not a list")
            for choice in choices:
                if not isinstance(choice, dict):
                    raise BadEvent("a choice is not an object")
                if not choice.get("index"):  # one choice was asked for
                    came = True
                    self._choice(choice, at_ns)
        usage = event.get("usage")
        if usage is not None:
            self._usage(usage, at_ns if came else None)

    def _choice(self, choice: dict[str, object], at_ns: int) -> None:
        part = choice.get("delta") or choice.get("message") or choice
        if not isinstance(part, dict):
            raise BadEvent("a delta is not an object")
        text = part.get("content") or part.get("text")
        thought = part.get("reasoning_content") or part.get("reasoning")
        ids = choice.get("token_ids")
        if text:
            if not isinstance(text, str):
                raise BadEvent("content is not text")
            self.text.append(text)
        if thought:
            if not isinstance(thought, str):
                raise BadEvent("reasoning is not text")
            self.reasoning.append(thought)
        if ids is not None and not isinstance(ids, list):
            raise BadEvent("token_ids are not a list")
        if text or thought or ids or _calls(part):
            self._arrival(at_ns, bool(text), bool(thought), ids)
        reason = choice.get("finish_reason")
        if reason is not None:
            if not isinstance(reason, str):
                raise BadEvent("finish_reason is not text")
            self.finish_reason = _storable(reason)

    def _arrival(self, at_ns: int, text: bool, thought: bool, ids: list[object] | None) -> None:
        """An event that ends the reasoning and begins the text counts as text."""
        kind: Kind = "content"
        if thought and not text:
            kind = "reasoning"
        elif not text and self.kinds:
            kind = self.kinds[-1]
        if ids is None:
            self._open.append(len(self.counts))
            self.counts.append(None)
        else:
            self.counts.append(len(ids))
            self._known += len(ids)
        self.kinds.append(kind)
        self.at_ns.append(at_ns)

    def _usage(self, usage: object, at_ns: int | None) -> None:
        """Takes a usage, which counts from the first token on; `at_ns` if a choice came with it."""
        if not isinstance(usage, dict):
            raise BadEvent("usage is not an object")
        self.input_tokens = _count(usage, "prompt_tokens", self.input_tokens)
        self.output_tokens = _count(usage, "completion_tokens", self.output_tokens)
        details = usage.get("prompt_tokens_details")
        if isinstance(details, dict):
            self.cached_input_tokens = _count(details, "cached_tokens", self.cached_input_tokens)
        details = usage.get("completion_tokens_details")
        if isinstance(details, dict):
            self.reasoning_tokens = _count(details, "reasoning_tokens", self.reasoning_tokens)
        new = (self.output_tokens or 0) - self._known
        if new <= 0:
            return
        if not self._open and at_ns is not None and self.streamed:
            self._arrival(at_ns, text=False, thought=False, ids=None)
        if self._open:
            laid = shares(new, len(self._open))
            for k, share in zip(self._open, laid, strict=True):
                self.counts[k] = share
            self.spread = self.spread or 1 < len(self._open) != new
            self._open = []
            self._known += new
