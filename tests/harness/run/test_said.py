"""What a process that was started says."""

import subprocess
import sys

from accelbench.harness.run.said import Said


def started(code, kept=3):
    """A process, and what it says."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    return process, Said(process.stdout, kept)


def test_all_is_passed_on_and_the_last_lines_are_kept(capfd):
    """A byte that is no text stands for itself as a mark, and does not end the reading."""
    code = "import os; os.write(1, b'one\\ntwo\\n\\xff\\nfour\\n')"
    process, said = started(code)
    assert process.wait(30) == 0
    said.settle(30)
    assert said.lines() == ["two", "\ufffd", "four"]
    assert capfd.readouterr().out.startswith("one\ntwo\n")


def test_lines_can_be_read_while_the_process_runs_on():
    """One that waits for its input has said its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", "print('ready', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    said = Said(process.stdout, 3)
    while not said.lines():
        said.settle(0.01)
        assert process.poll() is None
    assert said.lines() == ["ready"]
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.wait(30) == 0
    said.settle(30)


def test_nobody_who_listens_does_not_stop_the_reading():
    """Of a closed standard output; a process that nobody reads would hang when its pipe is full."""
    code = (
        "import os, subprocess, sys; from accelbench.harness.run.said import Said; os.close(1); "
        "long = subprocess.Popen([sys.executable, '-c', 'print(\"x\\\\n\" * 200_000, \"end\")'], "
        "stdout=subprocess.PIPE); said = Said(long.stdout, 1); "
        "long.wait(60); said.settle(60); print(said.lines(), file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.stderr.splitlines()[-1] == "[' end']"
