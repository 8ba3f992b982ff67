"""What ranks sent one another, and what of their time it took; no PyTorch here.

All ranks are processes of one machine and share its monotonic clock, so that what one rank did is
set against what another did. A collective cannot begin before its last rank has come: until then
the others wait, and only from then on they communicate. The same holds for a message and the two
ends of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from accelbench.harness.errors import TrialError

Span: TypeAlias = tuple[int, int]
"""Start and end, ns."""

COMPUTE = ("forward", "backward", "optimizer")
"""Kinds of phases in which a rank computes where it does not wait for a message."""


@dataclass(frozen=True)
class Message:
    """One collective, or one end of a message between two ranks, as a rank saw it.

    Attributes:
        operation: E.g. "all_reduce", "all_gather", "send", "recv".
        peer: The rank at the other end; None of a collective.
        start_ns: When it was issued.
        done_ns: When it was known to be done.
        moved: Bytes of payload: of a collective the whole tensor that is reduced, gathered or
            scattered; of a message counted by its sender alone.
        waited: Where the rank did nothing but wait for it, as far as it was seen to.
        issuing: Where it did nothing but issue it, as far as that was seen.
    """

    operation: str
    peer: int | None
    start_ns: int
    done_ns: int
    moved: int
    waited: tuple[Span, ...] = ()
    issuing: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Travel:
    """A message of a rank with what the other ranks tell of it.

    Attributes:
        message: As the rank saw it.
        ready_ns: When the last of those that take part had come.
        done_ns: When it was done; that of the receiver where a message was sent.
    """

    message: Message
    ready_ns: int
    done_ns: int


def travels(ranks: Sequence[Sequence[Message]]) -> list[list[Travel]]:
    """Each rank's messages in order, matched with those of the others.

    Collectives match by their number, as every rank takes part in each; messages between two
    ranks by their number among those from the one to the other.

    Raises:
        TrialError: The ranks do not tell of the same messages.
    """
    groups: dict[tuple[object, ...], list[Message]] = defaultdict(list)
    keys = [list(_keys(rank, messages)) for rank, messages in enumerate(ranks)]
    for own, messages in zip(keys, ranks, strict=True):
        for key, message in zip(own, messages, strict=True):
            groups[key].append(message)
    for key, found in groups.items():
        wanted = len(ranks) if key[0] == "collective" else 2
        if len(found) != wanted:
            raise TrialError(f"{found[0].operation} was seen by {len(found)} ranks of {wanted}")
    return [
        [_travel(message, groups[key]) for key, message in zip(own, messages, strict=True)]
        for own, messages in zip(keys, ranks, strict=True)
    ]


def _keys(rank: int, messages: Iterable[Message]) -> Iterator[tuple[object, ...]]:
    """What each message is known by on all ranks that take part in it."""
    count: dict[tuple[object, ...], int] = defaultdict(int)
    for message in messages:
        if message.peer is None:
            kind: tuple[object, ...] = ("collective",)
        elif message.operation == "send":
            kind = ("message", rank, message.peer)
        else:
            kind = ("message", message.peer, rank)
        yield (*kind, count[kind])
        count[kind] += 1


def _travel(message: Message, group: Sequence[Message]) -> Travel:
    ready_ns = max(one.start_ns for one in group)
    done_ns = message.done_ns
    if message.operation == "send":
        done_ns = min(done_ns, *(one.done_ns for one in group))
    return Travel(message, ready_ns, max(ready_ns, done_ns))


def settled(messages: Iterable[Message], phases: Sequence[Span]) -> list[Message]:
    """The same messages in order, each done no later than its rank went on from it.

    News that a message is done may come late, when the rank's processor is busy with what comes
    after it. What was waited for was done when the first wait was over; what was not, and was
    issued in a phase, when the phase was: PyTorch's backward pass and its sharded optimiser wait
    at their end for what they have issued.

    Args:
        messages: Of one rank.
        phases: Where it computed, by its marks, in order and apart.
    """
    starts = [start for start, _ in phases]
    found = []
    for message in messages:
        position = bisect_right(starts, message.start_ns) - 1
        if message.waited:
            latest = message.waited[0][1]
        elif position >= 0 and message.start_ns < phases[position][1]:
            latest = phases[position][1]
        else:
            latest = message.done_ns
        found.append(replace(message, done_ns=min(message.done_ns, latest)))
    return found


def blocked(messages: Iterable[Message], phases: Sequence[Span]) -> list[Span]:
    """Where a rank did nothing but wait for messages, in order and apart.

    Waits that were seen are taken as they are. A phase that issued messages which nobody was seen
    to wait for waits for them at its end: from the last of them on, when there is nothing left to
    compute, until all are done.

    Args:
        messages: Of one rank, settled.
        phases: Where it computed, by its marks, in order and apart.
    """
    starts = [start for start, _ in phases]
    found: list[Span] = []
    behind: dict[int, list[Message]] = defaultdict(list)
    for message in messages:
        position = bisect_right(starts, message.start_ns) - 1
        if message.waited:
            found += (*message.issuing, *message.waited)
        elif position >= 0 and message.start_ns < phases[position][1]:
            behind[position].append(message)
    for issued in behind.values():
        found.append((max(one.start_ns for one in issued), max(one.done_ns for one in issued)))
    return union(found)


def union(spans: Iterable[Span]) -> list[Span]:
    """The same time as spans that do not touch, in order; those of no length are left out."""
    found: list[Span] = []
    for start, end in sorted(span for span in spans if span[1] > span[0]):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found


def without(span: Span, cuts: Sequence[Span]) -> list[Span]:
    """What is left of a span.

    Args:
        span: The span.
        cuts: What is taken out, in order and apart.
    """
    start, end = span
    left: list[Span] = []
    for cut_start, cut_end in cuts:
        if cut_end <= start or cut_start >= end:
            continue
        if cut_start > start:
            left.append((start, cut_start))
        start = cut_end
    if start < end:
        left.append((start, end))
    return left


def shared(span: Span, others: Sequence[Span]) -> list[Span]:
    """The parts of a span that lie in one of the others, which are in order and apart."""
    start, end = span
    return [(max(start, low), min(end, high)) for low, high in others if low < end and high > start]
