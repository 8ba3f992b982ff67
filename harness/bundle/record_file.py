"""Records on disk: one folder a trial, written to the side and renamed."""

import json
from collections.abc import Iterator
from pathlib import Path

from accelbench.harness.bundle.layout import RECORD, RECORDS
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.errors import BundleError, ConfigError
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.record import Record


def write_record(folder: Path, record: Record) -> None:
    """Writes `record.json` into a record's folder.

    Raises:
        StorageError: The disk refused.
    """
    write_file(folder / RECORD, pretty(encode(record)))


def read_record(folder: Path) -> Record:
    """Reads a record.

    Raises:
        BundleError: It is missing, truncated or wrong.
    """
    path = folder / RECORD
    try:
        return decode(Record, json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(
            f"cannot be read: {error}",
            where=str(path),
            remedy="the record is truncated or edited; fetch the bundle again",
        ) from error
    except ConfigError as error:
        raise BundleError(str(error), where=str(path)) from error


def record_folders(bundle: Path) -> Iterator[Path]:
    """Folders of all finished trials, cell by cell and repeat by repeat."""
    found = [
        path.parent
        for path in (bundle / RECORDS).glob(f"*/*/{RECORD}")
        if path.parent.name.isdigit()
    ]
    yield from sorted(found, key=lambda folder: (folder.parent.name, int(folder.name)))


def failed_attempts(bundle: Path, cell: str) -> list[str]:
    """Names of the folders of failed trials that were tried again later."""
    return sorted(path.name for path in (bundle / RECORDS / cell).glob("*.failed-*"))
