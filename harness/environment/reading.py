"""One fact of the environment, and how reading one always ends in a fact."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from accelbench.harness.errors import ForeignError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain, canonical

FactStatus: TypeAlias = Literal["ok", "absent", "denied", "error"]

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.EOPNOTSUPP}
_LONGEST_DETAIL = 160


class AbsentError(LookupError):
    """What was looked for does not exist here; the message says what."""


@dataclass(frozen=True)
class Fact:
    """One fact about the machine or the software.

    Attributes:
        value: What was read; None unless the status is "ok".
        source: The file or function it was read from.
        status: Read, not there, not permitted, or not understood.
        detail: Why there is no value; empty when there is one.
    """

    value: Plain
    source: str
    status: FactStatus
    detail: str = ""


@dataclass(frozen=True)
class Roots:
    """Where the file system that tells about the machine begins.

    Attributes:
        base: The folder that holds `proc`, `sys` and `etc`.
    """

    base: Path = Path("/")

    def path(self, place: str) -> Path:
        """Where a place lies.

        Args:
            place: An absolute path as a Linux manual names it, e.g. "/proc/cpuinfo".
        """
        return self.base / place.lstrip("/")

    def text(self, place: str) -> str:
        """The text of one file.

        Raises:
            OSError: The file is not there or not permitted.
            UnicodeDecodeError: It is not UTF-8.
        """
        return self.path(place).read_text(encoding="utf-8")

    def texts(self, pattern: str) -> dict[str, str]:
        """The stripped text of every file a pattern finds, by place, in order of the places.

        Raises:
            AbsentError: No file is found.
            OSError: A file that is found cannot be read.
        """
        found = sorted(self.base.glob(pattern.lstrip("/")), key=_natural)
        if not found:
            raise AbsentError("no such file")
        return {
            f"/{path.relative_to(self.base)}": path.read_text(encoding="utf-8").strip()
            for path in found
        }


LINUX = Roots()
"""The file system of this machine."""


def take(source: str, read: Callable[[], Plain]) -> Fact:
    """The fact that a reader finds; whatever goes wrong becomes the fact's status.

    Args:
        source: Where the reader looks.
        read: Gives the value, in plain and finite data.
    """
    try:
        with foreign("reading", where=source):
            value = read()
            canonical(value)
    except ForeignError as error:
        status, detail = _failure(error.__cause__)
        return Fact(None, source, status, detail[:_LONGEST_DETAIL])
    return Fact(value, source, "ok")


def nonempty(text: str) -> str:
    """The stripped text.

    Raises:
        AbsentError: There is nothing in it.
    """
    stripped = text.strip()
    if not stripped:
        raise AbsentError("the file is empty")
    return stripped


def file_fact(roots: Roots, place: str, parse: Callable[[str], Plain] = nonempty) -> Fact:
    """The fact that one file tells.

    Args:
        roots: Where the file system begins.
        place: The file.
        parse: Makes the value of the file's text; strips it unless given.
    """
    return take(place, lambda: parse(roots.text(place)))


def prefer(*facts: Fact) -> Fact:
    """The first fact that has a value; if none has, one that names all sources.

    Its status is the first one that is not just "absent".
    """
    for fact in facts:
        if fact.status == "ok":
            return fact
    told = next((fact for fact in facts if fact.status != "absent"), facts[0])
    return replace(told, source=", ".join(fact.source for fact in facts))


def listed(text: str) -> str:
    """A list of CPUs as the kernel writes it, e.g. "0-3,8"; "none" for an empty one."""
    return text.strip() or "none"


def _natural(path: Path) -> tuple[int, str]:
    return len(str(path)), str(path)


def _failure(cause: BaseException | None) -> tuple[FactStatus, str]:
    if isinstance(cause, AbsentError):
        return "absent", str(cause)
    if isinstance(cause, PermissionError):
        return "denied", cause.strerror or str(cause)
    if isinstance(cause, OSError):
        detail = cause.strerror or str(cause)
        return ("absent" if cause.errno in _NOT_THERE else "error"), detail
    return "error", f"{type(cause).__name__}: {cause}"
