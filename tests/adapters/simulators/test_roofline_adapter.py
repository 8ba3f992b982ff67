"""The roofline adapter against closed forms and the survey's figures."""

import importlib.resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from accelbench.adapters.simulators.roofline import (
    RooflineAdapter,
    RooflineCost,
    chosen_precision,
)
from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline, TrainToTarget
from accelbench.suites.workloads.fake import FakeClassifier, FakeGenerator


def sheet(name: str) -> Platform:
    """A sheet of the distribution."""
    file = importlib.resources.files("accelbench.conf") / "platform" / f"{name}.yaml"
    return decode(Platform, yaml.safe_load(file.read_text()))


def gemm(m: int, n: int = 4096, k: int = 4096, count: int = 1) -> OpGraph:
    """`count` products of an m x k and a k x n matrix."""
    op = Operator(
        "gemm", count, ((m, k), (k, n)), ((m, n),), "bf16", 2 * m * n * k, m * k + k * n, m * n
    )
    return OpGraph("gemm", "forward", m, 1, 0, (op,), (), n * k)


def task(platform: Platform) -> Task:
    """A session is opened for the product on this machine."""
    builder: Any = Gemm()
    return Task(builder, platform, None, 0)


class Gemm(FakeClassifier):
    """A workload of one matrix product a batch."""

    def geometry(self) -> dict[str, Any]:
        """The widths of the product."""
        return {"linear": [[4096, 4096]]}

    def phases(self) -> tuple[Phase, ...]:
        """The product."""
        return (Phase("forward"),)

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:  # noqa: ARG002  (one product, whatever the phase)
        """The product with as many rows as samples."""
        return gemm(batch)


FIG3 = RooflineCost("any", "fp16")


def test_the_product_of_one_row_is_bound_by_memory() -> None:
    """At intensity 0.9995 (ORC-026) the machine of Figure 3 reaches 2.9985 TFLOP/s (ORC-023)."""
    cost = FIG3.cost(gemm(1), sheet("fig3_reference"))
    assert cost.operators[0].bound == "main memory"
    intensity = 0.999511957052
    assert 2 * 4096 * 4096 / cost.seconds == pytest.approx(3e12 * intensity, rel=1e-9)
    assert cost.utilisation == pytest.approx(3e12 * intensity / 1e15, rel=1e-9)


@pytest.mark.parametrize(
    ("m", "intensity"),
    [(8, 7.96887159533), (64, 62.0606060606), (512, 409.6), (4096, 1365.33333333)],
)
def test_time_is_the_longer_of_compute_and_memory(m: int, intensity: float) -> None:
    """FLOP/s are min(peak, intensity x bandwidth) for each product of ORC-026."""
    cost = FIG3.cost(gemm(m), sheet("fig3_reference"))
    achieved = 2 * m * 4096 * 4096 / cost.seconds
    assert achieved == pytest.approx(min(1e15, intensity * 3e12), rel=1e-9)


def test_the_ridge_is_crossed_at_399_rows() -> None:
    """A 4096 x 4096 product in FP16 is bound by memory up to 398 rows, by compute from 399."""
    machine = sheet("fig3_reference")
    bounds = {m: FIG3.cost(gemm(m), machine).operators[0].bound for m in (398, 399)}
    assert bounds == {398: "main memory", 399: "compute"}


def test_operators_run_one_after_another() -> None:
    """The time of a graph is the sum over all occurrences, even where one could hide another."""
    machine = sheet("fig3_reference")
    graph = OpGraph(
        "two", "forward", 1, 1, 0, gemm(1, count=3).operators + gemm(512).operators, (), 0
    )
    alone = 3 * FIG3.cost(gemm(1), machine).seconds + FIG3.cost(gemm(512), machine).seconds
    assert FIG3.cost(graph, machine).seconds == pytest.approx(alone)
    assert [row.count for row in FIG3.cost(graph, machine).operators] == [3, 1]


def test_the_roofline_covers_every_operator() -> None:
    """Two ceilings know every operator, so coverage is whole."""
    coverage = FIG3.cost(gemm(1), sheet("fig3_reference")).coverage
    assert (coverage.operators, coverage.flops) == (1.0, 1.0)


def test_a_graph_without_work_takes_no_time() -> None:
    """A graph without operators costs nothing and uses nothing of the peak."""
    cost = FIG3.cost(OpGraph("e", "forward", 1, 1, 0, (), (), 0), sheet("fig3_reference"))
    assert (cost.seconds, cost.utilisation) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "precision", "share"),
    [
        ("b200_paper", "fp4", 0.00711111111111),
        ("b200_paper", "fp8", 0.00727272727273),
        ("tpu_v5p_paper", "bf16", 0.00601307189542),
        ("groqchip1_paper", "int8", 0.213333333333),
        ("mi300x_paper", "fp16", 0.00407692307692),
        ("ai100_ultra_paper", "int8", 0.00125977011494),
        ("hbm_pim_paper", "fp16", 0.256),
    ],
)
def test_utilisation_of_a_matrix_times_a_vector(name: str, precision: str, share: float) -> None:
    """With the weights alone moved, each machine reaches the share of its peak of ORC-025."""
    op = Operator("gemv", 1, ((4096, 4096),), ((4096,),), "x", 2 * 4096**2, 4096**2, 0)
    graph = OpGraph("gemv", "decode", 1, 1, 0, (op,), (), 4096**2)
    cost = RooflineCost(precision, precision).cost(graph, sheet(name))
    assert cost.utilisation == pytest.approx(share, rel=1e-6)


def test_energy_is_design_power_times_time_under_the_name_of_its_scope() -> None:
    """One component, named for what the design power covers, labelled as modelled."""
    stack = sheet("hbm_pim_paper")
    model = RooflineCost("fp16", "fp16")
    cost = model.cost(gemm(1), stack)
    assert cost.energy_j == {"stack": pytest.approx(5.0 * cost.seconds)}
    meter = model.meter(stack)
    assert meter is not None
    assert (meter.quality, meter.scope, meter.covers) == ("modelled", "stack", ("stack",))
    assert "5 W" in meter.method
    assert "upper estimate" in meter.method


def test_a_sheet_without_design_power_has_no_energy() -> None:
    """The machine of Figure 3 has no power, so energy is absent and so is its meter."""
    machine = sheet("fig3_reference")
    assert FIG3.cost(gemm(1), machine).energy_j == {}
    assert FIG3.meter(machine) is None


def test_no_precision_takes_the_highest_peak() -> None:
    """The B200's highest peak is FP4; a peak for any precision is taken with BF16 elements."""
    assert chosen_precision(sheet("b200_paper"), None) == ("fp4", "fp4")
    assert chosen_precision(sheet("b200_paper"), "fp8") == ("fp8", "fp8")
    assert chosen_precision(sheet("fig3_reference"), None) == ("any", "bf16")
    assert chosen_precision(sheet("fig3_reference"), "int8") == ("any", "int8")


def test_a_precision_that_the_sheet_lacks_is_refused_with_those_it_has() -> None:
    """The error names the machine and its precisions."""
    with pytest.raises(ConfigError, match=r"b200_paper.*'bf16'.*fp4, fp8"):
        RooflineAdapter("bf16").open(task(sheet("b200_paper")))


@pytest.mark.parametrize("name", ["this_host", "alveo_v80_paper"])
def test_a_sheet_without_a_peak_has_no_roofline(name: str) -> None:
    """A machine without a peak is refused when the session opens."""
    with pytest.raises(ConfigError, match=f"{name}.*no peak"):
        RooflineAdapter().open(task(sheet(name)))


@pytest.mark.parametrize("memory", [(), (MemoryLevel("DRAM", None, None),)])
def test_a_sheet_without_bandwidth_has_no_roofline(memory: tuple[MemoryLevel, ...]) -> None:
    """A machine without a memory, or with one of unknown bandwidth, is refused."""
    peak = {"fp16": Figure(1e12, "a test", "estimate")}
    machine = Platform("bare", "", "npu", peak, memory, None, None, (), ("a test",))
    with pytest.raises(ConfigError, match=r"bare.*no memory bandwidth"):
        RooflineAdapter().open(task(machine))


def test_synaptic_operations_are_not_flops() -> None:
    """Loihi 2's peak counts synaptic operations, so it has no roofline of FLOPs (X-04)."""
    with pytest.raises(ConfigError, match=r"loihi2_paper.*'sop' are not FLOPs"):
        RooflineAdapter().open(task(sheet("loihi2_paper")))


def test_every_assumption_is_told() -> None:
    """Overlap, fusion, element size, latency, capacity, host and energy are all named."""
    told = " ".join(RooflineCost("any", "fp16").assumptions())
    for word in ("overlap", "fused", "fp16: 2 bytes", "latency", "capacity", "host", "energy"):
        assert word in told


def test_a_whole_trial_on_the_roofline() -> None:
    """Two batches of 512 rows take twice the closed form, and count as simulated."""
    adapter = RooflineAdapter("fp16")
    rules = Rules("r", "", 1, 1, "shared", 10.0, 0, Limits(), (), ())
    with adapter.open(task(sheet("mi300x_paper"))) as session:
        recorder = Recorder(session.clock)
        session.execute(Work(Offline("offline", 512, 1024), rules, 0, Path()), recorder)
        trace = recorder.freeze(adapter.evidence, precision=session.precision)
    seconds = 2 * max(2 * 512 * 4096**2 / 1.3e15, 2 * (2 * 512 * 4096 + 4096**2) / 5.3e12)
    start, end = trace.head.window_ns
    assert end - start == pytest.approx(seconds * 1e9, abs=1)
    assert trace.table("ledger").to_pylist() == [
        {"phase": "forward", "component": "chip", "energy_j": pytest.approx(750 * seconds)}
    ]
    assert (trace.head.evidence, trace.head.clock, trace.head.precision) == (
        "simulated",
        "simulated",
        "fp16",
    )


def test_it_is_ready_anywhere_and_trains_nowhere() -> None:
    """It needs a sheet alone; training is refused in words when the plan is made."""
    builder: Any = Gemm()
    adapter = RooflineAdapter()
    assert adapter.readiness().status == "ready"
    assert adapter.supports(builder, Offline("offline", 1, 1)) is None
    assert adapter.supports(builder, TrainToTarget("train_to_target", "a", 0.9, 1, 1))


def test_its_preset_is_its_defaults() -> None:
    """The configuration names every option, with the value the class has."""
    file = importlib.resources.files("accelbench.conf") / "adapter" / "roofline.yaml"
    assert yaml.safe_load(file.read_text()) == {
        "name": "roofline",
        "precision": None,
        "max_batch": 1,
    }
    assert RooflineAdapter() == RooflineAdapter(precision=None, max_batch=1)


def test_a_batch_has_at_least_one_member() -> None:
    """No batch at all is a wrong request."""
    with pytest.raises(ValueError, match="max_batch"):
        RooflineAdapter(max_batch=0)


def test_prompts_are_generated_for_in_batches_of_the_size_it_is_told() -> None:
    """Four prompts due at once are four batches by default, and one of four if it takes so many."""
    builder: Any = FakeGenerator()
    batches = {}
    for most in (1, 4):
        adapter = RooflineAdapter("fp16", max_batch=most)
        rules = Rules("r", "", 1, 0, "shared", 10.0, 0, Limits(), (), ())
        with adapter.open(Task(builder, sheet("mi300x_paper"), None, 0)) as session:
            recorder = Recorder(session.clock)
            session.execute(Work(Offline("offline", 4, 4), rules, 0, Path()), recorder)
            trace = recorder.freeze(adapter.evidence)
        begun = {row["queue_exit_ns"] for row in trace.table("requests").to_pylist()}
        batches[most] = len(begun)
    assert batches == {1: 4, 4: 1}


def test_it_tells_what_the_checklist_asks_of_a_simulator() -> None:
    """Memory, gating, mapping and scope; that its time is that of kernels alone is not hidden."""
    machine = sheet("mi300x_paper")
    told: Any = RooflineCost("fp16", "fp16").facts(machine)
    bandwidth = machine.main_bandwidth
    assert bandwidth is not None
    assert told["memory_model"]["bandwidth_byte_per_s"] == bandwidth.value
    assert "no latency" in told["memory_model"]["latency"]
    assert told["timing_scope"]["boundary"] == "kernel"
    assert "host and launches" in told["left_out"]
    assert told["clock_gating"].startswith("none")
    assert told["precision_map"]["weights"] == "fp16"
    assert told["sparsity"] == {"pattern": "none"}
    assert machine.memory[0].name in told["mapping"]["hierarchy"]


def test_elements_tell_their_width_where_the_peak_names_no_precision() -> None:
    """The peak of Figure 3 is for any precision, the elements are two bytes wide."""
    told: Any = FIG3.facts(sheet("fig3_reference"))
    assert (told["precision_map"]["arithmetic"], told["precision_map"]["element_bytes"]) == (
        "any",
        2,
    )
