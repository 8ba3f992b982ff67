"""Trace folders: `trace.json` and a Parquet (or JSON-lines) file a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from accelbench.harness.bundle.storage import write_file
from accelbench.harness.errors import BundleError, ConfigError
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.recorder import in_time_order, table_of
from accelbench.harness.schema.trace import TABLES, Meter, Rows, Trace, TraceHead

HEAD_FILE = "trace.json"

LARGE = ("tokens",)
"""Tables that are read in parts."""

_PART_ROWS = 1 << 17


def write_trace(trace: Trace, folder: Path) -> None:
    """Writes a trace; a table without rows gets no file.

    Raises:
        StorageError: The disk refused.
    """
    write_file(folder / HEAD_FILE, pretty(encode(trace.head)))
    for name in trace.tables:
        _write_table(name, trace.table(name), folder)


def add_rows(
    folder: Path,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    meters: Mapping[str, Meter],
) -> None:
    """Adds what was watched from outside to a written trace.

    Args:
        folder: The trace folder.
        rows: Rows to add, by table.
        meters: What the probes say of themselves, by probe.

    Raises:
        BundleError: The folder holds no readable trace.
        StorageError: The disk refused.
    """
    trace = read_trace(folder)
    for name, added in rows.items():
        if added:
            table = pa.concat_tables([trace.table(name), table_of(name, list(added))])
            _write_table(name, in_time_order(name, table), folder)
    head = replace(trace.head, meters={**trace.head.meters, **meters})
    write_file(folder / HEAD_FILE, pretty(encode(head)))


def read_trace(folder: Path) -> Trace:
    """Reads a trace that was written by us or, as JSON lines, by anyone.

    Token arrivals in Parquet stay on the disk until somebody reads them, part by part.

    Raises:
        BundleError: A file is missing, truncated, or not what its name says.
    """
    head = _read_head(folder / HEAD_FILE)
    tables: dict[str, pa.Table | Rows] = {}
    for name in TABLES:
        table = _read_table(name, folder)
        if table is not None:
            tables[name] = table
    if "requests" not in tables:
        tables["requests"] = TABLES["requests"].empty_table()
    return Trace(head, tables)


def _write_table(name: str, table: pa.Table, folder: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    write_file(folder / f"{name}.parquet", sink.getvalue().to_pybytes())


def _read_head(path: Path) -> TraceHead:
    try:
        return decode(TraceHead, json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise BundleError(
            "no trace here", where=str(path), remedy="name a folder that holds trace.json"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    except ConfigError as error:
        raise BundleError(error.what, where=f"{path} {error.where}", remedy=error.remedy) from error


@dataclass(frozen=True)
class ParquetRows:
    """The rows of a Parquet file, read in parts.

    Attributes:
        table: Name of the table.
        path: The file.
        num_rows: How many rows it has.
    """

    table: str
    path: Path
    num_rows: int

    def read(self) -> pa.Table:
        """All of it, ordered by its time column."""
        whole = pa.concat_tables(self.parts(TABLES[self.table].names))
        return in_time_order(self.table, whole.cast(TABLES[self.table]))

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns, a part at a time; texts are dictionaries of themselves."""
        schema = TABLES[self.table]
        texts = [name for name in columns if schema.field(name).type == pa.string()]
        with (
            _readable(self.path),
            pq.ParquetFile(
                self.path, read_dictionary=texts, page_checksum_verification=True
            ) as stored,
        ):
            there = [name for name in columns if name in stored.schema_arrow.names]
            yield _columns(self.table, columns, stored.schema_arrow.empty_table())
            for batch in stored.iter_batches(_PART_ROWS, columns=there):
                batch.validate(full=True)
                yield _columns(self.table, columns, pa.table(batch))


def _read_table(name: str, folder: Path) -> pa.Table | Rows | None:
    parquet, lines = folder / f"{name}.parquet", folder / f"{name}.jsonl"
    if parquet.exists():
        with _readable(parquet), pq.ParquetFile(parquet) as stored:
            rows = ParquetRows(name, parquet, stored.metadata.num_rows)
        return rows if name in LARGE else rows.read()
    if not lines.exists():
        return None
    with _readable(lines):
        return table_of(
            name, [_row(name, line) for line in lines.read_bytes().splitlines() if line]
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever is wrong with a file of a table, as one line of ours."""
    try:
        yield
    except (OSError, pa.ArrowException, ValueError, RecursionError) as error:
        raise BundleError(
            f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            where=str(path),
            remedy="the file is truncated or edited; fetch the trace again",
        ) from error


def _columns(name: str, wanted: Sequence[str], table: pa.Table) -> pa.Table:
    """The wanted columns, null where the file lacks them; numbers in our types."""
    columns = {
        field.name: _column(table, field)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in (TABLES[name].field(column) for column in wanted)
    }
    return pa.table(columns)


def _column(table: pa.Table, field: pa.Field) -> pa.ChunkedArray:
    """One column; a dictionary of texts stays one."""
    column = table.column(field.name)
    return column if pa.types.is_dictionary(column.type) else column.cast(field.type)


def _row(table: str, line: bytes) -> dict[str, Any]:
    row = json.loads(line)
    if not isinstance(row, dict):
        raise ValueError(f"a line that is no object: {line[:40]!r}")  # noqa: TRY004  (bad data)
    for key in ("id", "request"):
        if isinstance(row.get(key), int):
            row[key] = str(row[key])
    for field in TABLES[table]:
        value = row.get(field.name)
        if field.type == pa.int64() and isinstance(value, float) and not value.is_integer():
            raise ValueError(f"{field.name} is {value}, not a whole number")
    return row
