"""What a process that was started says: passed on as it comes, and its last lines kept."""

import contextlib
import os
import threading
from collections import deque
from typing import IO

_STDOUT = 1


class Said:
    """The output of a process, read from a thread of its own until the process closes it.

    Args:
        stream: Its output; closed at the end.
        kept: How many of its last lines are kept.
    """

    def __init__(self, stream: IO[bytes], kept: int) -> None:
        self._lines: deque[str] = deque(maxlen=kept)
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        """The last lines so far."""
        return list(self._lines)

    def settle(self, limit_s: float) -> None:
        """Waits until all has been read, once the process has ended.

        Args:
            limit_s: How long to wait, seconds; a child of the process may hold its output open.
        """
        self._reader.join(limit_s)

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self._lines.append(line.decode(errors="replace").rstrip())
                with contextlib.suppress(OSError):  # nobody may listen to us any more
                    os.write(_STDOUT, line)
