"""Where assets lie on this machine, and whether what lies there is what it should be.

A file whose size and time of change are those that were noted when its digest was checked is
taken as checked; any other is read through again.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from accelbench.harness.bundle.storage import settle, storing, write_file
from accelbench.harness.schema.plain import file_digest

_NOTE = ".checked.json"


@dataclass(frozen=True)
class Member:
    """One file of a package.

    Attributes:
        path: Where it lies in the package's wheel.
        size_bytes: Its size.
        sha256: Its digest.
    """

    path: str
    size_bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """Its own name, which it keeps here."""
        return PurePosixPath(self.path).name


def shelf() -> Path:
    """The folder that holds one folder for each asset."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "accelbench" / "assets"


def wrong(folder: Path, members: tuple[Member, ...], *, anew: bool = False) -> str | None:
    """What is wrong with the files in a folder, in words; None where all are right.

    Args:
        folder: Where they lie.
        members: What should lie there.
        anew: Reads every file, whatever was noted.
    """
    noted = {} if anew else _noted(folder)
    for member in members:
        path = folder / member.name
        try:
            known = noted.get(member.name) == [*_look(path), member.sha256]
            if not known and file_digest(path) != member.sha256:
                return f"{member.name} is not the file that its package carries"
        except OSError:
            return f"{member.name} is not there"
    return None


def note(folder: Path, members: tuple[Member, ...]) -> None:
    """Notes that the digests of these files were checked as they are now.

    Raises:
        StorageError: The operating system refused.
    """
    with storing(folder):
        seen = {one.name: [*_look(folder / one.name), one.sha256] for one in members}
    write_file(folder / _NOTE, json.dumps(seen).encode())


@contextmanager
def beside(folder: Path) -> Iterator[Path]:
    """An empty folder next to an asset's own, for this process alone; gone when it is left.

    What a killed process left there is removed first. A second process waits for the first.

    Raises:
        StorageError: The operating system refused.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    with storing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f".{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if partial.exists():
                shutil.rmtree(partial)
            partial.mkdir()
            try:
                yield partial
            finally:
                with suppress(OSError):
                    shutil.rmtree(partial)


def place(ready: Path, folder: Path, aside: Path) -> None:
    """Moves a finished folder to its place, in one step where nothing lies there.

    Args:
        ready: The finished folder, on the same disk.
        folder: Its place.
        aside: Where what lies there now is put.

    Raises:
        StorageError: The operating system refused.
    """
    with storing(folder):
        if folder.exists():
            folder.replace(aside)
    settle(ready, folder)


def _look(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _noted(folder: Path) -> Mapping[str, object]:
    try:
        found = json.loads((folder / _NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
