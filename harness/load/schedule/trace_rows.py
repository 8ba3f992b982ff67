"""Rows of a file of recorded requests, whatever they mean: CSV, JSON lines, JSON lists, Parquet."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TextIO

from accelbench.harness.errors import ConfigError

MOST_TOKENS = 100_000_000
"""A length above this is taken for a mistake."""

MOST_S = 10**10
"""An instant above this is taken for a mistake, seconds; as Unix time it is the year 2286."""

_NS_PER_S = 10**9
_CHUNK = 1 << 16
_LARGEST_ENTRY = 1 << 26
_MARK = re.compile(r"\s*([\[\],])\s*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Row:
    """A row as it was written.

    Attributes:
        cells: What it holds, by column or key.
        where: The file, and the row's place in it.
    """

    cells: Mapping[str, Any]
    where: str

    def cell(self, name: str) -> Any:
        """What the row holds under a name.

        Raises:
            ConfigError: It has no such cell.
        """
        if name not in self.cells:
            raise ConfigError(f"has no {name}", where=self.where)
        return self.cells[name]

    def tokens(self, name: str) -> int:
        """A length.

        Raises:
            ConfigError: It is not a whole number from 0 to `MOST_TOKENS`.
        """
        value = self.cell(name)
        number = value if type(value) is int else self._number(name, value)
        if not 0 <= number <= MOST_TOKENS or number != int(number):
            raise ConfigError(
                f"{name} is {value!r:.60}, not a whole number from 0 to {MOST_TOKENS}",
                where=self.where,
            )
        return int(number)

    def instant_ns(self, name: str, unit_ns: int) -> int:
        """An instant on the recording's own clock, to the nanosecond.

        Args:
            name: The cell.
            unit_ns: Nanoseconds in one of what it counts.

        Raises:
            ConfigError: It is not a number, is negative, or is beyond `MOST_S`.
        """
        value = self.cell(name)
        number = value if type(value) is int else self._number(name, value)
        if not 0 <= number <= MOST_S * _NS_PER_S // unit_ns:
            raise ConfigError(
                f"{name} is {value!r:.60}, not an instant from 0 to {MOST_S} s", where=self.where
            )
        return round(number * unit_ns)

    def _number(self, name: str, value: Any) -> Decimal:
        try:
            number = Decimal("NaN") if isinstance(value, bool) else Decimal(str(value))
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise ConfigError(f"{name} is {value!r:.60}, not a number", where=self.where)
        return number


def csv_rows(path: Path, needs: Sequence[str]) -> Iterator[Row]:
    """The rows under the header of a CSV file; blank lines are passed over.

    Args:
        path: The file, UTF-8.
        needs: Columns that must be there; others may be.

    Raises:
        ConfigError: The file cannot be read, lacks a column, or has a row that does not fit.
    """
    header: list[str] | None = None
    for number, text in _lines(path):
        where = f"{path} line {number}"
        try:
            cells = next(csv.reader([text], strict=True))
        except csv.Error as error:
            raise ConfigError(f"is no line of CSV: {error}", where=where) from error
        if header is None:
            header = [name.strip() for name in cells]
            lacks = [name for name in needs if name not in header]
            if lacks:
                raise ConfigError(f"the header lacks {', '.join(lacks)}", where=where)
        elif len(cells) != len(header):
            raise ConfigError(f"has {len(cells)} cells, the header {len(header)}", where=where)
        else:
            yield Row(dict(zip(header, cells, strict=True)), where)


def json_lines(path: Path) -> Iterator[Row]:
    """The objects of a file that holds one a line; blank lines are passed over.

    Raises:
        ConfigError: The file cannot be read, or a line is no JSON object.
    """
    for number, text in _lines(path):
        where = f"{path} line {number}"
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"is no line of JSON: {error}", where=where) from error
        yield _object(value, where)


def json_object(path: Path) -> Row:
    """The one object that a file holds.

    Raises:
        ConfigError: The file cannot be read, or holds no JSON object.
    """
    with _readable(path):
        text = path.read_text(encoding="utf-8-sig")
    try:
        return _object(json.loads(text), str(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"is no JSON: {error}", where=str(path)) from error


def json_list(path: Path) -> Iterator[Row]:
    """The objects of a file that holds one list of them; read in parts, as it may be large.

    Raises:
        ConfigError: The file cannot be read, or is no JSON list of objects.
    """
    with _readable(path), path.open(encoding="utf-8-sig") as stream:
        text, at, number, opening = stream.read(_CHUNK), 0, 0, "["
        while True:
            where = f"{path} entry {number + 1}"
            try:
                value, at, closed = _entry(text, at, opening)
            except (ValueError, RecursionError) as error:
                more = stream.read(max(_CHUNK, len(text) - at))
                if not more or len(text) - at > _LARGEST_ENTRY:
                    raise ConfigError(
                        f"is no entry of a JSON list: {error}", where=where
                    ) from error
                text, at = text[at:] + more, 0
                continue
            if closed:
                break
            number, opening = number + 1, ","
            yield _object(value, where)
        if _goes_on(text[at:], stream):
            raise ConfigError("goes on after the end of its JSON list", where=str(path))


def parquet_rows(path: Path, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a Parquet file; of the named columns, those that it has.

    Raises:
        ConfigError: The file cannot be read.
    """
    import pyarrow as pa  # noqa: PLC0415  (only traces of ours need it)
    import pyarrow.parquet as pq  # noqa: PLC0415  (the same)

    number = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as stored:
            there = [name for name in columns if name in stored.schema_arrow.names]
            for batch in stored.iter_batches(columns=there):
                for cells in batch.to_pylist():
                    number += 1
                    yield Row(cells, f"{path} row {number}")
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(_first_line(error), where=str(path)) from error


def _entry(text: str, at: int, opening: str) -> tuple[Any, int, bool]:
    """The next entry of a list, where it ends, and whether the list had ended instead.

    Raises:
        ValueError: The text is not JSON, or ends too early.
    """
    mark = _MARK.match(text, at)
    if mark and mark[1] == "]" and opening == ",":
        return None, mark.end(), True
    if not mark or mark[1] != opening:
        raise ValueError(f"{opening!r} expected")
    if opening == "[" and text.startswith("]", mark.end()):
        return None, mark.end() + 1, True
    value, end = _DECODER.raw_decode(text, mark.end())
    return value, end, False


def _goes_on(rest: str, stream: TextIO) -> bool:
    while not rest.strip():
        rest = stream.read(_CHUNK)
        if not rest:
            return False
    return True


def _object(value: Any, where: str) -> Row:
    if not isinstance(value, dict):
        raise ConfigError(f"is no JSON object but {str(value)[:40]!r}", where=where)
    return Row(value, where)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1; no byte-order mark, no line ends."""
    with _readable(path), path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise ConfigError(
                    f"is not UTF-8: {error}", where=f"{path} line {number}"
                ) from error
            if text.strip():
                yield number, text.rstrip("\r\n")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever the disk or the encoding has against reading a file, as one line of ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(_first_line(error), where=str(path)) from error


def _first_line(error: Exception) -> str:
    told = str(error).splitlines()
    return f"cannot be read: {told[0] if told else type(error).__name__}"
