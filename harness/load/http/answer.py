"""One answer in OpenAI's format, put together from its events."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

from accelbench.harness.load.http.events import BadEvent, line_of
from accelbench.harness.load.http.usual import MOST_TOKENS, Usage, Usual

Kind: TypeAlias = Literal["content", "reasoning"]
"""What a token is a part of."""

MESSAGE = 200
"""Characters that are kept of a foreign message."""

_WRAPS = ("error", "message", "detail", "msg")
_DEPTH = 4
_BROKEN_OFF = ("abort", "error")


def completed(counts: Sequence[int | None], total: int) -> tuple[list[int], bool]:
    """Counts that make up a total, and whether some were laid by convention.

    Where the known ones leave room, the others share what is left; where they contradict the
    total, all are laid anew.

    Args:
        counts: Tokens of each arrival, None where unknown.
        total: Tokens of all of them.
    """
    known = [count for count in counts if count is not None]
    left, unknown = total - sum(known), len(counts) - len(known)
    if left < 0 or (left and not unknown):
        return shares(total, len(counts)) if counts else [], len(counts) > 1
    if not unknown:
        return known, False
    laid = iter(shares(left, unknown))
    filled = [next(laid) if count is None else count for count in counts]
    return filled, unknown > 1 and left not in (0, unknown)


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


def message_of(told: object) -> str:
    """The words of an error, however a server wraps them.

    Args:
        told: Text, or decoded JSON.
    """
    for _ in range(_DEPTH):
        if isinstance(told, list) and told:
            told = told[0]
        elif isinstance(told, dict):
            told = next((told[name] for name in _WRAPS if told.get(name)), None)
    return line_of(told, MESSAGE) if isinstance(told, str | bytes) else ""


def storable(text: str) -> str:
    """The text with halves of characters put together, or marked where the other half lacks.

    Args:
        text: As JSON escapes may have made it, a surrogate at a time.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Answer:
    """What has been read so far of one answer; it grows event by event.

    Attributes:
        at_ns: When each arrival came.
        counts: How many tokens came with it; None where that is not known.
        kinds: Of which kind they are; empty until the answer is settled.
        text: Pieces of the answer.
        reasoning: Pieces of its reasoning.
        input_tokens: As the server counted them, and so the other three.
        finish_reason: Why the server stopped.
        ended: Whether [DONE] came.
        spread: Whether counts were laid on arrivals by convention.
        streamed: Whether it comes as events.
    """

    __slots__ = (
        "_kinds",
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
        self._kinds: list[Kind | None] = []
        self._known = 0  # tokens whose arrivals are known
        self._open: list[int] = []  # arrivals that wait for a count

    def take(self, event: object, at_ns: int) -> None:
        """Takes what one event says.

        Args:
            event: Its decoded JSON.
            at_ns: When it had arrived.

        Raises:
            BadEvent: It is an error, or no chunk of an answer.
        """
        if not isinstance(event, dict):
            raise BadEvent("not a JSON object")
        choices = event.get("choices")
        if event.get("error") or (not choices and event.get("object") == "error"):
            raise BadEvent(f"error from the server: {message_of(event)}")
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

    def take_all(self, usual: Usual, at_ns: Sequence[int]) -> None:
        """Takes a usual stream, from the first event to the last.

        Args:
            usual: What it says.
            at_ns: When each piece of its text had arrived.

        Raises:
            BadEvent: A usage is none.
        """
        self.text += usual.text
        self.at_ns += at_ns
        self.counts += [None] * len(at_ns)
        self._kinds += ["content"] * len(at_ns)
        self._open += range(len(at_ns))
        if usual.finish_reason is not None:
            self.finish_reason = storable(usual.finish_reason)
        for usage in usual.usages:
            self._counted(usage, None)

    def _choice(self, choice: dict[str, object], at_ns: int) -> None:
        part = choice.get("delta") or choice.get("message") or choice
        kind = self._words(part)
        ids = choice.get("token_ids")
        if ids is not None and not isinstance(ids, list):
            raise BadEvent("token_ids are not a list")
        if kind or ids:
            self._arrival(at_ns, kind, ids)
        reason = choice.get("finish_reason")
        if reason is not None:
            if not isinstance(reason, str):
                raise BadEvent("finish_reason is not text")
            self.finish_reason = storable(reason)

    def _words(self, part: object) -> Kind | None:
        """Takes the text; what ends the reasoning and begins the answer counts as content."""
        if not isinstance(part, dict):
            raise BadEvent("a delta is not an object")
        thought = part.get("reasoning_content") or part.get("reasoning")
        text = part.get("content") or part.get("text")
        if thought:
            if not isinstance(thought, str):
                raise BadEvent("reasoning is not text")
            self.reasoning.append(thought)
        if text:
            if not isinstance(text, str):
                raise BadEvent("content is not text")
            self.text.append(text)
            return "content"
        if "tool_calls" in part and _called(part["tool_calls"]):
            return "content"
        return "reasoning" if thought else None

    def _arrival(self, at_ns: int, kind: Kind | None, ids: list[object] | None) -> None:
        self.at_ns.append(at_ns)
        self._kinds.append(kind)
        if ids is None:
            self._open.append(len(self.counts))
            self.counts.append(None)
        else:
            self.counts.append(len(ids))
            self._known += len(ids)

    def _usage(self, usage: object, at_ns: int | None) -> None:
        """Takes a usage, which counts all tokens so far; `at_ns` if a choice came with it."""
        if not isinstance(usage, dict):
            raise BadEvent("usage is not an object")
        self._counted(
            Usage(
                _count(usage, "prompt_tokens"),
                _count(usage, "completion_tokens"),
                _count(usage.get("prompt_tokens_details"), "cached_tokens"),
                _count(usage.get("completion_tokens_details"), "reasoning_tokens"),
            ),
            at_ns,
        )

    def _counted(self, usage: Usage, at_ns: int | None) -> None:
        self.input_tokens = _newer(usage.input_tokens, self.input_tokens)
        self.output_tokens = _newer(usage.output_tokens, self.output_tokens)
        self.cached_input_tokens = _newer(usage.cached_tokens, self.cached_input_tokens)
        self.reasoning_tokens = _newer(usage.reasoning_tokens, self.reasoning_tokens)
        if not self.output_tokens or self.output_tokens < self._known:
            return  # many servers count 0 until the end
        new = self.output_tokens - self._known
        if new and not self._open and at_ns is not None and self.streamed:
            self._arrival(at_ns, None, None)
        if self._open:
            laid, spread = completed([None] * len(self._open), new)
            for k, count in zip(self._open, laid, strict=True):
                self.counts[k] = count
            self.spread = self.spread or spread
            self._open = []
            self._known += new

    def settle(self) -> None:
        """Gives each arrival its kind and its count, when no more will come."""
        kind: Kind = next((kind for kind in self._kinds if kind), "content")
        for known in self._kinds:  # tokens without text are of the kind of those before them
            kind = known or kind
            self.kinds.append(kind)
        if self._open:  # what the usage told, it told before these came
            self.output_tokens = None
        elif self.counts and self.output_tokens not in (None, self._known):
            counts, spread = completed(self.counts, self.output_tokens)
            self.counts = list(counts)
            self.spread = self.spread or spread
        elif self.counts:
            self.output_tokens = self._known

    def shortcoming(self) -> str:
        """What a whole response lacks to be a whole answer; "" if nothing."""
        if self.streamed and not self.ended and self.finish_reason is None:
            return "the stream ended without [DONE] or a finish reason"
        if self.finish_reason in _BROKEN_OFF:
            return f"the server ended it: finish_reason {self.finish_reason}"
        if any(count != 0 for count in self.counts):
            return ""
        if self.output_tokens:
            return f"no token came with text, and the usage tells of {self.output_tokens}"
        return "no token"


def _called(calls: object) -> bool:
    """Whether a name or an argument of a tool call goes on."""
    if not isinstance(calls, list):
        return False
    functions = [one.get("function") for one in calls if isinstance(one, dict)]
    return any(of.get("name") or of.get("arguments") for of in functions if isinstance(of, dict))


def _count(told: object, name: str) -> int | None:
    """A count of a usage or of its details, which may be missing."""
    value = told.get(name) if isinstance(told, dict) else None
    if value is not None and (type(value) is not int or not 0 <= value < MOST_TOKENS):
        raise BadEvent(f"{name} in the usage is no count")
    return value


def _newer(told: int | None, before: int | None) -> int | None:
    return before if told is None else told
