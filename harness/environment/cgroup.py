"""Control groups: the limits that a container or a service manager set on this process."""

from collections.abc import Callable
from pathlib import PurePosixPath

from accelbench.harness.environment.reading import AbsentError, Fact, Roots, listed, prefer, take
from accelbench.harness.schema.plain import Plain

MOUNT = "/sys/fs/cgroup"
_MARKS = ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")
_WORDS = ("docker", "kubepods", "containerd", "libpod", "lxc", "podman")
_UNIFIED = 2
_V1_UNLIMITED = 1 << 60  # version 1 writes "no limit" as the largest whole number of pages
_V1_NO_QUOTA = -1


def cgroup_facts(roots: Roots) -> dict[str, Fact]:
    """The limits on this process, by name; "unlimited" where a group sets none.

    A limit counts wherever it stands between the process's own group and the root; the least
    one is told.

    Args:
        roots: Where the file system begins.
    """
    version = take(MOUNT, lambda: _version(roots))
    limits = _version_2(roots) if version.value == _UNIFIED else _version_1(roots)
    return {
        "cgroup.version": version,
        "container.marks": take("/.dockerenv, /run, /proc/self/cgroup", lambda: _marks(roots)),
        **limits,
    }


def groups_with(roots: Roots, controller: str, name: str, pid: int | str = "self") -> list[str]:
    """Those of a process's groups that have a file, from its own to the root.

    Args:
        roots: Where the file system begins.
        controller: A controller of version 1, e.g. "memory"; "" for version 2.
        name: The file.
        pid: The process.

    Raises:
        AbsentError: No group has it.
        OSError: The process is gone or its groups cannot be read.
    """
    folders = _groups(roots, controller, pid)
    having = [folder for folder in folders if roots.path(f"{folder}/{name}").is_file()]
    if not having:
        raise AbsentError(f"no group has a {name}")
    return having


def _groups(roots: Roots, controller: str, pid: int | str) -> list[str]:
    """The folders of a process's group and of those above it, which need not all exist."""
    for line in roots.text(f"/proc/{pid}/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            break
    else:
        raise AbsentError(f"the process is in no group of {controller or 'version 2'}")
    mount = PurePosixPath(_mount(roots, controller))
    names = [name for name in PurePosixPath(path).parts if name not in ("/", "..")]
    return [str(mount.joinpath(*names[:depth])) for depth in range(len(names), -1, -1)]


def _mount(roots: Roots, controller: str) -> str:
    if controller:
        return f"{MOUNT}/{controller}"
    return MOUNT if _unified(roots) else f"{MOUNT}/unified"


def _unified(roots: Roots) -> bool:
    return roots.path(f"{MOUNT}/cgroup.controllers").is_file()


def _version(roots: Roots) -> int:
    if _unified(roots):
        return _UNIFIED
    if any(roots.path(f"{MOUNT}/{name}").is_dir() for name in ("cpu", "memory", "cpuset")):
        return 1
    raise AbsentError("no control groups are mounted")


def _version_2(roots: Roots) -> dict[str, Fact]:
    return {
        "cgroup.cpus": _limit(roots, "", "cpu.max", _quota),
        "cgroup.memory_bytes": _limit(roots, "", "memory.max", _memory),
        "cgroup.cpuset": _own(roots, "", "cpuset.cpus.effective", listed),
        "cgroup.throttled_periods": _own(roots, "", "cpu.stat", _throttled),
    }


def _version_1(roots: Roots) -> dict[str, Fact]:
    def quota(folder: str) -> float | None:
        allowed = int(roots.text(f"{folder}/cpu.cfs_quota_us"))
        period = int(roots.text(f"{folder}/cpu.cfs_period_us"))
        return None if allowed == _V1_NO_QUOTA else allowed / period

    def memory(folder: str) -> int | None:
        limit = int(roots.text(f"{folder}/memory.limit_in_bytes"))
        return None if limit >= _V1_UNLIMITED else limit

    return {
        "cgroup.cpus": _least(roots, "cpu", "cpu.cfs_quota_us", quota),
        "cgroup.memory_bytes": _least(roots, "memory", "memory.limit_in_bytes", memory),
        "cgroup.cpuset": prefer(
            _own(roots, "cpuset", "cpuset.effective_cpus", listed),
            _own(roots, "cpuset", "cpuset.cpus", listed),
        ),
        "cgroup.throttled_periods": _own(roots, "cpu", "cpu.stat", _throttled),
    }


def _limit(roots: Roots, controller: str, name: str, parse: Callable[[str], float | None]) -> Fact:
    return _least(roots, controller, name, lambda folder: parse(roots.text(f"{folder}/{name}")))


def _least(roots: Roots, controller: str, name: str, limit: Callable[[str], float | None]) -> Fact:
    """The least limit of the groups that have the file `name`."""

    def read() -> Plain:
        folders = groups_with(roots, controller, name)
        limits = [value for folder in folders if (value := limit(folder)) is not None]
        return min(limits, default="unlimited")

    return take(_source(controller, name), read)


def _own(roots: Roots, controller: str, name: str, parse: Callable[[str], Plain]) -> Fact:
    """What the nearest group that has the file `name` tells."""

    def read() -> Plain:
        return parse(roots.text(f"{groups_with(roots, controller, name)[0]}/{name}"))

    return take(_source(controller, name), read)


def _source(controller: str, name: str) -> str:
    return "/".join(part for part in (MOUNT, controller, "<group>", name) if part)


def _quota(text: str) -> float | None:
    allowed, period = text.split()
    return None if allowed == "max" else int(allowed) / int(period)


def _memory(text: str) -> int | None:
    return None if text.strip() == "max" else int(text)


def _throttled(text: str) -> int:
    counts = dict(line.split() for line in text.splitlines())
    if "nr_throttled" not in counts:
        raise AbsentError("no 'nr_throttled' there")
    return int(counts["nr_throttled"])


def _marks(roots: Roots) -> list[str]:
    """What shows that this is a container; the name of the group may name a person: words only."""
    marks = [mark for mark in _MARKS if roots.path(mark).exists()]
    path = roots.text("/proc/self/cgroup")
    return marks + [word for word in _WORDS if word in path]
