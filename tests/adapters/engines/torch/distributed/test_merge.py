"""One trace out of the traces of ranks."""

import pytest

from accelbench.adapters.engines.torch.distributed.merge import record
from accelbench.adapters.engines.torch.distributed.messages import Message
from accelbench.adapters.engines.torch.distributed.orders import Done
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.recorder import Recorder, WallClock
from accelbench.harness.schema.trace import TABLES, Target

TARGET = Target("accuracy", "test", 0.9)


def done(rank, messages, loss=1.0, late=0):
    """A rank that did two steps of 100 ns with a forward and a backward pass each."""
    recorder = Recorder(WallClock())
    recorder.window(0, 300)
    for number, start in enumerate((0, 100)):
        name = f"0.{number}"
        recorder.phase("input", "input", start, start + 10, request=name)
        recorder.phase(
            "forward",
            "forward",
            start + 10,
            start + 40 + late,
            request=name,
            flops=600.0,
            moved=60.0,
        )
        recorder.phase("backward", "backward", start + 40 + late, start + 90, request=name)
        recorder.phase("communication", "communication", start + 90, start + 95, request=name)
        recorder.request(name, start, start, start + 100, samples=8)
        recorder.evaluation("loss", "train", loss, 8, start + 100)
    recorder.evaluation("accuracy", "test", 0.95, 40, 250)
    trace = recorder.freeze("measured")
    tables = {name: trace.table(name) for name in TABLES}
    facts = {"bytes": {"weights": 10, "gradients": 10, "optimizer_state": 20}}
    return Done(rank, tables, (0, 300), TARGET, tuple(messages), facts, {}, 1000, None)


def reduced(*spans):
    """A gradient of 64 bytes in each step, from when it was issued to when it was done."""
    return [Message("all_reduce", None, start, end, 64) for start, end in spans]


def merged(ranks, **more):
    """The trace, and what was sent a step."""
    recorder = Recorder(WallClock())
    sent = record(ranks, recorder=recorder, **more)
    return recorder.freeze("measured"), sent


@pytest.fixture
def pair():
    """Two ranks; the second issues its gradients 10 ns after the first."""
    first = done(0, [*reduced((60, 85), (160, 185)), *reduced((210, 220))], loss=1.0)
    second = done(1, [*reduced((70, 86), (170, 186)), *reduced((210, 220))], loss=3.0)
    return first, second


def test_steps_are_the_leaders_with_the_samples_and_the_mean_loss_of_all(pair):
    """The row of a step, the loss of the whole batch, and the leader's evaluation."""
    trace, _ = merged(pair, leader=0, staged=False)
    requests, evals = (trace.table(name).to_pylist() for name in ("requests", "evals"))
    assert [(row["id"], row["samples"], row["done_ns"]) for row in requests] == [
        ("0.0", 16, 100),
        ("0.1", 16, 200),
    ]
    assert [(row["metric"], row["value"], row["n"]) for row in evals] == [
        ("loss", 2.0, 16),
        ("loss", 2.0, 16),
        ("accuracy", 0.95, 40),
    ]
    assert (trace.head.window_ns, trace.head.target) == ((0, 300), TARGET)


def test_a_part_that_was_cut_by_waits_keeps_its_flops_and_bytes():
    """In shares of its pieces; one that was all wait keeps them at its end."""
    from accelbench.adapters.engines.torch.distributed.merge import _phases

    row = {"name": "forward", "kind": "forward", "request": "0.0", "flops": 600.0, "bytes": 60.0}
    rows = [{**row, "start_ns": 10, "end_ns": 40}, {**row, "start_ns": 50, "end_ns": 60}]
    recorder = Recorder(WallClock())
    recorder.window(0, 100)
    _phases("rank:0", rows, [(20, 25), (30, 35), (50, 60)], recorder)
    told = recorder.freeze("measured").table("phases").to_pylist()
    assert [(one["start_ns"], one["end_ns"]) for one in told] == [
        (10, 20),
        (25, 30),
        (35, 40),
        (60, 60),
    ]
    assert [one["flops"] for one in told] == [300, 150, 150, 600]
    assert [one["bytes"] for one in told] == [30, 15, 15, 60]


def test_what_a_stage_waited_is_no_computation_and_no_communication_before_the_other_came(pair):
    """The first rank computes to 60, waits to 70, and communicates to 85."""
    trace, _ = merged(pair, leader=0, staged=False)
    rows = [
        (row["name"], row["start_ns"], row["end_ns"])
        for row in trace.table("phases").to_pylist()
        if row["device"] == "rank:0" and row["request"] == "0.0"
    ]
    assert rows == [
        ("input", 0, 10),
        ("forward", 10, 40),
        ("backward", 40, 60),
        ("wait", 60, 70),
        ("all_reduce", 70, 85),
        ("backward", 85, 90),
    ]


def test_metrics_tell_volume_waits_and_what_was_exposed(pair):
    """All of it was, as nothing was computed meanwhile; what came after the steps is left out."""
    trace, sent = merged(pair, leader=0, staged=False)
    found = {name: item.value for name, item in measure(trace, None).items()}
    assert sent == {"all_reduce": {"calls": 1.0, "bytes": 64.0}}
    assert found["communication.volume"] == 64
    assert found["communication.overlap"] == 0
    assert found["communication.exposed"] == pytest.approx((15 + 16) / 2 / 100)
    assert found["communication.wait"] == pytest.approx(10 / 2 / 100)
    assert found["train.share.communication"] == pytest.approx((15 + 16) / 2 / 100)
    assert found["memory.training.weights"] == 20
    assert found["memory.peak"] == 2000


def test_the_steps_of_stages_are_those_of_the_last_one():
    """All samples went through it, and it alone knows the loss; its sends count."""
    sends = [Message("send", 1, 50, 60, 32, waited=((50, 60),))]
    gets = [Message("recv", 0, 55, 58, 0, waited=((55, 58),))]
    trace, sent = merged(
        (done(0, sends, loss=float("nan")), done(1, gets, loss=0.5)), leader=1, staged=True
    )
    assert [row["samples"] for row in trace.table("requests").to_pylist()] == [8, 8]
    assert trace.table("evals").to_pylist()[0]["value"] == 0.5
    assert sent == {"send": {"calls": 0.5, "bytes": 16.0}}
    rows = trace.table("phases").to_pylist()
    moved = [
        (row["device"], row["start_ns"], row["end_ns"])
        for row in rows
        if row["name"] in ("send", "recv")
    ]
    assert moved == [("rank:0", 55, 58), ("rank:1", 55, 58)]
