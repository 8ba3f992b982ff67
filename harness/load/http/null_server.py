"""A server without a model: it answers at once, or by the clock, and stamps what it sends.

Run as `python -m accelbench.harness.load.http.null_server` it says {"port": N} on standard output
and serves until its standard input ends (a file is not watched) or SIGTERM comes. Each event of a
stream carries "null": {"received_ns", "written_ns"}: when the last byte of the request had arrived (by
the kernel's stamp, where it gives one), and the instant just before the event was sent, both on the
monotonic clock.
"""

import argparse
import contextlib
import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Self, cast

from accelbench.harness.errors import TrialError
from accelbench.harness.load.http.null_answers import MOST_TOKENS, Answers
from accelbench.harness.load.http.null_loop import Loop, Pace
from accelbench.harness.units import NS_PER_S

_HOST = "127.0.0.1"
_BACKLOG = 4096
_PR_SET_TIMERSLACK = 29
_START_S = 30.0
_END_S = 5.0


class NullServer:
    """A null server in a process of its own, for the length of a `with`.

    Args:
        tokens: Of an answer whose request states no number.
        first_s: Seconds from the start of service to the first token.
        gap_s: Seconds between tokens.
        slots: Requests served at once, others wait in the order of their coming; 0 for no limit.
        cpu: Logical processor that it is bound to; None for any.
        model: The name of its model.
        port: Where it listens; 0 for a free one.
        log: File that takes, at the end, a list for each answered request: the instant at which
            it had arrived whole, then those at which its tokens were written, ns on the monotonic
            clock.

    Attributes:
        url: Its base address, once it runs.
        pid: Of its process.
    """

    def __init__(
        self,
        *,
        tokens: int = 16,
        first_s: float = 0.0,
        gap_s: float = 0.0,
        slots: int = 0,
        cpu: int | None = None,
        model: str = "null",
        port: int = 0,
        log: str | None = None,
    ) -> None:
        told = {"port": port, "tokens": tokens, "first-s": first_s, "gap-s": gap_s, "slots": slots}
        options = [f"--{name}={value}" for name, value in told.items()]
        bound = [] if cpu is None else [f"--cpu={cpu}"]
        logged = [] if log is None else [f"--log={log}"]
        self._command = [
            *(sys.executable, "-m", "accelbench.harness.load.http.null_server"),
            *(*options, *bound, *logged, f"--model={model}"),
        ]
        self.url = ""
        self.pid = 0

    def __enter__(self) -> Self:
        """Starts it and waits until it listens.

        Raises:
            TrialError: It did not.
        """
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            told = json.loads(_line(cast("IO[bytes]", self._process.stdout).fileno()) or "{}")
            if "port" not in told:
                raise TrialError(told.get("error", "it ended or hung"), where="null server")
            stack.pop_all()
        self.pid = self._process.pid
        self.url = f"http://{_HOST}:{told['port']}"
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def _end(self) -> None:
        """Asks it to end, and makes it if it does not."""
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        cast("IO[bytes]", self._process.stdin).close()
        cast("IO[bytes]", self._process.stdout).close()


def _line(fd: int) -> bytes:
    """The first line that comes, or what of it came before the end or the time limit."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    line, until = b"", time.monotonic() + _START_S
    while not line.endswith(b"\n") and poll.poll(max(0.0, until - time.monotonic()) * 1000):
        part = os.read(fd, 4096)
        if not part:
            break
        line += part
    return line


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the server; what is wrong is told as {"error": ...} on standard output.

    Args:
        arguments: Of the command; those of this process if None.

    Returns:
        The exit code.
    """
    told = _options().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        if told.cpu is not None:
            os.sched_setaffinity(0, {told.cpu})
        listener = socket.create_server((told.host, told.port), backlog=_BACKLOG)
    except OSError as error:
        place = "" if told.cpu is None else f" on processor {told.cpu}"
        _say({"error": f"port {told.port} of {told.host}{place}: {error.strerror}"})
        return 1
    listener.settimeout(0)
    _make_swift()
    pace = Pace(
        told.tokens, round(told.first_s * NS_PER_S), round(told.gap_s * NS_PER_S), told.slots
    )
    log: list[list[int]] | None = None if told.log is None else []
    loop = Loop(listener, Answers(told.model), pace, log)
    _say({"port": listener.getsockname()[1]})
    try:
        loop.serve(None if sys.stdin is None else sys.stdin.fileno())
    finally:
        if log is not None:
            Path(told.log).write_text(json.dumps(log))
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="null_server", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default=_HOST)
    parser.add_argument("--port", type=_between(int, 0, 65535), default=0, help="0: a free one")
    parser.add_argument("--tokens", type=_between(int, 1, MOST_TOKENS), default=16)
    parser.add_argument("--first-s", type=_between(float, 0, 3600), default=0.0)
    parser.add_argument("--gap-s", type=_between(float, 0, 3600), default=0.0)
    parser.add_argument("--slots", type=_between(int, 0, 1 << 30), default=0, help="0: no limit")
    parser.add_argument("--cpu", type=_between(int, 0, 1 << 20), help="logical processor")
    parser.add_argument("--model", default="null", help="name of the model")
    parser.add_argument("--log", help="file that takes the stamps of all requests at the end")
    return parser


def _between(kind: "type[int | float]", least: int, most: int) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be {least} to {most}")
        return value

    return number


def _make_swift() -> None:
    """Lets timers end when they are due, no collector of garbage pause, and many clients come."""
    with contextlib.suppress(AttributeError):  # not everywhere
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    gc.disable()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
