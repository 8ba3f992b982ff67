"""Facts about the processor: what it is, how it is laid out, how it is set, what runs on it."""

import hashlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath

from accelbench.harness.environment.reading import (
    AbsentError,
    Fact,
    Roots,
    file_fact,
    listed,
    prefer,
    take,
)
from accelbench.harness.schema.plain import Plain

INFO = "/proc/cpuinfo"
_SYS = "/sys/devices/system/cpu"
_NODE = "/sys/devices/system/node"
_BYTES = {"K": 1024, "M": 1024**2, "G": 1024**3}

Processor = Mapping[str, str]


def cpu_facts(roots: Roots) -> dict[str, Fact]:
    """The facts about the processor, by name.

    Args:
        roots: Where the file system begins.
    """
    info = cache(lambda: processors(roots.text(INFO)))
    return {
        **_identity(roots, info),
        **_layout(roots, info),
        **_clocking(roots, info),
        **_setting(roots),
    }


def processors(text: str) -> list[Processor]:
    """The logical processors that /proc/cpuinfo tells of, each a mapping of its fields.

    Raises:
        AbsentError: The text tells of none.
    """
    blocks: list[Processor] = []
    for block in text.split("\n\n"):
        fields = dict(_parted(line) for line in block.splitlines() if ":" in line)
        if "processor" in fields:
            blocks.append(fields)
    if not blocks:
        raise AbsentError("no 'processor' there")
    return blocks


def model(processor: Processor) -> str:
    """The model's name; on Arm, which prints none, the numbers of implementer and part.

    Raises:
        AbsentError: Neither is told.
    """
    if "CPU part" in processor and "model name" not in processor:
        return f"implementer {field(processor, 'CPU implementer')} part {processor['CPU part']}"
    return field(processor, "model name")


def field(processor: Processor, *names: str) -> str:
    """The first of the named fields that a processor has.

    Raises:
        AbsentError: It has none of them.
    """
    for name in names:
        if name in processor:
            return processor[name]
    raise AbsentError(f"no {' or '.join(map(repr, names))} there")


def _parted(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def _identity(roots: Roots, info: Callable[[], Sequence[Processor]]) -> dict[str, Fact]:
    def told(*names: str) -> Fact:
        return take(INFO, lambda: field(info()[0], *names))

    def flags() -> list[str]:
        return sorted(field(info()[0], "flags", "Features").split())

    return {
        "cpu.model": take(INFO, lambda: model(info()[0])),
        "cpu.vendor": told("vendor_id", "CPU implementer"),
        "cpu.family": told("cpu family", "CPU architecture"),
        "cpu.stepping": told("stepping", "CPU revision"),
        "cpu.flags_count": take(INFO, lambda: len(flags())),
        "cpu.flags_sha256": take(
            INFO, lambda: hashlib.sha256(" ".join(flags()).encode()).hexdigest()
        ),
        "cpu.microcode": prefer(
            file_fact(roots, f"{_SYS}/cpu0/microcode/version"), told("microcode")
        ),
        "cpu.hypervisor_flag": take(
            INFO, lambda: "hypervisor" in field(info()[0], "flags").split()
        ),
    }


def _layout(roots: Roots, info: Callable[[], Sequence[Processor]]) -> dict[str, Fact]:
    def distinct(name: str) -> Fact:
        pattern = f"{_SYS}/cpu[0-9]*/topology/{name}"
        return take(pattern, lambda: len(set(roots.texts(pattern).values())))

    nodes = f"{_NODE}/node[0-9]*/cpulist"
    return {
        "cpu.sockets": distinct("physical_package_id"),
        "cpu.cores": distinct("thread_siblings_list"),
        "cpu.threads": take(INFO, lambda: len(info())),
        "cpu.smt": file_fact(roots, f"{_SYS}/smt/control"),
        "cpu.caches": take(f"{_SYS}/cpu0/cache/index*", lambda: _caches(roots)),
        "cpu.numa_nodes": take(
            nodes,
            lambda: {
                PurePosixPath(place).parent.name: listed(cpus)
                for place, cpus in roots.texts(nodes).items()
            },
        ),
        "cpu.numa_balancing": file_fact(roots, "/proc/sys/kernel/numa_balancing"),
    }


def _caches(roots: Roots) -> Plain:
    levels = roots.texts(f"{_SYS}/cpu0/cache/index[0-9]*/level")
    caches: list[Plain] = []
    for place, level in levels.items():
        index = place.removesuffix("level")
        caches.append(
            {
                "level": int(level),
                "type": roots.text(f"{index}type").strip(),
                "bytes": _size(roots.text(f"{index}size").strip()),
                "shared_by": listed(roots.text(f"{index}shared_cpu_list")),
            }
        )
    return caches


def _size(text: str) -> int:
    unit = _BYTES.get(text[-1:], 1)
    return int(text.rstrip("KMG")) * unit


def _clocking(roots: Roots, info: Callable[[], Sequence[Processor]]) -> dict[str, Fact]:
    def each(name: str, parse: Callable[[list[str]], Plain]) -> Fact:
        pattern = f"{_SYS}/cpu[0-9]*/cpufreq/{name}"
        return take(pattern, lambda: parse(list(roots.texts(pattern).values())))

    def kinds(values: list[str]) -> Plain:
        return sorted(set(values))

    def kilohertz(values: list[str]) -> Plain:
        return _spread([float(value) * 1e3 for value in values])

    def megahertz() -> Plain:
        return _spread([float(field(one, "cpu MHz")) * 1e6 for one in info()])

    return {
        "cpu.governor": each("scaling_governor", kinds),
        "cpu.frequency_driver": each("scaling_driver", kinds),
        "cpu.energy_preference": each("energy_performance_preference", kinds),
        "cpu.clock_floor_hz": each("scaling_min_freq", kilohertz),
        "cpu.clock_ceiling_hz": each("scaling_max_freq", kilohertz),
        "cpu.clock_hz": prefer(each("scaling_cur_freq", kilohertz), take(INFO, megahertz)),
        "cpu.boost": prefer(
            file_fact(roots, f"{_SYS}/cpufreq/boost", lambda text: bool(int(text))),
            file_fact(roots, f"{_SYS}/intel_pstate/no_turbo", lambda text: not int(text)),
        ),
        "cpu.idle_driver": file_fact(roots, f"{_SYS}/cpuidle/current_driver"),
    }


def _spread(values: list[float]) -> Plain:
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def _setting(roots: Roots) -> dict[str, Fact]:
    flaws = f"{_SYS}/vulnerabilities/*"
    throttles = f"{_SYS}/cpu[0-9]*/thermal_throttle/core_throttle_count"
    return {
        "cpu.online": file_fact(roots, f"{_SYS}/online", listed),
        "cpu.isolated": file_fact(roots, f"{_SYS}/isolated", listed),
        "cpu.affinity": file_fact(roots, "/proc/self/status", _affinity),
        "cpu.mitigations": take(
            flaws,
            lambda: {PurePosixPath(place).name: told for place, told in roots.texts(flaws).items()},
        ),
        "cpu.throttle_events": take(
            throttles, lambda: sum(int(count) for count in roots.texts(throttles).values())
        ),
    }


def _affinity(status: str) -> str:
    fields = dict(_parted(line) for line in status.splitlines() if ":" in line)
    return field(fields, "Cpus_allowed_list")
