"""What PyTorch takes in, gives out and keeps, apart from any trial."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from accelbench.adapters.engines.torch.adapter import TorchAdapter
from accelbench.harness.load.recordings import GRAPH_FILE
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.plain import file_digest
from accelbench.harness.schema.recorder import Recorder, WallClock
from accelbench.harness.schema.scenario import Offline, TrainToTarget
from accelbench.suites.workloads.classifiers.cnn import Cnn

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.torch

DIGITS = Cnn(channels=2, hidden=4)
TRAIN = TrainToTarget("train_to_target", "accuracy", 2.0, 512, 1)


class Named(torch.nn.Module):
    """Takes its inputs by name: rows of a table, scaled."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(4, 3)

    def forward(self, ids, scale, mask):
        """Shape (batch, 3)."""
        assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)
        return self.table(ids) * scale[:, None] * mask[:, None]


class NamedBuilder:
    """Builds it."""

    def model(self, weights, seed):  # noqa: ARG002  (all alike)
        """The model."""
        return Named()


@pytest.fixture
def engine(task):
    """Makes an engine of a builder."""
    from accelbench.adapters.engines.torch.engine import TorchEngine
    from accelbench.harness.schema.training import Practice

    def made(builder, dtype=torch.float32):
        return TorchEngine(task(builder), torch.device("cpu"), dtype, 1, Practice())

    return made


def test_inputs_by_name_become_arguments_by_name(engine):
    """Real numbers go to the model's format; whole numbers and flags stay what they are."""
    one = engine(NamedBuilder(), torch.bfloat16)
    ready = one.prepare(
        {
            "ids": np.array([0, 3, 3]),
            "scale": np.array([1.0, 1.0, 2.0], dtype=np.float32),
            "mask": np.array([True, False, True]),
        }
    )
    assert ready["scale"].dtype == torch.bfloat16
    answer = one.infer(ready)
    assert answer.shape == (3, 3)
    assert answer[1].abs().sum() == 0
    fetched = one.fetch(answer)
    assert (type(fetched), fetched.dtype) == (np.ndarray, np.float32)


def test_an_array_is_the_one_argument(engine):
    """Float64 pixels become the format of the weights."""
    one = engine(DIGITS)
    ready = one.prepare(np.zeros((5, 1, 8, 8)))
    assert ready.dtype == torch.float32
    assert one.infer(ready).shape == (5, 10)
    assert one.prepare(np.arange(3)).dtype == torch.int64


def test_what_goes_between_host_and_device_is_timed(engine, monkeypatch):
    """On a GPU alone: a processor that is the device shares its memory."""
    one = engine(DIGITS)
    one.fetch(one.infer(one.prepare(np.zeros((1, 1, 8, 8)))))
    assert one.transfers == []
    waits = []
    monkeypatch.setattr(type(one), "wait", lambda _self: waits.append(1))
    monkeypatch.setattr(one, "_device", SimpleNamespace(type="cuda"))
    with one._transfer("inputs") as moved:
        moved += [8, 4]
    ((what, start, end, size),) = one.transfers
    assert (what, len(waits), size) == ("inputs", 2, 12)
    assert start <= end


def test_recomputed_and_accumulated_activations_are_fewer(task, run):
    """Checkpointing keeps less; half a batch keeps half of it."""

    def kept(**options):
        """Bytes of activations."""
        with TorchAdapter(**options).open(task(DIGITS)) as session:
            trace = run(session, TRAIN)
            told = session.facts()["training"]
        rows = trace.table("counters").to_pylist()
        (found,) = [row["value"] for row in rows if row["name"] == "activations"]
        return found, told

    whole, plain = kept()
    halved, in_parts = kept(accumulate=2)
    fewer, recomputed = kept(checkpointing=True)
    assert halved == pytest.approx(whole / 2, rel=0.01)
    assert 0 < fewer < whole
    assert (plain["gradient_accumulation"], in_parts["gradient_accumulation"]) == (1, 2)
    assert plain["memory"] != recomputed["memory"]


def test_training_under_autocast_is_of_the_narrower_format(task, run):
    """It picks the peak that utilisation is held against; weights stay in float32."""
    with TorchAdapter(autocast="bf16").open(task(DIGITS)) as session:
        trace = run(session, TRAIN)
        facts = session.facts()
        again = run(session, Offline("offline", 4, 4))
    assert (trace.head.precision, again.head.precision) == ("bf16", "fp32")
    assert facts["precision_map"]["weights"] == "float32"
    assert "bfloat16" in facts["precision_map"]["activations"]
    assert facts["training"]["autocast"] == "bf16"


def test_a_trial_tells_each_part_of_its_steps_and_its_losses(task, run):
    """All of a step but the harness's own share is in some part."""
    with TorchAdapter().open(task(DIGITS)) as session:
        trace = run(session, TRAIN)
    steps = trace.table("requests").to_pylist()
    phases = trace.table("phases").to_pylist()
    for step in steps:
        parts = [row for row in phases if row["request"] == step["id"]]
        assert [row["kind"] for row in parts] == ["input", "forward", "backward", "optimizer"]
        assert parts[0]["start_ns"] == step["sent_ns"]
        assert parts[-1]["end_ns"] <= step["done_ns"]
    losses = [row for row in trace.table("evals").to_pylist() if row["split"] == "train"]
    assert [row["at_ns"] for row in losses] == [step["done_ns"] for step in steps]
    assert all(0 < row["value"] < 10 for row in losses)


def test_training_tells_its_flops_and_bytes_by_its_graphs(task, run):
    """Of each part, micro-batch by micro-batch, the smaller batch at the end of an epoch too."""
    with TorchAdapter(accumulate=2).open(task(DIGITS)) as session:
        trace = run(session, TRAIN)
        facts = session.facts()
    phases = trace.table("phases").to_pylist()
    sizes = [row["samples"] for row in trace.table("requests").to_pylist()]
    halves = [half for size in sizes for half in (-(-size // 2), size // 2)]
    assert len(set(halves)) > 1
    for kind in ("forward", "backward"):
        graphs = [DIGITS.lower(f"train.{kind}", size, 1, 0) for size in halves]
        told = [(row["flops"], row["bytes"]) for row in phases if row["kind"] == kind]
        assert told == [(graph.flops, graph.bytes_moved(4)) for graph in graphs]
    moved = DIGITS.lower("train.optimizer", 8, 1, 0).bytes_moved(4)
    assert {row["bytes"] for row in phases if row["kind"] == "optimizer"} == {moved}
    assert facts["training"]["done"]["steps"] == len(sizes)
    assert {"train.forward", "train.backward", "train.optimizer"} <= {*facts["opgraph"]["phases"]}
    assert "micro-batches" in facts["flops_counting"]
    found = {name: item.value for name, item in measure(trace, None).items()}
    parts = sum(found[f"train.flops.{kind}"] for kind in ("forward", "backward", "optimizer"))
    assert found["flops.total"] == pytest.approx(parts)


def test_recomputation_is_told_beside_the_flops_of_the_model(task, run):
    """Hardware does a forward pass of the blocks more, which the model's FLOPs leave out."""
    with TorchAdapter(checkpointing=True).open(task(DIGITS)) as session:
        trace = run(session, TRAIN)
        again = session.facts()["training"]["recomputed"]
    found = {name: item.value for name, item in measure(trace, None).items()}
    samples = sum(row["samples"] for row in trace.table("requests").to_pylist())
    once = again["flops"] / again["samples"]
    assert 0 < once <= DIGITS.lower("forward", 2, 1, 0).flops / 2
    assert found["flops.hardware"] == pytest.approx(found["flops.total"] + once * samples)


def test_under_autocast_flops_are_told_and_bytes_are_not(task, run):
    """Its elements are of several sizes."""
    with TorchAdapter(autocast="bf16").open(task(DIGITS)) as session:
        trace = run(session, TRAIN)
        facts = session.facts()
    found = measure(trace, None)
    assert found["flops.total"].value > 0
    assert "bandwidth.achieved" not in found
    assert "autocast" in facts["traffic"]


def test_the_graphs_that_figures_rest_on_are_kept_with_the_trial(task, run, tmp_path):
    """Known by their digest in the facts."""
    with TorchAdapter().open(task(Cnn(channels=3, hidden=4))) as session:
        run(session, Offline("offline", 4, 8))
        told = session.facts()["opgraph"]
    path = tmp_path / GRAPH_FILE
    assert told["sha256"] == file_digest(path)
    document = json.loads(path.read_bytes())
    assert document["schema"] == "accelbench.opgraph/1"
    assert {graph["phase"] for graph in document["graphs"]} == set(told["phases"]) == {"forward"}


def test_the_memory_of_a_device_is_what_its_allocator_tells(monkeypatch):
    """What it holds, and what tensors occupy."""
    from accelbench.adapters.engines.torch.session import TorchSession

    stats = {"reserved_bytes.all.current": 300, "allocated_bytes.all.current": 200}
    monkeypatch.setattr(torch.cuda, "memory_stats", lambda _device: stats)
    recorder = Recorder(WallClock())
    session = SimpleNamespace(_device=torch.device("cuda"))
    TorchSession._tell_memory(session, recorder)
    recorder.window(0, 1)
    counters = recorder.freeze("measured").table("counters").to_pylist()
    told = {row["name"]: row["value"] for row in counters if row["scope"] == "device"}
    assert told == {"device_memory.reserved": 300, "device_memory.allocated": 200}
    assert all(COUNTERS[row["name"]][0] == row["unit"] for row in counters)
