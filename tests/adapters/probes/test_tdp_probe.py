"""The CPU power estimate: our own CPU time, a stated rate, readings at both ends."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from accelbench.adapters.probes import tdp
from accelbench.adapters.probes.tdp import (
    PUBLISHED_W_PER_CPU,
    ProcessTree,
    TdpProbe,
    cpu_model,
    logical_cpus,
    power_readings,
)
from accelbench.harness.schema.decode import decode

S = 1_000_000_000
CONF = Path(__file__).parents[3] / "conf" / "probe"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has started and waits until its input ends."""
    waits = [sys.executable, "-S", "-c", "import sys; print(flush=True); sys.stdin.read()"]
    with subprocess.Popen(waits, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def trapezoid_j(points: list[tuple[int, float]]) -> float:
    """Energy under a line through power readings."""
    return sum(
        (later - earlier) / S * (low + high) / 2
        for (earlier, low), (later, high) in pairwise(points)
    )


def test_power_is_the_rate_times_the_cpus_busy() -> None:
    """Half a CPU busy for a second and two for the next are 2 W and 8 W at 4 W each."""
    readings = power_readings([(0, 10.0), (S, 10.5), (2 * S, 12.5)], 4.0)
    assert [(r.at_ns, r.value) for r in readings] == [
        (0, 2.0),
        (S // 2, 2.0),
        (3 * S // 2, 8.0),
        (2 * S, 8.0),
    ]
    assert {(r.channel, r.kind, r.unit, r.scope) for r in readings} == {
        ("cpu", "power", "W", "process")
    }


def test_the_trapezoid_gives_the_energy_of_all_cpu_time() -> None:
    """Whatever the load did, equal periods integrate to rate x CPU time without a lag."""
    cpu = [0.0, 0.0, 0.7, 1.4, 1.4, 1.5]
    readings = power_readings([(n * S, cpu_s) for n, cpu_s in enumerate(cpu)], 3.5)
    assert trapezoid_j([(r.at_ns, r.value) for r in readings]) == pytest.approx(3.5 * 1.5)


def test_time_lost_with_a_process_is_not_negative_power() -> None:
    """CPU time of a process that left the tree unaccounted for makes 0 W, not less."""
    assert {r.value for r in power_readings([(0, 2.0), (S, 1.5)], 3.5)} == {0.0}


def test_one_value_is_no_reading() -> None:
    """Power needs two values of CPU time; before that there is none."""
    assert power_readings([(0, 1.0)], 3.5) == []


def test_readings_lie_at_both_ends(child: subprocess.Popen[bytes]) -> None:
    """A window inside the watch lies inside its readings, even one shorter than a period."""
    before = time.perf_counter_ns()
    with TdpProbe(period_s=60.0).watch(child.pid) as watch:
        opened = time.perf_counter_ns()
        closed = time.perf_counter_ns()
    readings = watch.readings()
    assert before < readings[0].at_ns < opened
    assert closed < readings[-1].at_ns < time.perf_counter_ns()
    assert [r.at_ns for r in readings] == sorted(r.at_ns for r in readings)


def test_the_load_of_neighbours_does_not_count(child: subprocess.Popen[bytes]) -> None:
    """While the process waits, 50 ms of CPU time here are not taken for its power."""
    with TdpProbe(assumed_w_per_cpu=1.0, period_s=60.0).watch(child.pid) as watch:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    one_tick_s = 1 / os.sysconf("SC_CLK_TCK")
    assert trapezoid_j([(r.at_ns, r.value) for r in watch.readings()]) <= one_tick_s * 1.01


def test_cpu_time_of_descendants_counts() -> None:
    """A child's time counts while it lives, and stays counted after it has been waited for."""
    busy = "import time\nwhile time.process_time() < 0.06: pass\nprint(flush=True); input()"
    tree = ProcessTree(os.getpid())
    before = tree.cpu_s() - time.process_time()
    with subprocess.Popen(
        [sys.executable, "-S", "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        alive = tree.cpu_s() - time.process_time() - before
        process.communicate(b"\n")
    gone = tree.cpu_s() - time.process_time() - before
    assert alive >= 0.04
    assert gone >= 0.04


def test_a_process_that_dies_leaves_its_readings(child: subprocess.Popen[bytes]) -> None:
    """The watch ends quietly and keeps what it has read."""
    probe = TdpProbe(period_s=0.002)
    with probe.watch(child.pid) as watch:
        until_ns = time.perf_counter_ns() + S
        while not watch.readings() and time.perf_counter_ns() < until_ns:
            os.sched_yield()
        child.kill()
        child.wait()
    assert watch.readings()


def test_no_process_no_readings() -> None:
    """A process that is not there gives no reading, and no 0 W."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as ended:
        pass
    with TdpProbe().watch(ended.pid) as watch:
        pass
    assert list(watch.readings()) == []


def test_a_short_last_stretch_joins_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end less than half a period after the last value replaces it; both ends stay."""
    watch = tdp.CpuTimeWatch(os.getpid(), 1.0, TdpProbe()._meter())
    monkeypatch.setattr(watch, "_taken", [(0, 0.0), (100, 0.1), (200, 0.2), (210, 0.3)])
    watch._join_last(50)
    assert watch._taken == [(0, 0.0), (100, 0.1), (210, 0.3)]
    watch._join_last(50)
    assert watch._taken == [(0, 0.0), (100, 0.1), (210, 0.3)]
    monkeypatch.setattr(watch, "_taken", [(0, 0.0), (10, 0.3)])
    watch._join_last(50)
    assert watch._taken == [(0, 0.0), (10, 0.3)]


def test_the_figures_are_labelled_an_estimate_with_their_numbers() -> None:
    """The meter names its method, the assumed rate with its range, and the CPU."""
    meter = TdpProbe()._meter()
    assert meter.quality == "estimated"
    assert meter.scope == "process share of the host CPU"
    assert meter.covers == ("cpu",)
    assert meter.period_s == 0.1
    low, high = PUBLISHED_W_PER_CPU
    for told in ("3.5 W", f"{low:g} to {high:g} W", cpu_model(), "idle power and memory left out"):
        assert told in meter.method


def test_a_given_design_power_is_spread_over_the_logical_cpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """120 W over 32 logical CPUs are 3.75 W for each busy one, and the method says so."""
    monkeypatch.setattr(tdp, "logical_cpus", lambda: 32)
    probe = TdpProbe(tdp_w=120.0)
    assert probe._watts_per_cpu() == 3.75
    assert "design power 120 W, as given, over 32 CPUs" in probe._meter().method


def test_an_unknown_cpu_is_told_as_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A system that does not name its CPU gives no empty name."""
    monkeypatch.setattr(tdp, "CPUINFO", tmp_path / "none")
    assert cpu_model() == "unknown model"
    (tmp_path / "none").write_text("processor : 0\nmodel name : Some CPU\n")
    assert cpu_model() == "Some CPU"


def test_it_is_ready_as_an_estimate() -> None:
    """It works wherever processes can be seen, and never passes for a meter."""
    readiness = TdpProbe().readiness()
    assert readiness.status == "ready"
    assert "estimate" in readiness.detail
    assert logical_cpus() >= 1


@pytest.mark.parametrize("wrong", [{"tdp_w": 0.0}, {"assumed_w_per_cpu": -1.0}, {"period_s": 0.0}])
def test_powers_and_periods_are_positive(wrong: dict[str, float]) -> None:
    """Anything else is refused when the configuration is read."""
    with pytest.raises(ValueError, match="positive"):
        TdpProbe(**wrong)


def test_its_preset_is_its_defaults() -> None:
    """The configuration names every option, with the value the class has."""
    preset = yaml.safe_load((CONF / "tdp.yaml").read_text())
    assert preset.pop("name") == "tdp"
    assert set(preset) == {field.name for field in fields(TdpProbe)}
    assert decode(TdpProbe, preset) == TdpProbe()
