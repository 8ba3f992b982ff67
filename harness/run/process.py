"""The worker process as its parent sees it: started, told, listened to, ended."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self, cast

from accelbench.harness.bundle.storage import storing, write_file
from accelbench.harness.run.job import SessionJob
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import canonical
from accelbench.harness.schema.protocols import SessionEvent

_QUIET = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""What a worker's environment has unless the user has set it: no network, no surprises."""

LOG = "log.txt"
WORKER = "accelbench.harness.run.worker"


class Worker:
    """A running worker; its end, expected or not, is the end of its events.

    Args:
        job: What it is told to do.
        module: What it runs.

    Attributes:
        pid: Its process id, which is also that of its process group.
        log: The file that takes its output.
    """

    def __init__(self, job: SessionJob, module: str = WORKER) -> None:
        folder = Path(job.folder)
        write_file(folder / "job.json", canonical(encode(job)))
        self.log = folder / LOG
        self._events, theirs = os.pipe()
        self._buffer = b""
        with storing(self.log):
            self._log: BinaryIO = self.log.open("ab")
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    module,
                    str(folder / "job.json"),
                    str(theirs),
                ],
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                env={**_QUIET, **os.environ},
                pass_fds=(theirs,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin(self, number: int) -> None:
        """Tells the worker to do a trial of its job; a dead worker is found out by `event`.

        What other numbers a worker may be told is up to its module.
        """
        stdin = cast("BinaryIO", self._process.stdin)
        try:
            stdin.write(f"{number}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            return

    def event(self, limit_s: float) -> Mapping[str, Any] | None:
        """The next event.

        Args:
            limit_s: How long to wait, seconds.

        Returns:
            The event; None if the worker ended without another.

        Raises:
            TimeoutError: The worker said nothing in time.
        """
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._events], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            chunk = os.read(self._events, 65536)
            if not chunk:
                return None
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        return cast("Mapping[str, Any]", json.loads(line))

    def how_it_ended(self) -> str:
        """The exit status in words, for a worker that has closed its events."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its events but did not end"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def end(self) -> None:
        """Ends the process and all its children, and frees what belongs to it."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(BrokenPipeError):  # it ended before it had read all it was told
            cast("BinaryIO", self._process.stdin).close()
        self._log.close()
        if self._events >= 0:
            os.close(self._events)
            self._events = -1


def answer_of(
    worker: Worker, limit_s: float, doing: str, listen: Callable[[SessionEvent], None]
) -> dict[str, Any]:
    """The worker's next event that is no news, or "gone" with the reason if there is none.

    A worker that takes too long is ended.

    Args:
        worker: The worker.
        limit_s: How long to wait, seconds.
        doing: What it is at, for the reason.
        listen: Takes news.
    """
    until = time.monotonic() + limit_s
    try:
        event = worker.event(limit_s)
        while event is not None and event["event"] == "load":
            listen(event)
            event = worker.event(max(0.0, until - time.monotonic()))
    except TimeoutError:
        worker.end()
        return {
            "event": "gone",
            "code": "timeout",
            "detail": f"{doing} took longer than {limit_s:g} s; raise rules.time_limit_s",
        }
    if event is None:
        detail = f"{doing}: the worker {worker.how_it_ended()}; see the end of its log"
        return {"event": "gone", "code": "crashed", "detail": detail}
    return dict(event)
