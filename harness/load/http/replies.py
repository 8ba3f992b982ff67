"""What became of requests, read and put into tables that one process hands to another."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

from accelbench.harness.load.http.exchange import Exchange
from accelbench.harness.load.http.order import Order
from accelbench.harness.load.http.reading import read

_INT, _TEXT = pa.int64(), pa.string()

REPLIES = pa.schema(
    [
        ("number", _INT),
        ("due_ns", _INT),
        ("sent_ns", _INT),
        ("done_ns", _INT),
        ("status", _TEXT),
        ("error", _TEXT),
        ("input_tokens", _INT),
        ("cached_input_tokens", _INT),
        ("output_tokens", _INT),
        ("spread", pa.bool_()),
        ("text", _TEXT),
        ("received_ns", _INT),
        ("written_ns", pa.list_(_INT)),
    ]
)
"""One row a request; `number` is its place in the plan. The last two are the stamps of a server
that gives them, of the request's coming and of each event; null for any other."""

ARRIVALS = pa.schema([("number", _INT), ("at_ns", _INT), ("count", _INT), ("kind", _TEXT)])
"""One row an arrival of tokens."""


_RECEIVED = re.compile(rb'"received_ns": *(\d+)')
_WRITTEN = re.compile(rb'"written_ns": *(\d+)')


def write_replies(exchanges: Sequence[Exchange], order: Order) -> None:
    """Reads all exchanges and writes `NAME.replies` and `NAME.arrivals` into the order's folder.

    Raises:
        OSError: The disk refused.
    """
    replies: list[tuple[object, ...]] = []
    arrivals: list[tuple[object, ...]] = []
    for exchange in exchanges:
        reply = read(exchange)
        replies.append(
            (
                exchange.number,
                exchange.due_ns,
                exchange.sent_ns,
                reply.done_ns,
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
        arrivals.extend((exchange.number, *arrival) for arrival in reply.arrivals)
    _write(Path(order.out) / f"{order.name}.replies", REPLIES, replies)
    _write(Path(order.out) / f"{order.name}.arrivals", ARRIVALS, arrivals)


def read_replies(folder: str, names: Iterable[str]) -> tuple[pa.Table, pa.Table]:
    """The replies and the arrivals of several processes.

    Raises:
        OSError: A file is not there.
    """
    found = list(names)
    tables = [
        pa.concat_tables([_read(Path(folder) / f"{name}.{kind}") for name in found])
        for kind in ("replies", "arrivals")
    ]
    return tables[0], tables[1]


def _server_stamps(raw: bytes) -> tuple[int | None, list[int]]:
    received = _RECEIVED.search(raw)
    return int(received[1]) if received else None, [int(at) for at in _WRITTEN.findall(raw)]


def _write(path: Path, schema: pa.Schema, rows: list[tuple[object, ...]]) -> None:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    with ipc.new_file(str(path), schema) as writer:
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _read(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return ipc.open_file(source).read_all()
