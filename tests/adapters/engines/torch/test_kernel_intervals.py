"""Kernels as a profiler sees them: which operators count, when they ran, and what a trial tells."""

from collections import Counter

import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.scenario import Offline, TrainToTarget
from accelbench.suites.workloads.classifiers.mlp import Mlp

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

MLP = Mlp(width=64, depth=2)


@pytest.fixture
def kernels():
    """The module under test, which imports PyTorch."""
    from accelbench.adapters.engines.torch import kernels

    return kernels


@pytest.fixture
def seen(kernels):
    """Names of the kernels among operators told as (name, thread, start, end)."""

    def names(*rows):
        called = [kernels.Called(name, "", thread, start, end) for name, thread, start, end in rows]
        return [op.name.removeprefix("aten::") for op in kernels.kernels_of(called)]

    return names


@pytest.fixture
def profiled(task, run):
    """The trace of a trial that a profiler watched."""

    def done(scenario, **options):
        with TorchAdapter(profile=True, **options).open(task(MLP)) as session:
            return run(session, scenario)

    return done


def test_a_wrapper_is_no_kernel_and_what_it_calls_is(seen):
    """`linear` only calls `addmm`; the copy inside `addmm` is part of it."""
    rows = [
        ("aten::linear", 1, 0, 100),
        ("aten::t", 1, 5, 10),
        ("aten::transpose", 1, 6, 9),
        ("aten::addmm", 1, 20, 90),
        ("aten::copy_", 1, 25, 30),
    ]
    assert seen(*rows) == ["addmm"]


def test_views_and_allocations_are_no_kernels(seen):
    """They move nothing."""
    rows = [("aten::view", 1, 0, 1), ("aten::empty", 1, 2, 3), ("aten::as_strided", 1, 4, 5)]
    assert seen(*rows) == []


def test_code_that_all_devices_share_counts_where_nothing_within_does(seen):
    """`convolution` is a wrapper around a library's; a copy alone is a kernel."""
    rows = [
        ("aten::convolution", 1, 0, 50),
        ("aten::mkldnn_convolution", 1, 5, 45),
        ("aten::copy_", 1, 60, 70),
    ]
    assert seen(*rows) == ["mkldnn_convolution", "copy_"]


def test_threads_are_taken_apart(seen):
    """What runs at the same time on another thread is not within."""
    rows = [("aten::mm", 1, 0, 100), ("aten::mm", 2, 10, 90)]
    assert seen(*rows) == ["mm", "mm"]


def test_kernels_that_inductor_made_count(seen):
    """What the dispatcher does not know, such as ranges, does not."""
    rows = [("graph_0_cpp_fused_relu_0", 1, 0, 10), ("ProfilerStep::x", 1, 20, 30)]
    assert seen(*rows) == ["graph_0_cpp_fused_relu_0"]


def test_kernels_lie_within_their_requests(profiled):
    """Their clock is the trace's: none begins before its batch or ends after it."""
    trace = profiled(Offline("offline", 8, 64))
    phases = trace.table("phases").to_pylist()
    found = [row for row in phases if row["kind"] == "kernel"]
    requests = trace.table("requests").to_pylist()
    slack = 20_000  # two anchors, each read within some microseconds
    for row in found:
        assert any(
            one["sent_ns"] - slack <= row["start_ns"] <= row["end_ns"] <= one["done_ns"] + slack
            for one in requests
        )
    assert {row["device"] for row in found} == {"cpu"}
    assert len([row for row in found if row["name"] == "aten::addmm"]) == 8 * 3


def test_a_profiled_trial_tells_overhead_and_no_latency(profiled):
    """Equation 8 has its kernels; times under a profiler are nobody's."""
    trace = profiled(Offline("offline", 8, 64))
    found = measure(trace, None)
    assert trace.head.profiled
    assert 0 < found["overhead.ratio"].value < 1
    assert found["overhead.kernel_time"].value > 0
    for name in ("e2e.service.mean", "tp.samples", "flops.achieved"):
        assert found[name].value is None
        assert "profiler" in found[name].reason


def test_training_has_kernels_too(profiled):
    """Those of the backward pass, which takes products apart from biases, and of the optimiser."""
    trace = profiled(TrainToTarget("train_to_target", "accuracy", 0.0, 512, 1))
    rows = [row for row in trace.table("phases").to_pylist() if row["kind"] == "kernel"]
    assert {"aten::addmm", "aten::mm", "aten::addcdiv_"} <= {row["name"] for row in rows}


def test_operators_without_a_default_overload_are_kernels_too(kernels):
    """`add` and `mul` exist in overloads only, which the profiler has to be asked for."""
    from accelbench.harness.schema.recorder import Recorder, WallClock

    recorder = Recorder(WallClock())
    numbers = torch.ones(1000)
    began_ns = recorder.now_ns()
    with kernels.kernel_intervals(recorder, torch.device("cpu")) as told:
        (numbers * numbers + numbers).pow(2)
        recorder.window(began_ns, recorder.now_ns())
    assert {"aten::mul", "aten::add", "aten::pow"} <= told["by_name"].keys()


def test_the_record_tells_the_kernels_of_the_window_by_name(task, run):
    """How often each ran and for how long, as the phases have it; the least busy ones together."""
    with TorchAdapter(profile=True).open(task(MLP)) as session:
        trace = run(session, Offline("offline", 8, 64))
        told = session.facts()["kernels"]["by_name"]
    rows = [row for row in trace.table("phases").to_pylist() if row["kind"] == "kernel"]
    assert {name: one["calls"] for name, one in told.items()} == Counter(
        row["name"] for row in rows
    )
    spent = sum(row["end_ns"] - row["start_ns"] for row in rows) / 1e9
    assert sum(one["seconds"] for one in told.values()) == pytest.approx(spent)


def test_many_kernels_are_told_by_the_busiest(kernels):
    """A record keeps the names that took longest, and what the others were together."""
    rows = [(f"k{n:03}", "kernel", 0, 1000 - n, "cuda:0", "stream 7") for n in range(100)]
    told = kernels._by_name([*rows, ("Memcpy HtoD", "transfer", 0, 5000, "cuda:0", "stream 7")])
    assert list(told) == [*(f"k{n:03}" for n in range(40)), "others"]
    assert told["others"]["names"] == told["others"]["calls"] == 60


def test_an_ordinary_trial_is_not_profiled(task, run):
    """Nothing watches it."""
    with TorchAdapter().open(task(MLP)) as session:
        trace = run(session, Offline("offline", 8, 16))
        assert session.facts()["profiled"] is False
        assert "kernels" not in session.facts()
    assert not trace.head.profiled
    assert "kernel" not in trace.table("phases").column("kind").to_pylist()
