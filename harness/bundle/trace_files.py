"""Trace folders: `trace.json` and a Parquet (or JSON-lines) file a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from accelbench.harness.bundle.storage import write_file
from accelbench.harness.errors import BundleError, ConfigError
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.recorder import in_time_order, table_of
from accelbench.harness.schema.trace import TABLES, Meter, Trace, TraceHead

HEAD_FILE = "trace.json"


def write_trace(trace: Trace, folder: Path) -> None:
    """Writes a trace; a table without rows gets no file.

    Raises:
        StorageError: The disk refused.
    """
    write_file(folder / HEAD_FILE, pretty(encode(trace.head)))
    for name, table in trace.tables.items():
        _write_table(name, table, folder)


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

    Raises:
        BundleError: A file is missing, truncated, or not what its name says.
    """
    head = _read_head(folder / HEAD_FILE)
    tables = {}
    for name in TABLES:
        table = _read_table(name, folder)
        if table is not None:
            tables[name] = table
    if "requests" not in tables:
        tables["requests"] = TABLES["requests"].empty_table()
    return Trace(head, tables)


def _write_table(name: str, table: pa.Table, folder: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
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


def _read_table(name: str, folder: Path) -> pa.Table | None:
    parquet, lines = folder / f"{name}.parquet", folder / f"{name}.jsonl"
    path = parquet if parquet.exists() else lines
    if not path.exists():
        return None
    try:
        if path is parquet:
            return _columns(name, pq.ParquetFile(pa.py_buffer(path.read_bytes())).read())
        return table_of(name, [_row(name, line) for line in path.read_bytes().splitlines() if line])
    except (OSError, pa.ArrowException, ValueError, RecursionError) as error:
        raise BundleError(
            f"cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}",
            where=str(path),
            remedy="the file is truncated or edited; fetch the trace again",
        ) from error


def _columns(name: str, table: pa.Table) -> pa.Table:
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in TABLES[name]
    ]
    return in_time_order(name, pa.table(columns, schema=TABLES[name]))


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
