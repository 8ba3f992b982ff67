"""The rows of several dispatchers as tables."""

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

_INT, _TEXT = pa.int64(), pa.string()

REPLIES = pa.schema(
    [
        ("number", _INT),
        ("due_ns", _INT),
        ("sent_ns", _INT),
        ("done_ns", _INT),
        ("ended_ns", _INT),
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
"""One row a request; `number` is its place in the plan. `done_ns` is when a whole response had come,
`ended_ns` when the request ended, however it did. The last two are the stamps of a server that gives
them, of the request's coming and of each event; null for any other."""

ARRIVALS = pa.schema([("number", _INT), ("at_ns", _INT), ("count", _INT), ("kind", _TEXT)])
"""One row an arrival of tokens."""


def read_replies(folder: str, names: Iterable[str]) -> tuple[pa.Table, pa.Table]:
    """The replies by their place in the plan, and the arrivals by their time.

    Args:
        folder: Where dispatchers of ours wrote them.
        names: The name of each.

    Raises:
        OSError: A file is not there.
    """
    replies: list[tuple[object, ...]] = []
    arrivals: list[tuple[object, ...]] = []
    for name in names:
        more = pickle.loads(Path(folder, name).read_bytes())  # noqa: S301  (our own dispatcher wrote it)
        replies += more[0]
        arrivals += more[1]
    return (
        _table(REPLIES, replies).sort_by("number"),
        _table(ARRIVALS, arrivals).sort_by("at_ns"),
    )


def _table(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
