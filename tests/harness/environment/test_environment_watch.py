"""What others used of the machine while we measured."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accelbench.harness.environment.reading import Roots
from accelbench.harness.environment.watch import (
    CpuTimes,
    Moment,
    counters_between,
    cpu_times,
    foreign_share,
    moment,
    stolen_share,
    tree_cpu_seconds,
    tree_involuntary_switches,
    tree_pressure,
)
from accelbench.harness.schema.counters import COUNTERS

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
    assert cpu_times(roots) == CpuTimes(25.0, 107.0, "/proc/stat", 4.0)


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


def test_a_hypervisors_share_is_stolen_time_over_all() -> None:
    """It lies between 0 and 1, and is unknown where it is not told or no time passed."""

    def times(stolen_s: float | None, busy_s: float = 8.0) -> CpuTimes:
        """Two idle seconds later."""
        return CpuTimes(BEFORE.busy_s + busy_s, BEFORE.idle_s + 2.0, "test", stolen_s)

    before = CpuTimes(BEFORE.busy_s, BEFORE.idle_s, "test", 1.0)
    assert stolen_share(before, times(1.5)) == pytest.approx(0.05)
    assert stolen_share(before, times(0.5)) == 0.0
    assert stolen_share(before, times(None)) is None
    assert stolen_share(BEFORE, times(1.5)) is None
    assert stolen_share(before, before) is None


def at_moment(**changed: Any) -> Moment:
    """A moment at which all is told."""
    told = Moment(
        at_s=100.0,
        utc_offset_s=1e9,
        cpu=CpuTimes(100.0, 300.0, "test", 10.0),
        own_s=20.0,
        engine_s=5.0,
        switches=7,
        waited_s=3.0,
        throttles=2,
    )
    return replace(told, **changed)


def values(before: Moment, after: Moment) -> dict[str, Any]:
    """The counters between two moments, by name."""
    return {str(row["name"]): row["value"] for row in counters_between(before, after)}


def test_counters_are_what_happened_between_two_moments() -> None:
    """Shares of the machine's time, the engine's own counts, and how far the clock was set."""
    after = at_moment(
        at_s=110.0,
        utc_offset_s=1e9 - 0.5,
        cpu=CpuTimes(112.0, 308.0, "test", 11.0),
        own_s=28.0,
        engine_s=9.0,
        switches=47,
        waited_s=5.0,
        throttles=3,
    )
    assert values(at_moment(), after) == pytest.approx(
        {
            "clock.step": 0.5,
            "cpu.engine_time": 4.0,
            "cpu.foreign_share": 0.2,
            "cpu.involuntary_switches": 40.0,
            "cpu.pressure_share": 0.2,
            "cpu.steal_share": 0.05,
            "throttle.events": 1.0,
        }
    )


def test_what_a_system_does_not_tell_is_left_out() -> None:
    """Neither 0 nor a guess stands for it; a count that went back is not told either."""
    silent = at_moment(
        cpu=CpuTimes(101.0, 301.0, "test"),
        own_s=None,
        engine_s=None,
        switches=None,
        waited_s=None,
        throttles=None,
    )
    assert values(at_moment(), silent) == values(silent, at_moment()) == {"clock.step": 0.0}
    assert "cpu.involuntary_switches" not in values(at_moment(), at_moment(switches=6))


def test_counters_have_the_unit_that_is_published() -> None:
    """As `schema.counters` names them; only the engine's own time is a counter beside it."""
    rows = counters_between(at_moment(), at_moment(at_s=101.0, cpu=CpuTimes(101, 301, "test", 10)))
    assert len(rows) == 7
    for row in rows:
        published = COUNTERS.get(str(row["name"]), ("s", ""))
        assert row["unit"] == published[0]


def test_a_moment_on_this_machine_tells_what_it_can(plant: Plant) -> None:
    """A made-up machine: pressure of the whole where groups do not tell, throttles of all CPUs."""
    pid = os.getpid()
    throttle = "/sys/devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
    roots = plant(
        {
            "/proc/stat": "cpu  100 0 0 100 0 0 0 50 0 0\n",
            "/proc/pressure/cpu": "some avg10=0.00 avg60=0.00 avg300=0.00 total=2500000\n",
            f"/proc/{pid}/task/{pid}/status": "nonvoluntary_ctxt_switches:\t3\n",
            throttle.format(0): "4\n",
            throttle.format(1): "5\n",
        }
    )
    found = moment(pid, roots)
    assert (found.waited_s, found.switches, found.throttles) == (2.5, 3, 9)
    assert found.cpu.stolen_s == 50 / os.sysconf("SC_CLK_TCK")
    assert found.utc_offset_s == pytest.approx(time.time() - time.monotonic(), abs=1.0)
    assert found.engine_s == pytest.approx(found.own_s, abs=0.5)


def test_a_moment_without_a_kernel_that_tells_is_still_one(tmp_path: Path) -> None:
    """No files at all: processor times from psutil, the rest unknown."""
    found = moment(os.getpid(), Roots(tmp_path))
    assert (found.waited_s, found.switches, found.throttles) == (None, None, None)
    assert found.cpu.stolen_s is None
