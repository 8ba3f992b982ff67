"""Made-up file systems: an Intel server with control groups 2, an AMD one without clock control."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment.reading import Roots

CPU = "/sys/devices/system/cpu"
NODE = "/sys/devices/system/node"

Plant = Callable[[Mapping[str, str]], Roots]


def cpuinfo(vendor: str, model: str, threads: int, flags: str, extra: str = "") -> str:
    """A /proc/cpuinfo of so many equal processors."""
    return "".join(
        f"processor\t: {n}\nvendor_id\t: {vendor}\ncpu family\t: 6\nmodel name\t: {model}\n"
        f"stepping\t: 8\nmicrocode\t: 0x2b\ncpu MHz\t\t: {2000 + n}.500\nflags\t\t: {flags}\n{extra}\n"
        for n in range(threads)
    )


def _intel() -> dict[str, str]:
    tree = {
        "/etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 24.04.1 LTS"\n',
        "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
        "/proc/cpuinfo": cpuinfo("GenuineIntel", "Intel Xeon 8480+", 8, "fpu avx512f amx_tile"),
        "/proc/meminfo": "MemTotal:  1048576 kB\nMemAvailable:  524288 kB\nSwapTotal:  0 kB\n"
        "SwapFree:  0 kB\nHugePages_Total:       4\nHugepagesize:  2048 kB\n",
        "/proc/cmdline": "BOOT_IMAGE=/vmlinuz ro isolcpus=2-3 -- --addr 10.0.0.7\n",
        "/proc/loadavg": "0.10 0.20 0.30 1/234 5678\n",
        "/proc/self/cgroup": "0::/system.slice/bench.service\n",
        "/proc/self/status": "Name:\tpython\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n",
        "/proc/self/limits": (
            "Limit                     Soft Limit           Hard Limit           Units     \n"
            "Max cpu time              unlimited            unlimited            seconds   \n"
            "Max open files            1024                 524288               files     \n"
        ),
        "/proc/pressure/cpu": "some avg10=1.50 avg60=0.00 avg300=0.00 total=2500000\n",
        "/proc/sys/kernel/osrelease": "6.8.0-45-generic\n",
        "/proc/sys/kernel/random/boot_id": "11111111-2222-3333-4444-555555555555\n",
        "/proc/sys/vm/swappiness": "60\n",
        "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        f"{CPU}/isolated": "\n",
        f"{CPU}/smt/control": "on\n",
        f"{CPU}/intel_pstate/no_turbo": "0\n",
        f"{CPU}/cpu0/microcode/version": "0x2b000590\n",
        f"{CPU}/cpu0/cache/index0/level": "1\n",
        f"{CPU}/cpu0/cache/index0/type": "Data\n",
        f"{CPU}/cpu0/cache/index0/size": "48K\n",
        f"{CPU}/cpu0/cache/index0/shared_cpu_list": "0,4\n",
        f"{CPU}/vulnerabilities/meltdown": "Not affected\n",
        f"{NODE}/node0/cpulist": "0-1,4-5\n",
        f"{NODE}/node1/cpulist": "2-3,6-7\n",
        "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory\n",
        "/sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
        "/sys/fs/cgroup/system.slice/memory.max": "536870912\n",
        "/sys/fs/cgroup/system.slice/bench.service/cpu.max": "250000 100000\n",
        "/sys/fs/cgroup/system.slice/bench.service/memory.max": "max\n",
        "/sys/fs/cgroup/system.slice/bench.service/cpuset.cpus.effective": "0-7\n",
        "/sys/fs/cgroup/system.slice/bench.service/cpu.stat": "usage_usec 9\nnr_throttled 3\n",
    }
    for n in range(8):
        tree[f"{CPU}/cpu{n}/topology/physical_package_id"] = f"{n % 4 // 2}\n"
        tree[f"{CPU}/cpu{n}/topology/thread_siblings_list"] = f"{n % 4},{n % 4 + 4}\n"
        tree[f"{CPU}/cpu{n}/cpufreq/scaling_governor"] = "performance\n"
        tree[f"{CPU}/cpu{n}/cpufreq/scaling_driver"] = "intel_pstate\n"
        tree[f"{CPU}/cpu{n}/cpufreq/scaling_cur_freq"] = f"{3_000_000 + n}\n"
        tree[f"{CPU}/cpu{n}/thermal_throttle/core_throttle_count"] = f"{n}\n"
    return tree


def _amd() -> dict[str, str]:
    return {
        "/proc/cpuinfo": cpuinfo("AuthenticAMD", "AMD EPYC 9654", 2, "fpu sse4a hypervisor"),
        "/proc/self/cgroup": (
            "4:memory:/docker/abc\n3:cpuset:/docker/abc\n1:cpu,cpuacct:/docker/abc\n0::/\n"
        ),
        "/.dockerenv": "",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "/sys/fs/cgroup/cpuset/cpuset.cpus": "0-1\n",
        "/sys/fs/cgroup/unified/cpu.pressure": "some avg10=0.00 avg60=0 avg300=0 total=7000000\n",
    }


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Writes files at their places in a made-up file system."""

    def write(tree: Mapping[str, str]) -> Roots:
        """Stands in for the real `write`."""
        roots = Roots(tmp_path / "machine")
        for place, text in tree.items():
            roots.path(place).parent.mkdir(parents=True, exist_ok=True)
            roots.path(place).write_text(text)
        return roots

    return write


@pytest.fixture
def intel(plant: Plant) -> Roots:
    """Two sockets of two cores of two threads, control groups version 2."""
    return plant(_intel())


@pytest.fixture
def amd(plant: Plant) -> Roots:
    """A virtual machine without clock control, in a container, control groups version 1."""
    return plant(_amd())
