"""Runs a command and tells the processor time of it and of every process that came of it.

Processes that outlive their parent are handed to this one, so that the system's own account of
children ends up complete; what still runs some seconds after the command has ended is ended.

    python process_tree.py --cpu 0 --limit 600 --out told.json -- COMMAND [ARGUMENT ...]
"""

import argparse
import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

_SET_PARENT_DEATH_SIGNAL, _SET_CHILD_SUBREAPER = 1, 36
_LINGER_S = 10.0


def main() -> int:
    """Runs the command; what came of it is written as JSON, standard output is the command's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cpu", type=int, required=True, help="logical processor of all of it")
    parser.add_argument("--limit", type=float, required=True, help="seconds")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    system = ctypes.CDLL(None)
    system.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    system.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.sched_setaffinity(0, {args.cpu})
    killed = 0
    try:
        code, wall_s = _run(args.command, args.limit)
        _reap(time.monotonic() + _LINGER_S)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        killed = _kill()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = {
        "code": code,
        "wall_s": wall_s,
        "cpu_s": used.ru_utime + used.ru_stime,
        "killed": killed,
    }
    args.out.write_text(json.dumps(told))
    return 0


def _run(command: list[str], limit_s: float) -> tuple[int | None, float]:
    """The exit code, None where the limit came first, and how long it took."""
    began = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        code = None
    return code, time.monotonic() - began


def _reap(until: float) -> None:
    """Waits for all processes that were handed over, at most until the instant."""
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)


def _kill() -> int:
    """Ends whatever is left, and tells how many processes that were."""
    killed = 0
    while left := psutil.Process().children(recursive=True):
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                killed += 1
        _reap(time.monotonic() + 1.0)
    return killed


if __name__ == "__main__":
    sys.exit(main())
