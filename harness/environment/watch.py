"""What ran beside the benchmark: processor time of others, switches, waiting, a set clock.

A moment is taken before a trial and another after it, by the parent of the engine's process; the
counters are their difference. What a system does not tell is left out.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from accelbench.harness.environment.cgroup import MOUNT, groups_with
from accelbench.harness.environment.pressure import parse_pressure
from accelbench.harness.environment.processes import cpu_seconds, psutil, tree
from accelbench.harness.environment.reading import LINUX, Fact, Roots, file_fact, prefer, take
from accelbench.harness.schema.plain import Plain
from accelbench.harness.units import NS_PER_S

THROTTLES = "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count"

_READINGS = 5
_SWITCHES = "nonvoluntary_ctxt_switches:"


@dataclass(frozen=True)
class CpuTimes:
    """Processor time of the whole machine since it started, over all logical processors.

    Attributes:
        busy_s: Seconds of work, including those that a hypervisor gave to other machines.
        idle_s: Seconds idle or waiting for input and output.
        source: Where they were read.
        stolen_s: Seconds that a hypervisor gave to other machines, also in `busy_s`; None where
            the system does not tell.
    """

    busy_s: float
    idle_s: float
    source: str
    stolen_s: float | None = None


def cpu_times(roots: Roots = LINUX) -> CpuTimes | None:
    """The processor times now; where /proc/stat cannot be read, psutil tells them.

    Args:
        roots: Where the file system begins.

    Returns:
        The times, or None where psutil is not installed either.
    """
    try:
        busy_s, idle_s, stolen_s = _kernel_times(roots.text("/proc/stat"))
    except (OSError, ValueError):
        library = psutil()
        if library is None:
            return None
        told = library.cpu_times()
        idle_s = told.idle + getattr(told, "iowait", 0.0)
        counted_twice = getattr(told, "guest", 0.0) + getattr(told, "guest_nice", 0.0)
        return CpuTimes(sum(told) - counted_twice - idle_s, idle_s, "psutil.cpu_times()")
    return CpuTimes(busy_s, idle_s, "/proc/stat", stolen_s)


def foreign_share(
    before: CpuTimes | None, after: CpuTimes | None, own_cpu_s: float
) -> float | None:
    """The share of the machine's processor time that others used, from 0 to 1.

    It is (busy - own) / (busy + idle), each the difference between the two moments; time that a
    hypervisor took away counts as used by others.

    Args:
        before: The earlier moment.
        after: The later moment.
        own_cpu_s: Processor seconds that our own processes used in between.

    Returns:
        The share, or None if there are no counters or they did not advance between the moments.
    """
    if before is None or after is None:
        return None
    busy_s = after.busy_s - before.busy_s
    total_s = busy_s + after.idle_s - before.idle_s
    if total_s <= 0:
        return None
    return min(1.0, max(0.0, (busy_s - own_cpu_s) / total_s))


def stolen_share(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """The share of the machine's processor time that a hypervisor took away, from 0 to 1.

    Returns:
        The share, or None if the system does not tell or the counters did not advance.
    """
    if before is None or after is None or before.stolen_s is None or after.stolen_s is None:
        return None
    total_s = after.busy_s - before.busy_s + after.idle_s - before.idle_s
    if total_s <= 0:
        return None
    return min(1.0, max(0.0, (after.stolen_s - before.stolen_s) / total_s))


def tree_cpu_seconds(pid: int) -> float | None:
    """Processor seconds of a process and its children, living or waited for, since they started.

    A child that outlives its parent, and one nobody waits for, are lost from the count.

    Args:
        pid: The process at the root of the tree.

    Returns:
        The seconds in user and kernel mode, or None if there is no such process.
    """
    if cpu_seconds(pid) is None:
        return None
    return sum(cpu_seconds(one) or 0.0 for one in tree([pid]))  # one may end meanwhile


def work_cpu_seconds(pid: int, servers: Sequence[int]) -> float | None:
    """Processor seconds of a process's tree, and of the trees of servers outside it.

    Args:
        pid: The process.
        servers: Processes that work for it, whoever started them.
    """
    own = tree([pid])
    trees = [pid, *(server for server in servers if server not in own)]
    told = [seconds for one in trees if (seconds := tree_cpu_seconds(one)) is not None]
    return sum(told) if told else None


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
        for process in tree([pid], roots)
        for status in _statuses(roots, process)
        for line in status.splitlines()
        if line.startswith(_SWITCHES)
    ]
    return sum(counts) if counts else None


@dataclass(frozen=True)
class Moment:
    """What the machine's counters show at one moment; None for what the system does not tell.

    Attributes:
        at_s: The moment, on the monotonic clock, seconds.
        utc_offset_s: The time of day less the monotonic clock, seconds.
        cpu: Processor time of the whole machine.
        own_s: Processor seconds of this process, its children, and servers that it measures.
        engine_s: Processor seconds of the engine's process and its children.
        switches: Involuntary switches of the engine's living threads.
        waited_s: Seconds in which some task waited for a processor.
        throttles: Times that a processor's clock was held back by heat, over all processors.
    """

    at_s: float
    utc_offset_s: float
    cpu: CpuTimes | None
    own_s: float | None
    engine_s: float | None
    switches: int | None
    waited_s: float | None
    throttles: int | None


def moment(engine: int, roots: Roots = LINUX, servers: Sequence[int] = ()) -> Moment:
    """The counters now.

    Args:
        engine: The engine's process.
        roots: Where the file system begins.
        servers: Processes that belong to what is measured, whoever started them.
    """
    throttles = take(THROTTLES, lambda: _total(roots.texts(THROTTLES).values()))
    return Moment(
        at_s=time.monotonic(),
        utc_offset_s=_utc_offset_s(),
        cpu=cpu_times(roots),
        own_s=work_cpu_seconds(os.getpid(), servers),
        engine_s=tree_cpu_seconds(engine),
        switches=tree_involuntary_switches(engine, roots),
        waited_s=_waited_s(engine, roots),
        throttles=cast("int | None", throttles.value),
    )


def counters_between(before: Moment, after: Moment) -> list[dict[str, Plain]]:
    """What happened between two moments: name, value, unit and scope of each counter known.

    The names are those of `schema.counters`; `cpu.engine_time` is the processor time in which
    the involuntary switches happened.
    """
    own_s = _grown(before.own_s, after.own_s)
    waited_s, passed_s = _grown(before.waited_s, after.waited_s), after.at_s - before.at_s
    share = None if own_s is None else foreign_share(before.cpu, after.cpu, own_s)
    waiting = None if waited_s is None or passed_s <= 0 else min(1.0, waited_s / passed_s)
    found: tuple[tuple[str, float | None, str, str], ...] = (
        ("clock.step", abs(after.utc_offset_s - before.utc_offset_s), "s", "machine"),
        ("cpu.engine_time", _grown(before.engine_s, after.engine_s), "s", "engine"),
        ("cpu.foreign_share", share, "1", "machine"),
        ("cpu.involuntary_switches", _grown(before.switches, after.switches), "1", "engine"),
        ("cpu.pressure_share", waiting, "1", "machine"),
        ("cpu.steal_share", stolen_share(before.cpu, after.cpu), "1", "machine"),
        ("throttle.events", _grown(before.throttles, after.throttles), "1", "heat"),
    )
    return [
        {"name": name, "value": value, "unit": unit, "scope": scope}
        for name, value, unit, scope in found
        if value is not None
    ]


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


def _kernel_times(stat: str) -> tuple[float, float, float]:
    """Busy, idle and stolen seconds of the line "cpu", whose user time already includes guests."""
    name, *ticks = stat.splitlines()[0].split() if stat else [""]
    if name != "cpu":
        raise ValueError("no line of all processors")
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[:8])
    hertz = os.sysconf("SC_CLK_TCK")
    busy, resting = user + nice + system + irq + softirq + steal, idle + iowait
    return busy / hertz, resting / hertz, steal / hertz


def _grown(before: float | None, after: float | None) -> float | None:
    """How far a counter advanced; None where it is not told, or went back with what it counted."""
    if before is None or after is None or after < before:
        return None
    return float(after - before)


def _utc_offset_s() -> float:
    """Time of day less monotonic clock, from the closest of a few pairs of readings."""
    pairs = []
    for _ in range(_READINGS):
        before, told, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        pairs.append((after - before, told - (before + after) // 2))
    return min(pairs)[1] / NS_PER_S


def _waited_s(pid: int, roots: Roots) -> float | None:
    """Seconds of waiting in the group of a process, or on the machine where groups do not tell."""
    told = prefer(
        tree_pressure(pid, roots=roots), file_fact(roots, "/proc/pressure/cpu", parse_pressure)
    ).value
    some = told.get("some") if isinstance(told, Mapping) else None
    return cast("float", some["total_s"]) if isinstance(some, Mapping) else None


def _total(texts: Iterable[str]) -> int:
    return sum(int(text) for text in texts)


def _statuses(roots: Roots, pid: int) -> list[str]:
    """The status of each thread of a process that still lives."""
    statuses = []
    for path in roots.path(f"/proc/{pid}/task").glob("*/status"):
        try:
            statuses.append(path.read_text(encoding="utf-8"))
        except OSError:  # the thread ended meanwhile
            continue
    return statuses
