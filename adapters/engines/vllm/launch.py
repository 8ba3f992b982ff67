"""Starts a server, follows what it says until it answers, and ends it."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, cast

from accelbench.adapters.engines.vllm.facts import telling
from accelbench.adapters.engines.vllm.process import GRACE_S, end_children
from accelbench.harness.errors import TrialError
from accelbench.harness.run.said import Said
from accelbench.harness.schema.plain import Plain

OVERRIDES = "VLLM_CPU_KVCACHE_SPACE"
"""A variable of the environment that vLLM takes before what its command line says."""

_AGAIN_S = 0.25
_ASK_S = 30.0
_KEPT_LINES = 2000
_KEEPER = "accelbench.adapters.engines.vllm.process"


class Server:
    """A server that was started; what it says goes to our own output too.

    Args:
        command: Its command line.
        environment: What it finds in its environment beside ours.
        cpus: Logical processors that it is bound to; empty for no binding.

    Attributes:
        pid: The process that keeps it, whose children are the server's.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], cpus: Sequence[int]
    ) -> None:
        bound = ",".join(map(str, cpus))
        inherited = {name: of for name, of in os.environ.items() if name != OVERRIDES}
        self._process = subprocess.Popen(
            [sys.executable, "-m", _KEEPER, str(os.getpid()), bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**inherited, **environment},
        )
        self.pid = self._process.pid
        self._said = Said(cast("IO[bytes]", self._process.stdout), _KEPT_LINES)

    def said(self) -> list[str]:
        """The last lines that it has written so far."""
        return self._said.lines()

    def wait(self, limit_s: float) -> int | None:
        """Waits for its end; the exit code, or None if it runs on.

        Args:
            limit_s: How long to wait, seconds.
        """
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        self._said.settle(_AGAIN_S)
        return code

    def end(self) -> None:
        """Ends it and all it has started: asks first, then kills."""
        self._process.terminate()
        if self.wait(2 * GRACE_S) is None:
            end_children(self.pid)
            self._process.kill()
            self._process.wait()
        self._said.settle(_AGAIN_S)


@contextmanager
def running(
    command: Sequence[str], environment: Mapping[str, str], cpus: Sequence[int]
) -> Iterator[Server]:
    """A server that is ended when the block is left."""
    server = Server(command, environment, cpus)
    try:
        yield server
    finally:
        server.end()


def await_answer(server: Server, url: str, request: Mapping[str, Plain], limit_s: float) -> None:
    """Waits until a server answers a request in earnest.

    Args:
        server: The server.
        url: Of its completions.
        request: What to ask.
        limit_s: How long to wait, seconds.

    Raises:
        TrialError: It ended, refused the request, or took too long.
    """
    body = json.dumps(request).encode()
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if (code := server.wait(_AGAIN_S)) is not None:
            raise TrialError(
                f"vLLM's server ended with exit code {code} while loading:"
                f" {telling(server.said())}",
                remedy="see the session's log",
            )
        try:
            tell(url, body)
        except urllib.error.HTTPError as error:
            text = error.read(300).decode(errors="replace")
            raise TrialError(f"vLLM's server refused the first request: {text}") from error
        except OSError:  # it does not listen yet
            continue
        return
    raise TrialError(
        f"vLLM's server did not answer within {limit_s:g} s", remedy="raise adapter.start_s"
    )


def tell(url: str, body: bytes | None = None) -> str:
    """The answer of the server on this machine, as text.

    Args:
        url: The page.
        body: JSON to post; None to get the page.

    Raises:
        OSError: It does not answer.
    """
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, kind)  # noqa: S310  (always http://127.0.0.1)
    with urllib.request.urlopen(request, timeout=_ASK_S) as answer:  # noqa: S310  (likewise)
        return cast("bytes", answer.read()).decode(errors="replace")


def free_port() -> int:
    """A TCP port of this machine's loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])
