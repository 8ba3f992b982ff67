"""Processes and their children, by the kernel's files, with psutil and without."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment import processes
from accelbench.harness.environment.processes import cpu_seconds, resident_bytes, tree
from accelbench.harness.environment.reading import Roots
from accelbench.harness.environment.watch import CpuTimes, cpu_times, foreign_share, stolen_share

Plant = Callable[[Mapping[str, str]], Roots]


@pytest.fixture
def child() -> Iterator[int]:
    """A process that has started and waits until its input ends."""
    waits = [sys.executable, "-S", "-c", "print(flush=True); input()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def stat(pid: int, name: str, parent: int, *ticks: int) -> str:
    """/proc/<pid>/stat: the name, state, parent, nine more, and four numbers of ticks."""
    return f"{pid} ({name}) S {parent} {' '.join('0' * 9)} {' '.join(map(str, ticks))} 20 0 1\n"


def test_a_tree_is_a_process_and_all_below_it(plant: Plant) -> None:
    """Children's children too, whichever thread they are of; each once."""
    roots = plant(
        {
            "/proc/7/task/7/children": "8 9 ",
            "/proc/7/task/71/children": "10 ",
            "/proc/8/task/8/children": "11 ",
            "/proc/11/task/11/children": "",
        }
    )
    assert sorted(tree([7], roots)) == [7, 8, 9, 10, 11]
    assert sorted(tree([7, 8], roots)) == [7, 8, 9, 10, 11]


def test_where_the_kernel_keeps_no_lists_parents_tell_the_same(plant: Plant) -> None:
    """Whatever the processes are called."""
    roots = plant(
        {
            "/proc/7/stat": stat(7, "python", 1),
            "/proc/8/stat": stat(8, "a (b) 1 2", 7),
            "/proc/9/stat": stat(9, "shell", 1),
            "/proc/10/stat": stat(10, "c d", 8),
        }
    )
    assert tree([7], roots) == [7, 8, 10]


def test_processor_time_is_that_of_the_process_and_of_those_it_waited_for(plant: Plant) -> None:
    """In user and kernel mode, ticks as seconds."""
    hertz = os.sysconf("SC_CLK_TCK")
    ticks = [hertz * seconds for seconds in (1, 2, 4, 8)]
    roots = plant({"/proc/7/stat": stat(7, "a name) with", 1, *ticks)})
    assert cpu_seconds(7, roots) == 15.0


def test_the_kernel_and_psutil_agree(child: int, tmp_path: Path) -> None:
    """Of a process that does nothing, and of its place below this one."""
    nowhere = Roots(tmp_path)
    assert child in tree([os.getpid()])
    assert child in tree([os.getpid()], nowhere)
    assert cpu_seconds(child) == pytest.approx(cpu_seconds(child, nowhere), abs=0.02)
    assert resident_bytes(child) == resident_bytes(child, nowhere)


def test_a_process_that_has_ended_has_no_figures() -> None:
    """None is no 0."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass
    assert cpu_seconds(ended.pid) is None
    assert resident_bytes(ended.pid) is None
    assert tree([ended.pid]) == [ended.pid]


def test_without_either_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kernel's files and no psutil: figures are absent, none is made up."""
    monkeypatch.setattr(processes, "find_spec", lambda _: None)
    nowhere, own = Roots(tmp_path), os.getpid()
    assert tree([own], nowhere) == [own]
    assert cpu_seconds(own, nowhere) is None
    assert resident_bytes(own, nowhere) is None
    assert cpu_times(nowhere) is None
    known = CpuTimes(1.0, 1.0, "test", 0.0)
    assert foreign_share(None, known, 0.0) is None
    assert stolen_share(known, None) is None
