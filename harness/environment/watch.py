"""What ran beside the benchmark: processor time of others, switches, waiting."""

import os
from dataclasses import dataclass

import psutil

from accelbench.harness.environment.cgroup import MOUNT, groups_with
from accelbench.harness.environment.pressure import parse_pressure
from accelbench.harness.environment.reading import LINUX, Fact, Roots, take
from accelbench.harness.schema.plain import Plain

_SWITCHES = "nonvoluntary_ctxt_switches:"


@dataclass(frozen=True)
class CpuTimes:
    """Processor time of the whole machine since it started, over all logical processors.

    Attributes:
        busy_s: Seconds of work, including those that a hypervisor gave to other machines.
        idle_s: Seconds idle or waiting for input and output.
        source: Where they were read.
    """

    busy_s: float
    idle_s: float
    source: str


def cpu_times(roots: Roots = LINUX) -> CpuTimes:
    """The processor times now; where /proc/stat cannot be read, psutil tells them.

    Args:
        roots: Where the file system begins.
    """
    try:
        busy_s, idle_s = _kernel_times(roots.text("/proc/stat"))
    except (OSError, ValueError):
        told = psutil.cpu_times()
        idle_s = told.idle + getattr(told, "iowait", 0.0)
        counted_twice = getattr(told, "guest", 0.0) + getattr(told, "guest_nice", 0.0)
        return CpuTimes(sum(told) - counted_twice - idle_s, idle_s, "psutil.cpu_times()")
    return CpuTimes(busy_s, idle_s, "/proc/stat")


def foreign_share(before: CpuTimes, after: CpuTimes, own_cpu_s: float) -> float | None:
    """The share of the machine's processor time that others used, from 0 to 1.

    It is (busy - own) / (busy + idle), each the difference between the two moments; time that a
    hypervisor took away counts as used by others.

    Args:
        before: The earlier moment.
        after: The later moment.
        own_cpu_s: Processor seconds that our own processes used in between.

    Returns:
        The share, or None if the counters did not advance between the two moments.
    """
    busy_s = after.busy_s - before.busy_s
    total_s = busy_s + after.idle_s - before.idle_s
    if total_s <= 0:
        return None
    return min(1.0, max(0.0, (busy_s - own_cpu_s) / total_s))


def tree_cpu_seconds(pid: int) -> float | None:
    """Processor seconds of a process and its children, living or waited for, since they started.

    A child that outlives its parent, and one nobody waits for, are lost from the count.

    Args:
        pid: The process at the root of the tree.

    Returns:
        The seconds in user and kernel mode, or None if there is no such process.
    """
    total_s = 0.0
    processes = _tree(pid)
    for process in processes:
        try:
            total_s += sum(process.cpu_times()[:4])  # user, system, and both of ended children
        except psutil.Error:  # it ended meanwhile
            continue
    return total_s if processes else None


def tree_involuntary_switches(pid: int, roots: Roots = LINUX) -> int | None:
    """How often the threads of a process and its children had to yield their processor.

    Threads that have ended are not counted.

    Args:
        pid: The process at the root of the tree.
        roots: Where the file system begins.

    Returns:
        The count over all living threads, or None where the system does not tell.
    """
    counts = [
        int(line.removeprefix(_SWITCHES))
        for process in _tree(pid)
        for status in _statuses(roots, process.pid)
        for line in status.splitlines()
        if line.startswith(_SWITCHES)
    ]
    return sum(counts) if counts else None


def tree_pressure(pid: int, resource: str = "cpu", roots: Roots = LINUX) -> Fact:
    """How much the control group of a process waited for a resource.

    A process and its children share a group unless one was moved; so may other processes.

    Args:
        pid: The process.
        resource: "cpu", "memory" or "io".
        roots: Where the file system begins.
    """

    def read() -> Plain:
        name = f"{resource}.pressure"
        return parse_pressure(roots.text(f"{groups_with(roots, '', name, pid)[0]}/{name}"))

    return take(f"{MOUNT}/<group>/{resource}.pressure", read)


def _kernel_times(stat: str) -> tuple[float, float]:
    """Busy and idle seconds of the line "cpu", whose user time already includes guests."""
    name, *ticks = stat.splitlines()[0].split() if stat else [""]
    if name != "cpu":
        raise ValueError("no line of all processors")
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[:8])
    hertz = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq + steal) / hertz, (idle + iowait) / hertz


def _tree(pid: int) -> list[psutil.Process]:
    """The process, then its children; none if it has ended."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _statuses(roots: Roots, pid: int) -> list[str]:
    """The status of each thread of a process that still lives."""
    statuses = []
    for path in roots.path(f"/proc/{pid}/task").glob("*/status"):
        try:
            statuses.append(path.read_text(encoding="utf-8"))
        except OSError:  # the thread ended meanwhile
            continue
    return statuses
