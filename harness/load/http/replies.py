"""What became of requests, read and written as rows that one process hands to another.

Rows of replies are `accelbench.harness.load.http.tables.REPLIES`, rows of arrivals `ARRIVALS`; that
module is not imported here, because a dispatcher has no need of tables.
"""

import gc
import pickle
import re
from collections.abc import Sequence
from pathlib import Path

from accelbench.harness.load.http.exchange import Exchange
from accelbench.harness.load.http.order import Order
from accelbench.harness.load.http.reading import read

_RECEIVED = re.compile(rb'"received_ns": *(\d+)')
_WRITTEN = re.compile(rb'"written_ns": *(\d+)')


def write_replies(exchanges: Sequence[Exchange], order: Order) -> None:
    """Reads all exchanges and writes their rows into the order's folder.

    Raises:
        OSError: The disk refused.
    """
    gc.disable()  # many rows are made and none is dropped
    replies: list[tuple[object, ...]] = []
    arrivals: list[tuple[object, ...]] = []
    for exchange in exchanges:
        reply = read(exchange)
        number = exchange.number
        replies.append(
            (
                number,
                exchange.due_ns,
                exchange.sent_ns,
                reply.done_ns,
                exchange.ended_ns,
                reply.status,
                reply.error,
                reply.input_tokens,
                reply.cached_input_tokens,
                reply.output_tokens,
                reply.spread,
                reply.text + reply.reasoning,
                *(_server_stamps(exchange.raw) if order.stamped else (None, None)),
            )
        )
        arrivals.extend([(number, *arrival) for arrival in reply.arrivals])
    with Path(order.out, order.name).open("wb") as stream:
        pickle.dump((replies, arrivals), stream, pickle.HIGHEST_PROTOCOL)


def _server_stamps(raw: bytes) -> tuple[int | None, list[int]]:
    received = _RECEIVED.search(raw)
    return int(received[1]) if received else None, [int(at) for at in _WRITTEN.findall(raw)]
