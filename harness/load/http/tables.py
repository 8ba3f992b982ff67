"""The replies of several dispatchers as tables."""

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from accelbench.harness.load.http.replies import NONE, WHOLE, Columns

_INT, _TEXT = pa.int64(), pa.string()

REPLIES = pa.schema(
    [
        ("number", _INT),
        ("due_ns", _INT),
        ("sent_ns", _INT),
        ("done_ns", _INT),
        ("ended_ns", _INT),
        ("input_tokens", _INT),
        ("cached_input_tokens", _INT),
        ("output_tokens", _INT),
        ("received_ns", _INT),
        ("status", _TEXT),
        ("error", _TEXT),
        ("text", pa.large_string()),
        ("spread", pa.bool_()),
        ("written_ns", pa.list_(_INT)),
    ]
)
"""One row a request; `number` is its place in the plan. `done_ns` is when a whole response had come,
`ended_ns` when the request ended, however it did. `received_ns` and `written_ns` are the stamps of a
server that gives them, of the request's coming and of each event; null for any other."""

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
    told = [_read(Path(folder, name)) for name in names]
    replies = pa.concat_tables([_replies(one) for one in told])
    arrivals = pa.concat_tables([_arrivals(one) for one in told])
    return replies.sort_by("number"), arrivals.sort_by("at_ns")


def _read(path: Path) -> Columns:
    told: Columns = pickle.loads(path.read_bytes())  # noqa: S301  (our own dispatcher wrote it)
    return told


def _replies(told: Columns) -> pa.Table:
    whole = np.frombuffer(told.whole, np.int64).reshape(-1, len(WHOLE))
    written = told.written_ns or pa.nulls(len(told.status), pa.list_(_INT))
    columns = [
        *(_known(whole[:, place]) for place in range(len(WHOLE))),
        *(told.status, told.error, told.text, told.spread, written),
    ]
    return _table(REPLIES, columns)


def _arrivals(told: Columns) -> pa.Table:
    whole = np.frombuffer(told.whole, np.int64).reshape(-1, len(WHOLE))
    reasons = pa.array(np.frombuffer(told.reasoning, np.uint8))
    kinds = pa.array(["content", "reasoning"]).take(reasons)
    number = np.repeat(whole[:, WHOLE.index("number")], np.frombuffer(told.arrivals, np.int64))
    count = _known(np.frombuffer(told.count, np.int64))
    return _table(ARRIVALS, [number, np.frombuffer(told.at_ns, np.int64), count, kinds])


def _known(values: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> pa.Array:
    return pa.array(values, mask=values == NONE)


def _table(schema: pa.Schema, columns: Sequence[object]) -> pa.Table:
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
