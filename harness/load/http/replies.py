"""What became of requests, read and written as columns that one process hands to another.

They come out as tables of `accelbench.harness.load.http.tables`, which is not imported here, because
a dispatcher has no need of tables.
"""

import gc
import pickle
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from accelbench.harness.load.http.exchange import Exchange
from accelbench.harness.load.http.order import Order
from accelbench.harness.load.http.reading import Reply, read

WHOLE = (
    "number",
    "due_ns",
    "sent_ns",
    "done_ns",
    "ended_ns",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "received_ns",
)
"""The whole numbers of a reply, in the order in which they lie in `Columns.whole`."""

NONE = -1
"""Stands for a whole number that is not known; no number that is known is below 0."""

_RECEIVED = re.compile(rb'"received_ns": *(\d+)')
_WRITTEN = re.compile(rb'"written_ns": *(\d+)')


@dataclass
class Columns:
    """Replies of one dispatcher, and their arrivals one reply after another.

    Attributes:
        whole: The numbers of `WHOLE`, reply by reply.
        status: Of each reply, and so the other three.
        error: What went wrong, or None.
        text: The answer with its reasoning.
        spread: Whether its tokens were laid on arrivals by convention.
        written_ns: The server's stamps of its events, where it gives them; else empty.
        arrivals: How many arrivals it has.
        at_ns: When each arrival came.
        count: How many tokens it brought.
        reasoning: 1 where they are reasoning.
    """

    whole: "array[int]" = field(default_factory=lambda: array("q"))
    status: list[str] = field(default_factory=list)
    error: list[str | None] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    spread: list[bool] = field(default_factory=list)
    written_ns: list[list[int]] = field(default_factory=list)
    arrivals: "array[int]" = field(default_factory=lambda: array("q"))
    at_ns: "array[int]" = field(default_factory=lambda: array("q"))
    count: "array[int]" = field(default_factory=lambda: array("q"))
    reasoning: bytearray = field(default_factory=bytearray)

    def add(self, exchange: Exchange, reply: Reply, received_ns: int | None) -> None:
        """Takes one more reply."""
        told = (
            exchange.number,
            exchange.due_ns,
            exchange.sent_ns,
            reply.done_ns,
            exchange.ended_ns,
            reply.input_tokens,
            reply.cached_input_tokens,
            reply.output_tokens,
            received_ns,
        )
        self.whole.extend([NONE if value is None else value for value in told])
        self.status.append(reply.status)
        self.error.append(reply.error)
        self.text.append(reply.text + reply.reasoning)
        self.spread.append(reply.spread)
        self.arrivals.append(len(reply.at_ns))
        self.at_ns.extend(reply.at_ns)
        self.count.extend([NONE if count is None else count for count in reply.counts])
        self.reasoning.extend([kind == "reasoning" for kind in reply.kinds])


def write_replies(exchanges: Sequence[Exchange], order: Order) -> None:
    """Reads all exchanges and writes what they say into the order's folder.

    Raises:
        OSError: The disk refused.
    """
    gc.disable()  # much is made and nothing is dropped
    columns = Columns()
    for exchange in exchanges:
        received_ns = None
        if order.stamped:
            received_ns, written_ns = _server_stamps(exchange.raw)
            columns.written_ns.append(written_ns)
        columns.add(exchange, read(exchange), received_ns)
    with Path(order.out, order.name).open("wb") as stream:
        pickle.dump(columns, stream, pickle.HIGHEST_PROTOCOL)


def _server_stamps(raw: bytes) -> tuple[int | None, list[int]]:
    received = _RECEIVED.search(raw)
    return int(received[1]) if received else None, [int(at) for at in _WRITTEN.findall(raw)]
