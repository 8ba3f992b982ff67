"""Keeps a server: starts it, and sees to it that nothing of it is left when its owner is gone.

Run as `python -m accelbench.adapters.engines.vllm.process OWNER CPUS COMMAND...`. vLLM's engine and
its workers are processes of their own, which outlive a server that is killed. Therefore a process
stays between the owner and the server that does nothing but wait: the system tells it when its
owner dies, however that happened, and makes it the parent of whatever the server leaves behind.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import FrameType

import psutil

GRACE_S = 15.0
"""How long a server may take to end by itself."""

_KILL_S = 5.0
_SET_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
"""Numbers of prctl, from Linux' sys/prctl.h."""


class _Stop(Exception):  # noqa: N818  (no error: the way out of a wait)
    """The owner is gone, or told us to end."""


def main(owner: int, cpus: Sequence[int], command: Sequence[str]) -> int:
    """Runs a command until it ends or its owner does; returns its exit code.

    Args:
        owner: The process that this one belongs to.
        cpus: Logical processors for the command and all it starts; empty for no binding.
        command: What to run.
    """
    signal.signal(signal.SIGTERM, _stop)
    code = 1
    try:
        _tell_system()
        if os.getppid() != owner:  # it died before the system was told
            return code
        if cpus:
            os.sched_setaffinity(0, cpus)
        server = subprocess.Popen(command)
        try:
            code = server.wait()
        except _Stop:
            if os.getppid() == owner:
                code = _ended(server)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_children(os.getpid())
        _reap()
    return code


def end_children(pid: int) -> None:
    """Kills all that a process has started, and waits until they are gone.

    Args:
        pid: The process, which lives on.
    """
    while True:
        living = [one for one in _children(pid) if _lives(one)]
        if not living:
            return
        for one in living:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(living, timeout=_KILL_S)


def _ended(server: "subprocess.Popen[bytes]") -> int:
    server.terminate()
    try:
        return server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        return 1


def _reap() -> None:
    """Takes note of the end of those that the server left to us, so that no trace of them stays."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


def _tell_system() -> None:
    """Has the system tell of the owner's death, and leave orphans of the server to us."""
    if sys.platform != "linux":
        return
    control = ctypes.CDLL(None, use_errno=True).prctl
    for what, of in ((_SET_DEATH_SIGNAL, int(signal.SIGTERM)), (_SET_CHILD_SUBREAPER, 1)):
        if control(what, of, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl refused to watch over the server")


if __name__ == "__main__":
    _cpus = [int(number) for number in sys.argv[2].split(",") if number]
    sys.exit(main(int(sys.argv[1]), _cpus, sys.argv[3:]))
