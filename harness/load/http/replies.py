"""What became of requests, read and put into tables that one process hands to another."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import ipc

from accelbench.harness.load.http.exchange import Exchange
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
    ]
)
"""One row a request; `number` is its place in the plan."""

ARRIVALS = pa.schema([("number", _INT), ("at_ns", _INT), ("count", _INT), ("kind", _TEXT)])
"""One row an arrival of tokens."""


def write_replies(exchanges: Sequence[Exchange], folder: str, name: str) -> None:
    """Reads all exchanges and writes `NAME.replies` and `NAME.arrivals`.

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
            )
        )
        arrivals.extend((exchange.number, *arrival) for arrival in reply.arrivals)
    _write(Path(folder) / f"{name}.replies", REPLIES, replies)
    _write(Path(folder) / f"{name}.arrivals", ARRIVALS, arrivals)


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
