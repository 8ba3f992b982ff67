"""Memory of the engine while a trial runs, read from outside."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment.heap import Heap, heap, tell_heap
from accelbench.harness.environment.memory_watch import MemoryWatch
from accelbench.harness.environment.reading import Roots
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.recorder import Recorder, WallClock

Plant = Callable[[Mapping[str, str]], Roots]

PAGE = os.sysconf("SC_PAGE_SIZE")
WORKER, CHILD, GRANDCHILD, SERVER = (5_000_000 + k for k in range(4))
"""Above the largest number that Linux gives a process, so that none of them lives."""


def process(pid: int, pages: int, *children: int) -> dict[str, str]:
    """What Linux tells of a process."""
    return {
        f"/proc/{pid}/statm": f"99999 {pages} 5 1 0 7 0\n",
        f"/proc/{pid}/task/{pid}/children": "".join(f"{child} " for child in children),
    }


@pytest.fixture
def machine(plant: Plant) -> Roots:
    """A worker with a child and a grandchild; the grandchild has the worker's server beside it."""
    return plant(
        {
            **process(WORKER, 100, CHILD),
            **process(CHILD, 20, GRANDCHILD, SERVER),
            **process(GRANDCHILD, 3),
            **process(SERVER, 4000),
            "/proc/meminfo": "MemTotal: 99 kB\nMemAvailable:  8 kB\n",
        }
    )


def read(watch: MemoryWatch) -> dict[str, int]:
    """The resident memory of a new reading, in pages."""
    watch.read()
    return {scope: held // PAGE for scope, held in watch.readings[-1].resident.items()}


def test_an_engine_in_the_worker_is_the_workers_whole_tree(machine: Roots) -> None:
    """The process, its children, and theirs."""
    watch = MemoryWatch(WORKER, None, machine)
    assert read(watch) == {"engine": 4123}
    assert watch.readings[0].available == 8 * 1024


def test_a_server_is_the_engine_and_the_rest_its_client(machine: Roots) -> None:
    """Though it is a child of the worker; none of ours is the engine where that is elsewhere."""
    assert read(MemoryWatch(WORKER, (SERVER,), machine)) == {"engine": 4000, "generator": 123}
    assert read(MemoryWatch(WORKER, (), machine)) == {"generator": 4123}


def test_a_process_that_ends_is_no_longer_counted(machine: Roots, plant: Plant) -> None:
    """The list of processes is made anew, so that a new one is found as well."""
    watch = MemoryWatch(WORKER, None, machine)
    read(watch)
    for name in ("statm", f"task/{GRANDCHILD}/children"):
        machine.path(f"/proc/{GRANDCHILD}/{name}").unlink()
    plant(process(CHILD, 20, SERVER))
    assert read(watch) == {"engine": 4120}


def test_processes_are_listed_now_and_then_only(
    machine: Roots, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ten seconds, as that costs more than reading them."""
    watch = MemoryWatch(WORKER, None, machine)
    read(watch)
    plant({**process(WORKER, 100, CHILD, SERVER + 1), **process(SERVER + 1, 7)})
    assert read(watch) == {"engine": 4123}
    later = time.monotonic() + 10
    monkeypatch.setattr("accelbench.harness.environment.memory_watch.monotonic", lambda: later)
    assert read(watch) == {"engine": 4130}


def test_what_nobody_tells_is_left_out(tmp_path: Path) -> None:
    """No process, no memory of the machine: no rows, and no zeros."""
    watch = MemoryWatch(WORKER, (SERVER,), Roots(tmp_path))
    watch.read()
    assert watch.rows() == []


def test_readings_are_rows_of_known_counters(machine: Roots) -> None:
    """With their own instants on the monotonic clock."""
    began = time.perf_counter_ns()
    with MemoryWatch(WORKER, (SERVER,), machine, period_s=0.001) as watch:
        while len(watch.readings) < 3:
            threading.Event().wait(0.001)
    rows = watch.rows()
    assert {(row["name"], row["scope"]) for row in rows} == {
        ("memory.resident", "engine"),
        ("memory.resident", "generator"),
        ("memory.available", "machine"),
    }
    assert all(COUNTERS[str(row["name"])][0] == row["unit"] for row in rows)
    at = [one.at_ns for one in watch.readings]
    assert began < at[0] < at[1] < at[2] <= time.perf_counter_ns()


def test_a_watch_ends_when_it_is_left(machine: Roots) -> None:
    """It waits for no period; and reads at both ends."""
    began = time.monotonic()
    with MemoryWatch(WORKER, None, machine, period_s=3600) as watch:
        pass
    assert time.monotonic() - began < 60
    assert len(watch.readings) == 2


@pytest.mark.parametrize("linux", [True, False])
def test_a_living_process_is_seen(tmp_path: Path, linux: bool) -> None:
    """By the kernel's files, or by psutil where there are none; its child too."""
    held = "import sys; block = bytearray(64_000_000); print(flush=True); sys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    watch = MemoryWatch(os.getpid(), None, Roots() if linux else Roots(tmp_path))
    watch.read()
    child.communicate()
    watch.read()
    both, alone = (one.resident["engine"] for one in watch.readings)
    assert both - alone > 60_000_000


def test_the_heap_is_read_where_glibc_allocates() -> None:
    """What is free lies within what is held; the counters are known ones."""
    found = heap()
    if found is None:
        pytest.skip("another allocator")
    assert 0 < found.free < found.held
    recorder = Recorder(WallClock())
    tell_heap(recorder)
    recorder.window(0, 1)
    rows = recorder.freeze("measured").table("counters").to_pylist()
    assert [(row["name"], row["scope"]) for row in rows] == [
        ("heap.held", "engine"),
        ("heap.free", "engine"),
    ]
    assert all(COUNTERS[row["name"]][0] == row["unit"] for row in rows)


def test_another_allocator_is_told_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where malloc does not move the figures, they are not of its heap, and nothing is recorded."""
    from accelbench.harness.environment import heap as module

    monkeypatch.setattr(module, "_read", lambda: Heap(1000, 10))
    module._counts_what_is_allocated.cache_clear()
    try:
        assert heap() is None
    finally:
        module._counts_what_is_allocated.cache_clear()
