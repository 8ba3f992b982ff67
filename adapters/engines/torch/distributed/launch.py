"""Starts the ranks of a session by torchrun, hears what they say, and leaves none of them behind.

All goes over a socket in a folder of the session's own. A rank whose session is gone ends itself;
a session whose rank is gone, or silent for too long, ends them all. The ranks find one another by
a file, and gloo listens on the loopback interface alone, so that no port is open to a network.
"""

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, Listener, wait
from pathlib import Path
from typing import IO, Any, cast

import psutil

from accelbench.adapters.engines.torch.distributed.orders import Failed, Joining, Setup
from accelbench.harness.errors import TrialError
from accelbench.harness.run.said import Said

_RANK = "accelbench.adapters.engines.torch.distributed.rank"
_START_S = 120.0
_AGAIN_S = 0.2
_GRACE_S = 3.0
_ENDING_S = 10.0
_KEPT_LINES = 400
_EXIT = re.compile(r"exitcode: (-?\d+)\) local_rank: (\d+)")
_LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


class Ranks:
    """Running ranks, each at the other end of a connection.

    Args:
        count: How many.
        folder: Of the session's own; takes the socket.
        patience_s: How long ranks may be silent when others have spoken, seconds.

    Attributes:
        alive: Whether they can be told something.
    """

    def __init__(self, count: int, folder: Path, patience_s: float) -> None:
        self.alive = True
        self._count, self._patience_s = count, patience_s
        self._talks: dict[int, Connection] = {}
        self._processes: dict[int, psutil.Process] = {}
        address = str(folder / "ranks")
        self._listener = Listener(address, "AF_UNIX", backlog=count)
        self._torchrun = subprocess.Popen(
            [*_command(count, folder), address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                "OMP_NUM_THREADS": "1",
                **os.environ,
                "GLOO_SOCKET_IFNAME": _LOOPBACK,
                "NCCL_SOCKET_IFNAME": _LOOPBACK,
                "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # it would listen on all interfaces
            },
        )
        self._said = Said(cast("IO[bytes]", self._torchrun.stdout), _KEPT_LINES)
        self._joiner = threading.Thread(target=self._join, daemon=True)
        self._joiner.start()

    def tell(self, word: Any) -> None:
        """Tells all ranks something; one that is gone is found out by `hear`."""
        for talk in self._talks.values():
            with contextlib.suppress(OSError):
                talk.send(word)

    def come(self) -> None:
        """Waits until all ranks have come.

        Raises:
            TrialError: One did not.
        """
        until = time.monotonic() + _START_S
        while len(self._talks) < self._count:
            if self._torchrun.poll() is not None:
                self._said.settle(_AGAIN_S)
                raise self._given_up(f"the ranks did not come up: {self._last_line()}")
            if time.monotonic() > until:
                raise self._given_up(
                    f"{len(self._talks)} of {self._count} ranks came within {_START_S:g} s"
                )
            time.sleep(_AGAIN_S / 10)

    def hear(self) -> list[Any]:
        """The next word of each rank, in order.

        Raises:
            TrialError: A rank failed, is gone, or stayed silent when the others had spoken.
        """
        words: dict[int, Any] = {}
        until: float | None = None
        while len(words) < self._count:
            silent = {talk: rank for rank, talk in self._talks.items() if rank not in words}
            for talk in wait(list(silent), _AGAIN_S):
                rank = silent[cast("Connection", talk)]
                words[rank] = _word(cast("Connection", talk))
            if None in words.values():
                break
            if words and until is None:
                until = time.monotonic() + self._patience_s
            if until is not None and any(isinstance(word, Failed) for word in words.values()):
                until = min(until, time.monotonic() + _GRACE_S)
            if until is not None and time.monotonic() > until:
                break
        return self._judged(words)

    def _judged(self, words: dict[int, Any]) -> list[Any]:
        """The words, if all are good ones; a rank that is gone is the cause of others' failures."""
        gone = [rank for rank, word in words.items() if word is None]
        if gone:
            raise self._given_up("; ".join(self._how_it_ended(rank) for rank in sorted(gone)))
        failed = [word for word in words.values() if isinstance(word, Failed)]
        silent = sorted(set(range(self._count)) - set(words))
        if silent:
            told = "; ".join(f"rank {one.rank} told: {one.why}" for one in failed)
            waited = f"within {self._patience_s:g} s of the others" if not failed else ""
            named = ", ".join(map(str, silent))
            what = f"rank {named} said nothing {waited}".rstrip()
            raise self._given_up(f"{what}; {told}" if told else what)
        if failed:
            raise self._given_up("; ".join(f"rank {one.rank}: {one.why}" for one in failed))
        return [words[rank] for rank in range(self._count)]

    def end(self) -> None:
        """Ends all ranks: they end themselves when nobody talks to them, else they are killed."""
        if not self.alive:
            return
        self.alive = False
        self._listener.close()
        started = {*_tree(self._torchrun.pid), *self._processes.values()}
        for talk in self._talks.values():
            talk.close()
        if self._talks:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._torchrun.wait(_ENDING_S)
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._torchrun.wait()
        psutil.wait_procs(list(started), timeout=_ENDING_S)
        self._said.settle(_AGAIN_S)

    def _given_up(self, what: str) -> TrialError:
        self.end()
        return TrialError(what, remedy="see the session's log")

    def _how_it_ended(self, rank: int) -> str:
        """In words, of a rank that has closed its connection."""
        until = time.monotonic() + _GRACE_S
        while time.monotonic() < until:
            for code, number in _EXIT.findall("\n".join(self._said.lines())):
                if int(number) == rank:
                    how = f"signal {code[1:]}" if code.startswith("-") else f"exit code {code}"
                    return f"rank {rank} ended with {how}"
            time.sleep(_AGAIN_S)
        return f"rank {rank} (process {self._processes[rank].pid}) is gone"

    def _last_line(self) -> str:
        said = [line for line in self._said.lines() if line.strip(" =-")]
        errors = [line for line in said if "Error" in line]
        return (errors or said or ["torchrun said nothing"])[-1].strip()

    def _join(self) -> None:
        """Takes in the ranks as they come."""
        with contextlib.suppress(OSError, EOFError, psutil.Error):  # closed, or it is gone again
            while len(self._talks) < self._count:
                talk = self._listener.accept()
                joining: Joining = talk.recv()
                self._processes[joining.rank] = psutil.Process(joining.pid)
                self._talks[joining.rank] = talk


@contextmanager
def running(
    count: int, patience_s: float, setup: Callable[[Path], Setup]
) -> Iterator[tuple[Ranks, list[Any]]]:
    """Ranks that are ready, and what they told; none is left when the block is.

    Args:
        count: How many.
        patience_s: How long ranks may be silent when others have spoken, seconds.
        setup: What they are to be, by the file that they find one another by.

    Raises:
        TrialError: A rank did not come up.
    """
    with tempfile.TemporaryDirectory(
        prefix="accelbench-ranks-", ignore_cleanup_errors=True
    ) as name:
        folder = Path(name)
        ranks = Ranks(count, folder, patience_s)
        try:
            ranks.come()
            ranks.tell(setup(folder / "store"))
            yield ranks, ranks.hear()
        finally:
            ranks.end()


def _command(count: int, folder: Path) -> list[str]:
    """The command line of torchrun, up to what a rank is told."""
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=1",
        f"--nproc-per-node={count}",
        "--max-restarts=0",
        "--rdzv-backend=c10d",
        "--rdzv-conf=store_type=file",
        f"--rdzv-endpoint={folder / 'rendezvous'}",
        f"--log-dir={folder / 'logs'}",
        "-m",
        _RANK,
    ]


def _word(talk: Connection) -> Any:
    """What a rank said; None if it is gone."""
    try:
        return talk.recv()
    except (EOFError, OSError):
        return None


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []
