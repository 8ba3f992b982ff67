"""Processes, their children and what they used, by the kernel's files.

Where a system has no such files psutil tells, and where that is not installed either, nobody does.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any, TypeVar

from accelbench.harness.environment.reading import LINUX, Roots, file_fact

T = TypeVar("T")

_PARENT, _USED = 1, slice(11, 15)
"""Places in /proc/<pid>/stat behind the name: the parent; ticks in user and kernel mode, own ones
and those of children that were waited for."""


def tree(pids: Sequence[int], roots: Roots = LINUX) -> list[int]:
    """These processes and all their children, each once; one that has ended has none.

    Args:
        pids: Processes.
        roots: Where the file system begins.
    """
    found = list(pids)
    for pid in found:  # which grows meanwhile
        found += [child for child in _children(pid, roots) if child not in found]
    return found


def cpu_seconds(pid: int, roots: Roots = LINUX) -> float | None:
    """Processor seconds of a process and of the children that it waited for.

    Args:
        pid: The process.
        roots: Where the file system begins.

    Returns:
        The seconds in user and kernel mode, or None if there is no such process.
    """
    told = _stat(pid, roots)
    if told is not None:
        return sum(map(int, told[_USED])) / os.sysconf("SC_CLK_TCK")
    return _asked(pid, lambda process: float(sum(process.cpu_times()[:4])))


def resident_bytes(pid: int, roots: Roots = LINUX) -> int | None:
    """Resident bytes of a process; None if it has ended.

    Args:
        pid: The process.
        roots: Where the file system begins.
    """
    place = f"/proc/{pid}/statm"
    told = file_fact(roots, place, lambda text: int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    if isinstance(told.value, int):
        return told.value
    return _asked(pid, lambda process: int(process.memory_info().rss))


def psutil() -> Any:
    """The library, or None where it is not installed."""
    if find_spec("psutil") is None:
        return None
    import psutil as library  # noqa: PLC0415  (where the kernel's files do not tell)

    return library


def _children(pid: int, roots: Roots) -> list[int]:
    """By the kernel's list of each thread, which not all kernels keep; else by all parents."""
    texts = [
        file_fact(roots, f"/proc/{pid}/task/{path.parent.name}/children").value
        for path in roots.path(f"/proc/{pid}/task").glob("*/children")
    ]
    if texts:
        return [int(one) for text in texts if isinstance(text, str) for one in text.split()]
    parents = list(_parents(roots))
    if parents:
        return [child for child, parent in parents if parent == pid]
    return _asked(pid, lambda process: [child.pid for child in process.children()]) or []


def _parents(roots: Roots) -> Iterator[tuple[int, int]]:
    """Each process with its parent."""
    for path in roots.path("/proc").glob("[0-9]*/stat"):
        told = _stat(int(path.parent.name), roots)
        if told is not None:
            yield int(path.parent.name), int(told[_PARENT])


def _stat(pid: int, roots: Roots) -> list[str] | None:
    """What stands behind the name of a process, which may hold blanks and parentheses."""
    told = file_fact(roots, f"/proc/{pid}/stat", lambda text: text.rpartition(")")[2].split())
    return list(map(str, told.value)) if isinstance(told.value, list) else None


def _asked(pid: int, ask: Callable[[Any], T]) -> T | None:
    """What psutil says of a process; None if it has ended, or psutil is not installed."""
    library = psutil()
    if library is None:
        return None
    try:
        return ask(library.Process(pid))
    except library.Error:
        return None
