"""Writing files so that a killed process or a full disk leaves the old file or the new one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accelbench.harness.errors import StorageError

_REMEDY = {
    errno.ENOSPC: "free some space and run the same command again: it resumes",
    errno.EDQUOT: "free some of your quota and run the same command again: it resumes",
    errno.EACCES: "make the folder writable or choose another",
    errno.EPERM: "make the folder writable or choose another",
    errno.EROFS: "choose a folder on a writable disk",
}


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turns an OSError of the body into a StorageError that names the path and a remedy.

    Raises:
        StorageError: The operating system refused.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            error.strerror or str(error),
            where=str(error.filename or path),
            remedy=_REMEDY.get(error.errno or 0, "see that the disk and the folder are there"),
        ) from error


def write_file(path: Path, content: bytes) -> None:
    """Writes a whole file: to the side, flushed to the disk, then renamed into place.

    Raises:
        StorageError: The operating system refused; the old file, if any, is untouched.
    """
    aside = path.with_name(f".{path.name}.tmp")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def settle(partial: Path, final: Path) -> None:
    """Renames a finished folder into place, with all its files flushed to the disk first.

    Raises:
        StorageError: The operating system refused.
    """
    with storing(final):
        for path in sorted(partial.rglob("*")):
            if path.is_file():
                _flush(path)
        partial.replace(final)
        _flush(final.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
