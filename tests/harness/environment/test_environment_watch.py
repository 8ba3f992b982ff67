"""What others used of the machine while we measured."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment.reading import Roots
from accelbench.harness.environment.watch import (
    CpuTimes,
    cpu_times,
    foreign_share,
    tree_cpu_seconds,
    tree_involuntary_switches,
    tree_pressure,
)

Plant = Callable[[Mapping[str, str]], Roots]

BEFORE = CpuTimes(busy_s=100.0, idle_s=300.0, source="test")


@pytest.mark.parametrize(
    ("busy_s", "idle_s", "own_s", "share"),
    [
        (8.0, 2.0, 5.0, 0.3),
        (8.0, 2.0, 8.0, 0.0),
        (8.0, 2.0, 9.5, 0.0),
        (10.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 0.0, None),
    ],
)
def test_the_share_of_others_is_busy_less_own_over_all(
    busy_s: float, idle_s: float, own_s: float, share: float | None
) -> None:
    """It lies between 0 and 1, and is unknown where no time passed."""
    after = CpuTimes(BEFORE.busy_s + busy_s, BEFORE.idle_s + idle_s, "test")
    assert foreign_share(BEFORE, after, own_s) == pytest.approx(share)


def test_processor_times_count_each_second_once(plant: Plant) -> None:
    """Guests are inside user time, waiting is idle, stolen time is busy; ticks become seconds."""
    hertz = os.sysconf("SC_CLK_TCK")
    ticks = [hertz * seconds for seconds in (10, 1, 5, 100, 7, 2, 3, 4, 8, 1)]
    roots = plant({"/proc/stat": f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\n"})
    assert cpu_times(roots) == CpuTimes(25.0, 107.0, "/proc/stat")


@pytest.mark.parametrize("text", [None, "garbage\n", ""])
def test_psutil_answers_where_the_kernel_file_does_not(
    plant: Plant, tmp_path: Path, text: str | None
) -> None:
    """A missing or foreign /proc/stat is replaced, and the source says so."""
    roots = Roots(tmp_path) if text is None else plant({"/proc/stat": text})
    times = cpu_times(roots)
    assert times.source == "psutil.cpu_times()"
    assert times.busy_s > 0


def test_both_sources_agree_on_this_machine(tmp_path: Path) -> None:
    """The answer of psutil and our own reading differ by what passed in between."""
    ours, theirs = cpu_times(), cpu_times(Roots(tmp_path))
    assert theirs.busy_s == pytest.approx(ours.busy_s, rel=0.01, abs=2.0)
    assert theirs.idle_s == pytest.approx(ours.idle_s, rel=0.01, abs=2.0)


def test_a_tree_counts_its_children_living_and_ended() -> None:
    """The work of a child is in the count while it lives and after it was waited for."""
    work = "import time\nwhile time.process_time() < 0.15: pass\n"
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", f"{work}print('done', flush=True)\ninput()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    own = time.process_time()
    living = tree_cpu_seconds(os.getpid())
    alone = tree_cpu_seconds(child.pid)
    child.communicate(b"\n")
    ended = tree_cpu_seconds(os.getpid())
    assert alone is not None
    assert living is not None
    assert ended is not None
    assert alone >= 0.13
    assert living >= own + 0.1
    assert ended >= living - 0.03


def test_a_process_that_is_gone_has_no_figures() -> None:
    """There is no count where there is no process."""
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    assert tree_cpu_seconds(child.pid) is None
    assert tree_involuntary_switches(child.pid) is None
    assert tree_pressure(child.pid).status == "absent"


def test_switches_are_summed_over_threads(plant: Plant) -> None:
    """Each thread's involuntary switches count, voluntary ones do not."""
    pid = os.getpid()
    status = "voluntary_ctxt_switches:\t{}\nnonvoluntary_ctxt_switches:\t{}\n"
    roots = plant(
        {
            f"/proc/{pid}/task/{pid}/status": status.format(90, 3),
            f"/proc/{pid}/task/{pid + 1}/status": status.format(90, 4),
        }
    )
    assert tree_involuntary_switches(pid, roots) == 7


def test_pressure_is_that_of_the_group_of_the_process(intel: Roots, plant: Plant) -> None:
    """The group's own file is read; without one the fact is absent."""
    plant({"/proc/42/cgroup": "0::/system.slice/bench.service\n"})
    assert tree_pressure(42, roots=intel).status == "absent"
    line = "some avg10=2.00 avg60=0.00 avg300=0.00 total=1000000\n"
    plant({"/sys/fs/cgroup/system.slice/bench.service/io.pressure": line})
    assert tree_pressure(42, "io", intel).value == {
        "some": {"avg10": 0.02, "avg60": 0.0, "avg300": 0.0, "total_s": 1.0}
    }


def test_pressure_is_found_beside_control_groups_1(amd: Roots, plant: Plant) -> None:
    """On a mixed system the groups of version 2 are mounted in a folder of their own."""
    plant({"/proc/42/cgroup": "1:cpu:/docker/abc\n0::/\n"})
    assert tree_pressure(42, roots=amd).status == "ok"
