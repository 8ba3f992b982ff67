"""One lock a machine: no two of our wall-clock sessions run beside each other."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "accelbench-machine.lock"


@contextmanager
def machine_lock(waiting: Callable[[], None]) -> Iterator[None]:
    """Holds the machine's lock; waits for another session of ours to end.

    The operating system frees the lock when its holder dies, however it dies.

    Args:
        waiting: Called once if the lock is not free.
    """
    descriptor = _open(Path(tempfile.gettempdir()) / _LOCK)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
