"""What the facts tell of made-up machines, and what they keep to themselves."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment.facts import collect, snapshot
from accelbench.harness.environment.reading import Roots
from accelbench.harness.schema.plain import Plain, canonical

Plant = Callable[[Mapping[str, str]], Roots]


def values(roots: Roots) -> dict[str, Plain]:
    """The values of the facts that have one."""
    return {name: fact.value for name, fact in collect(roots, {}).items() if fact.status == "ok"}


def test_an_intel_server_is_told_from_its_files(intel: Roots) -> None:
    """Sockets, cores, clocks, caches and nodes come from /sys, amounts in SI units."""
    told = values(intel)
    assert told["cpu.model"] == "Intel Xeon 8480+"
    assert (told["cpu.sockets"], told["cpu.cores"], told["cpu.threads"]) == (2, 4, 8)
    assert told["cpu.smt"] == "on"
    assert told["cpu.governor"] == ["performance"]
    assert told["cpu.clock_hz"] == {"min": 3.0e9, "median": 3.0000035e9, "max": 3.000007e9}
    assert told["cpu.boost"] is True
    assert told["cpu.microcode"] == "0x2b000590"
    assert told["cpu.caches"] == [{"level": 1, "type": "Data", "bytes": 49152, "shared_by": "0,4"}]
    assert told["cpu.numa_nodes"] == {"node0": "0-1,4-5", "node1": "2-3,6-7"}
    assert told["cpu.affinity"] == "0-7"
    assert told["cpu.isolated"] == "none"
    assert told["cpu.mitigations"] == {"meltdown": "Not affected"}
    assert told["cpu.throttle_events"] == 28
    assert told["cpu.hypervisor_flag"] is False


def test_memory_and_system_are_told_in_base_units(intel: Roots) -> None:
    """Bytes are bytes, shares are shares, limits are numbers or "unlimited"."""
    told = values(intel)
    assert told["memory.total_bytes"] == 2**30
    assert told["memory.available_bytes"] == 2**29
    assert told["memory.huge_pages"] == 4
    assert told["memory.transparent_huge_pages"] == "madvise"
    assert told["memory.swappiness"] == 60
    assert told["os.distribution"] == "Ubuntu 24.04.1 LTS"
    assert told["os.load_average"] == [0.1, 0.2, 0.3]
    assert told["os.limits"] == {
        "Max cpu time": {"soft": "unlimited", "hard": "unlimited"},
        "Max open files": {"soft": 1024, "hard": 524288},
    }
    assert told["pressure.cpu"] == {
        "some": {"avg10": 0.015, "avg60": 0.0, "avg300": 0.0, "total_s": 2.5}
    }


def test_limits_of_control_groups_2_count_from_every_level(intel: Roots) -> None:
    """The least limit between the own group and the root holds, wherever it is set."""
    told = values(intel)
    assert told["cgroup.version"] == 2
    assert told["cgroup.cpus"] == 2.5
    assert told["cgroup.memory_bytes"] == 536870912
    assert told["cgroup.throttled_periods"] == 3
    assert told["container.marks"] == []


def test_limits_of_control_groups_1_are_read_in_a_container(amd: Roots) -> None:
    """Where the group's folder is not visible inside, its mount tells the limits."""
    told = values(amd)
    assert told["cgroup.version"] == 1
    assert told["cgroup.cpus"] == 1.5
    assert told["cgroup.memory_bytes"] == "unlimited"
    assert told["cgroup.cpuset"] == "0-1"
    assert told["container.marks"] == ["/.dockerenv", "docker"]


def test_what_a_machine_lacks_is_absent_with_a_reason(amd: Roots) -> None:
    """Without clock control there is no governor: no value, a source and a reason."""
    facts = collect(amd, {})
    for name in ("cpu.governor", "cpu.boost", "memory.total_bytes", "pressure.io"):
        fact = facts[name]
        assert (fact.status, fact.value) == ("absent", None)
        assert fact.detail
        assert fact.source.startswith("/")
    assert "no_turbo" in facts["cpu.boost"].source
    assert facts["cpu.hypervisor_flag"].value is True
    assert facts["cpu.clock_hz"].source == "/proc/cpuinfo"


def test_an_arm_processor_is_named_by_its_numbers(plant: Plant) -> None:
    """Arm prints no model name; implementer and part stand for it."""
    roots = plant(
        {
            "/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd\n"
            "CPU implementer\t: 0x41\nCPU part\t: 0xd4f\n"
        }
    )
    facts = collect(roots, {})
    assert facts["cpu.model"].value == "implementer 0x41 part 0xd4f"
    assert facts["cpu.flags_count"].value == 2
    assert facts["cpu.hypervisor_flag"].status == "absent"


def test_nothing_there_is_never_an_exception(tmp_path: Path) -> None:
    """On an empty file system every fact of it is absent."""
    facts = collect(Roots(tmp_path), {})
    read = {fact.status for fact in facts.values() if fact.source.startswith("/")}
    assert read == {"absent"}


def test_garbage_is_an_error_never_an_exception(intel: Roots) -> None:
    """Files of garbage make facts that say so, or plain text; the snapshot stays plain JSON."""
    for path in [path for path in intel.base.rglob("*") if path.is_file()]:
        path.write_bytes(b"\xff\x00 nan [ : = garbage")
    facts = collect(intel, {})
    assert facts["memory.swappiness"].status == "error"
    assert facts["os.load_average"].status == "error"
    assert facts["cgroup.cpus"].status == "error"
    canonical(snapshot(intel, {}))


def test_numbers_that_are_none_are_an_error(plant: Plant) -> None:
    """A load of "nan" is no value, for JSON has none."""
    roots = plant({"/proc/loadavg": "nan nan nan 1/2 3\n"})
    assert collect(roots, {})["os.load_average"].status == "error"


def test_what_is_not_permitted_is_denied(intel: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read makes a denied fact."""

    def refuse(path: Path, **_: object) -> str:
        """Stands in for the real `refuse`."""
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    facts = collect(intel, {})
    for name in ("cpu.model", "cpu.governor", "cgroup.cpus", "memory.total_bytes"):
        assert (facts[name].status, facts[name].detail) == ("denied", "Permission denied")


def test_secrets_of_the_variables_are_nowhere_in_the_snapshot(intel: Roots) -> None:
    """Only listed names are stored; secret names never; passwords leave addresses."""
    environ = {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "PYTHONHASHSEED": "7",
        "MLFLOW_TRACKING_URI": "https://lovelace:pl4nted@tracking.example/api?token=pl4nted",
        "VLLM_API_KEY": "pl4nted",
        "NCCL_AUTH_cookie": "pl4nted",
        "HYDRA_DEMO": "--password pl4nted",
        "TORCH_BAD": "\udcff",
        "HF_TOKEN": "pl4nted",
        "UNLISTED_PL4NTED": "pl4nted",
    }
    stored = snapshot(intel, environ)
    text = canonical(stored).decode()
    for trace in ("pl4nted", "PL4NTED", "API_KEY", "cookie", "HF_TOKEN", "lovelace"):
        assert trace not in text
    facts = stored["facts"]
    assert isinstance(facts, dict)
    assert facts["variables.listed"]["value"] == {
        "CUDA_VISIBLE_DEVICES": "0,1",
        "HYDRA_DEMO": "(withheld)",
        "MLFLOW_TRACKING_URI": "(withheld)",
        "PYTHONHASHSEED": "7",
        "TORCH_BAD": "?",
    }
    assert facts["variables.others"]["value"] == 4
    assert facts["python.hash_seed"]["value"] == "7"


def test_secrets_of_the_kernel_command_line_are_withheld(plant: Plant) -> None:
    """Secret parameters lose their value; what goes to the first program is left out."""
    line = 'quiet luks.key=pl4nted x.password="pl4nted too" ip=10.1.2.3::host -- --auth pl4nted\n'
    fact = collect(plant({"/proc/cmdline": line}), {})["os.kernel_command_line"]
    assert fact.value == [
        "quiet",
        "luks.key=(withheld)",
        "x.password=(withheld)",
        "ip=(withheld)",
    ]


def test_a_snapshot_is_what_a_bundle_stores(intel: Roots) -> None:
    """It is plain data under a named schema, and hides where the file system was."""
    stored = json.loads(canonical(snapshot(intel, {})))
    assert stored["schema"] == "accelbench.environment/1"
    assert len(stored["machine_id"]) == 64
    assert stored["facts"]["cpu.model"] == {
        "value": "Intel Xeon 8480+",
        "source": "/proc/cpuinfo",
        "status": "ok",
        "detail": "",
    }
    assert str(intel.base) not in canonical(stored).decode()


def test_the_facts_of_this_interpreter_are_known() -> None:
    """Version, implementation and lock of the running interpreter are always there."""
    told = {name: fact.status for name, fact in collect(environ={}).items()}
    assert told["python.version"] == "ok"
    assert told["python.global_lock"] == "ok"
    assert told["clock.counter"] == "ok"
