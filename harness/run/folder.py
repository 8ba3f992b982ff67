"""The output folder: new, ours and unfinished, or refused."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from accelbench.harness.bundle.campaign_file import Campaign, read_campaign, write_campaign
from accelbench.harness.bundle.layout import (
    CAMPAIGN,
    MANIFEST,
    RECORDS,
    attempt_folder,
)
from accelbench.harness.bundle.record_file import read_record, record_folders
from accelbench.harness.bundle.storage import storing
from accelbench.harness.errors import BundleError, OutputRefused, StorageError
from accelbench.harness.schema.record import Record

_LOCK = ".lock"
_ANOTHER = "choose another folder with --out"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Holds a campaign folder, so that two programs never write into one.

    Raises:
        OutputRefused: The folder cannot be written, is no campaign's, or is in use.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        foreign = [path.name for path in folder.iterdir() if path.name != _LOCK]
        if foreign and CAMPAIGN not in foreign:
            raise OutputRefused(
                f"the folder holds something else ({min(foreign)!r})",
                where=str(folder),
                remedy=_ANOTHER,
            )
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputRefused(
            f"cannot write there: {error.strerror}", where=str(folder), remedy=_ANOTHER
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise OutputRefused(
            "another accelbench writes there now", where=str(folder), remedy=_ANOTHER
        ) from error
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        os.close(descriptor)


def begin(folder: Path, asked: Campaign) -> Campaign:
    """Writes a new campaign, or finds the same one unfinished in the folder.

    Returns:
        The campaign to go on with: the stored one where there is one.

    Raises:
        OutputRefused: The folder holds another campaign, or the same one finished.
    """
    if not (folder / CAMPAIGN).exists():
        write_campaign(folder, asked)
        return asked
    try:
        stored = read_campaign(folder)
    except BundleError as error:
        raise OutputRefused(str(error), remedy=_ANOTHER) from error
    for what, was, now in (
        ("suite", stored.suite, asked.suite),
        ("overrides", stored.overrides, asked.overrides),
        ("code", stored.code_sha256, asked.code_sha256),
        ("machine", stored.machine, asked.machine),
        ("cells", stored.cell_hashes, asked.cell_hashes),
    ):
        if was != now:
            raise OutputRefused(
                f"the folder holds a campaign begun with another {what}"
                + (f" ({was} instead of {now})" if isinstance(was, str) else ""),
                where=str(folder),
                remedy=_ANOTHER,
            )
    if (folder / MANIFEST).exists() and not _failed(folder):
        raise OutputRefused(
            "the folder holds this campaign, finished",
            where=str(folder),
            remedy=f"look at it with `accelbench show`, or {_ANOTHER}",
        )
    return stored


def clear(folder: Path) -> list[Record]:
    """Makes a folder ready to go on: half-done trials go, failed ones are set aside.

    Returns:
        The records of all trials that are done.

    Raises:
        StorageError: The disk refused.
        BundleError: A record cannot be read.
    """
    with storing(folder):
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder / ".sessions", ignore_errors=True)
        for partial in folder.glob(f"{RECORDS}/*/.*.partial"):
            shutil.rmtree(partial)
    kept = []
    for place in record_folders(folder):
        record = read_record(place)
        if record.status == "failed":
            with storing(place):
                place.rename(attempt_folder(folder, record.cell, record.repeat))
        else:
            kept.append(record)
    return kept


def close(folder: Path, campaign: Campaign, finished_utc: str) -> None:
    """Removes working state and writes the end of the campaign.

    Raises:
        StorageError: The disk refused.
    """
    with storing(folder):
        shutil.rmtree(folder / ".sessions", ignore_errors=True)
    records = sorted(
        (read_record(place) for place in record_folders(folder)),
        key=lambda record: record.started_utc,
    )
    order = tuple(record.id for record in records)
    write_campaign(folder, replace(campaign, finished_utc=finished_utc, order=order))


def _failed(folder: Path) -> bool:
    return any(read_record(place).status == "failed" for place in record_folders(folder))


def check_space(folder: Path, needed: int) -> None:
    """Refuses to begin on a disk that is all but full.

    Args:
        folder: The campaign's folder.
        needed: Bytes that must be free.

    Raises:
        StorageError: There is less.
    """
    with storing(folder):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise StorageError(
            f"only {free // 1_000_000} MB are free, {needed // 1_000_000} MB are needed",
            where=str(folder),
            remedy="free some space or choose another folder with --out",
        )
