"""An estimate of CPU power from the CPU time of the workload's own processes; no meter."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from accelbench.harness.environment.processes import cpu_seconds, tree
from accelbench.harness.schema.protocols import Readiness, Reading
from accelbench.harness.schema.trace import Meter
from accelbench.harness.units import NS_PER_S, seconds

PUBLISHED_W_PER_CPU = (1.4, 11.3)
"""Design power over hardware threads, as published: from the AMD EPYC 9754 (360 W, 256 threads)
to the AMD EPYC 72F3 (180 W, 16 threads)."""

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class TdpProbe:
    """Estimates CPU power as a fixed power for each busy CPU; always labelled an estimate.

    Only CPU time of the workload's process and its descendants counts, so a neighbour's load
    is not taken for ours. Left out are idle power, memory, and how power depends on clock and
    instructions. Listing the descendants takes some 0.2 ms each period where the kernel keeps lists
    of children, else 0.1 ms for each process of the machine.

    Attributes:
        tdp_w: Design power of the CPUs this machine sees, W; on a virtual machine, of its share
            of them. It is spread over the logical CPUs. None takes `assumed_w_per_cpu`.
        assumed_w_per_cpu: Power of a busy logical CPU, W, where the design power is not known.
            3.5 W lies between two published ratios of design power to hardware threads: Intel
            Xeon Platinum 8380 (270 W, 80 threads: 3.4 W), Intel Core i9-13900K (125 W, 32
            threads: 3.9 W); `PUBLISHED_W_PER_CPU` has the extremes.
        period_s: Time between readings, seconds.
    """

    tdp_w: float | None = None
    assumed_w_per_cpu: float = 3.5
    period_s: float = 0.1

    def __post_init__(self) -> None:
        if (self.tdp_w is not None and self.tdp_w <= 0) or self.assumed_w_per_cpu <= 0:
            raise ValueError("tdp_w and assumed_w_per_cpu must be positive")
        if self.period_s <= 0:
            raise ValueError("period_s must be positive")

    def readiness(self) -> Readiness:
        """Ready, as an estimate."""
        return Readiness("ready", f"an estimate, not a meter: {self._rate()}")

    @contextmanager
    def watch(self, pid: int) -> Iterator["CpuTimeWatch"]:
        """Watches a process and its descendants, from before the body to after it."""
        watch = CpuTimeWatch(pid, self._watts_per_cpu(), self._meter())
        with watch.running(self.period_s):
            yield watch

    def _watts_per_cpu(self) -> float:
        return self.assumed_w_per_cpu if self.tdp_w is None else self.tdp_w / logical_cpus()

    def _rate(self) -> str:
        rate = f"{self._watts_per_cpu():.3g} W for each busy CPU"
        if self.tdp_w is not None:
            return f"{rate} (design power {self.tdp_w:g} W, as given, over {logical_cpus()} CPUs)"
        low, high = PUBLISHED_W_PER_CPU
        return f"{rate} (assumed; published design powers give {low:g} to {high:g} W)"

    def _meter(self) -> Meter:
        tick_ms = 1000 / os.sysconf("SC_CLK_TCK")
        return Meter(
            quality="estimated",
            method=f"CPU time of the workload's processes (steps of {tick_ms:g} ms) x "
            f"{self._rate()}; idle power and memory left out; CPU: {cpu_model()}",
            scope="process share of the host CPU",
            covers=("cpu",),
            period_s=self.period_s,
        )


class CpuTimeWatch:
    """Takes the CPU time of a process tree again and again."""

    def __init__(self, pid: int, watts_per_cpu: float, meter: Meter) -> None:
        self._pid = pid
        self._watts_per_cpu = watts_per_cpu
        self._meter = meter
        self._taken: list[tuple[int, float]] = []
        self._over = threading.Event()

    @contextmanager
    def running(self, period_s: float) -> Iterator[None]:
        """Takes a value at once, one each period, and one at the end.

        A last stretch below half a period is joined to the one before, since CPU time comes
        in coarse steps. A process that ends leaves the values taken so far.
        """
        try:
            tree = ProcessTree(self._pid)
            self._take(tree)
        except ProcessLookupError:
            yield
            return
        thread = threading.Thread(target=self._keep_taking, args=(tree, period_s), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            with suppress(ProcessLookupError):
                self._take(tree)
                self._join_last(int(period_s * NS_PER_S / 2))

    def meter(self) -> Meter | None:
        """The estimate's method and numbers."""
        return self._meter

    def readings(self) -> Sequence[Reading]:
        """Estimated power so far."""
        return power_readings(list(self._taken), self._watts_per_cpu)

    def _keep_taking(self, tree: "ProcessTree", period_s: float) -> None:
        with suppress(ProcessLookupError):
            while not self._over.wait(period_s):
                self._take(tree)

    def _take(self, tree: "ProcessTree") -> None:
        cpu_s = tree.cpu_s()
        self._taken.append((time.perf_counter_ns(), cpu_s))

    def _join_last(self, shortest_ns: int) -> None:
        if len(self._taken) > 2 and self._taken[-1][0] - self._taken[-2][0] < shortest_ns:  # noqa: PLR2004  (start, a value between, end)
            del self._taken[-2]


class ProcessTree:
    """A process and its descendants.

    Raises:
        ProcessLookupError: There is no such process.
    """

    def __init__(self, pid: int) -> None:
        self._root = pid
        self.cpu_s()

    def cpu_s(self) -> float:
        """User and system time of all of them and of those they have outlived, seconds.

        Raises:
            ProcessLookupError: The process has ended.
        """
        own_s = cpu_seconds(self._root)
        if own_s is None:
            raise ProcessLookupError(f"process {self._root} has ended")
        children = [pid for pid in tree([self._root]) if pid != self._root]
        return own_s + sum(cpu_seconds(pid) or 0.0 for pid in children)  # one may end meanwhile


def power_readings(taken: Sequence[tuple[int, float]], watts_per_cpu: float) -> list[Reading]:
    """Power of each stretch at its middle, and that of the first and last also at the ends.

    With equal stretches the trapezoid over these readings is exactly the energy of all CPU
    time between the ends.

    Args:
        taken: Pairs of a time (ns) and the CPU time until then (s).
        watts_per_cpu: Power of a busy CPU, W.
    """
    stretches = [
        ((begin + end) // 2, watts_per_cpu * max(later - earlier, 0.0) / seconds(end - begin))
        for (begin, earlier), (end, later) in pairwise(taken)
    ]
    if not stretches:
        return []
    points = [
        (taken[0][0], stretches[0][1]),
        *stretches,
        (taken[-1][0], stretches[-1][1]),
    ]
    return [Reading("cpu", "power", at_ns, watts, "W", "process") for at_ns, watts in points]


def logical_cpus() -> int:
    """Logical CPUs of this machine."""
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The CPU's name as the system knows it."""
    with suppress(OSError):
        for line in CPUINFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown model"
