"""Nothing of a server is left behind, however its owner or the server ends."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux'")

KEEPER = "accelbench.adapters.engines.vllm.process"
STUBBORN = """
    import os, signal, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"],
                             start_new_session={apart})
    {early}
    print(os.getpid(), child.pid, flush=True)
    time.sleep(60)
"""


def _server(early="", apart=False):
    """A server with a child of its own, that prints both ids."""
    return textwrap.dedent(STUBBORN.format(early=early, apart=apart))


def _gone(pids):
    """Whether these processes end within some seconds; a zombie of someone else has ended."""
    living = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _, left = psutil.wait_procs(living, timeout=10)
    return all(one.status() == psutil.STATUS_ZOMBIE for one in left)


def _kept(code, cpus=""):
    """A keeper of ours with a server, and the ids of the server's processes."""
    keeper = subprocess.Popen(
        [sys.executable, "-m", KEEPER, str(os.getpid()), cpus, sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
    )
    return keeper, [int(word) for word in keeper.stdout.readline().split()]


def test_an_owner_that_is_killed_takes_all_with_it():
    """The server goes, and its child in a session of its own too."""
    owner = f"""
import os, subprocess, sys
kept = subprocess.Popen([sys.executable, "-m", {KEEPER!r}, str(os.getpid()), "",
                         sys.executable, "-c", {_server(apart=True)!r}])
print(kept.pid, flush=True)
kept.wait()
"""
    with subprocess.Popen(
        [sys.executable, "-c", owner], stdout=subprocess.PIPE, text=True
    ) as process:
        keeper = int(process.stdout.readline())
        pids = [int(word) for word in process.stdout.readline().split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert _gone([keeper, *pids])


def test_what_a_killed_server_leaves_is_ended():
    """Its children become the keeper's, which ends them and then itself."""
    keeper, pids = _kept(_server(apart=True))
    os.kill(pids[0], signal.SIGKILL)
    assert keeper.wait(10) != 0
    assert _gone(pids)
    keeper.stdout.close()


def test_a_server_that_is_told_to_end_may_do_so_itself():
    """Its exit code is passed on, and its children are ended."""
    early = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))"
    keeper, pids = _kept(_server(early))
    keeper.terminate()
    assert keeper.wait(10) == 3
    assert _gone(pids)
    keeper.stdout.close()


def test_a_server_ends_by_itself_with_its_code():
    """A server that is done ends its keeper."""
    done = subprocess.run(
        [sys.executable, "-m", KEEPER, str(os.getpid()), "", sys.executable, "-c", "exit(5)"],
        check=False,
    )
    assert done.returncode == 5


def test_a_server_whose_owner_is_gone_is_not_started(tmp_path):
    """A keeper that is nobody's child any more starts nothing."""
    file = tmp_path / "started"
    code = f"open({str(file)!r}, 'w')"
    done = subprocess.run(
        [sys.executable, "-m", KEEPER, str(os.getpid() + 1), "", sys.executable, "-c", code],
        check=False,
    )
    assert done.returncode == 1
    assert not Path(file).exists()


def test_a_server_is_bound_to_its_processors():
    """All that it starts inherits the binding."""
    cpu = max(os.sched_getaffinity(0))
    keeper, pids = _kept(_server(), str(cpu))
    assert [os.sched_getaffinity(pid) for pid in pids] == [{cpu}, {cpu}]
    keeper.terminate()
    keeper.wait(10)
    assert _gone(pids)
    keeper.stdout.close()
