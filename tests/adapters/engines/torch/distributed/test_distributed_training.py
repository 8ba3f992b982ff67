"""Real training by two processes, against the same training by one."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from itertools import islice
from pathlib import Path

import psutil
import pytest

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.harness.errors import TrialError
from accelbench.harness.load.training import WEIGHTS_FILE
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.mlp import Mlp

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

pytestmark = pytest.mark.torch

MLP = Mlp(width=32, depth=3)
BATCH, SEED, STEPS = 64, 4, 22
ONE_EPOCH = TrainToTarget("train_to_target", "accuracy", 1.0, BATCH, 1)
ENDLESS = TrainToTarget("train_to_target", "accuracy", 1.0, BATCH, 100_000)


@pytest.fixture(scope="module")
def alone():
    """Losses, accuracy and weights of one process, without any of this adapter's code."""
    model = MLP.model(None, SEED)
    run = MLP.training(model, BATCH, SEED, Practice())
    losses = [
        float(run.step(batch, lambda _: None).loss) for batch in islice(run.batches(0), STEPS)
    ]
    return losses, run.evaluate()[0].value, model.state_dict()


def check(alone, adapter, task, run, folder):
    """Trains for an epoch, holds it against one process, and returns trace and facts."""
    losses, accuracy, weights = alone
    with adapter.open(task(MLP)) as session:
        trace = run(session, ONE_EPOCH, seed=SEED)
        facts = session.facts()
    evals = trace.table("evals").to_pylist()
    found = [row["value"] for row in evals if row["metric"] == "loss"]
    assert found == pytest.approx(losses, rel=1e-4, abs=1e-5)
    (last,) = [row["value"] for row in evals if row["metric"] == "accuracy"]
    assert last == pytest.approx(accuracy, abs=0.01)
    kept = MLP.model(folder / WEIGHTS_FILE, 0).state_dict()
    assert kept.keys() == weights.keys()
    for name, tensor in weights.items():
        assert torch.allclose(kept[name], tensor, rtol=1e-3, atol=1e-4)
    samples = [row["samples"] for row in trace.table("requests").to_pylist()]
    assert samples == [BATCH] * STEPS
    return trace, facts


def check_flops(trace, facts, *, staged, microbatches):
    """FLOPs of all ranks are those of the batches; a stage says why its own are not known."""
    phases = [row for row in trace.table("phases").to_pylist() if row["kind"] == "backward"]
    if staged:
        assert {row["flops"] for row in phases} == {None}
        assert facts["flops_counting"].startswith("not told: ")
        return
    parts = facts["devices"] * microbatches
    once = MLP.lower("train.backward", BATCH // parts, 1, 0).flops
    assert sum(row["flops"] for row in phases) == pytest.approx(STEPS * parts * once)


def test_two_ranks_learn_what_one_process_learns(alone, task, run, tmp_path):
    """With gradients that are averaged; what they sent is told to the byte."""
    trace, facts = check(alone, TorchDistributedAdapter(), task, run, tmp_path)
    bytes_of_model = 4 * facts["parameters"]
    assert facts["communication"]["per_step"]["all_reduce"]["bytes"] == bytes_of_model
    devices = {row["device"] for row in trace.table("phases").to_pylist()}
    assert {"rank:0", "rank:1"} <= devices
    found = {name: item.value for name, item in measure(trace, None).items()}
    assert found["communication.volume"] >= bytes_of_model
    assert 0 < found["communication.exposed"] < 1
    assert 0 <= found["communication.overlap"] < 1
    assert found["memory.training.weights"] == 2 * bytes_of_model
    once = MLP.lower("train.forward", BATCH // 2, 1, 0).flops
    flops = [row["flops"] for row in trace.table("phases").to_pylist() if row["kind"] == "forward"]
    assert sum(flops) == pytest.approx(2 * STEPS * once)
    assert facts["precision_map"]["optimizer_state"] == "float32"
    assert facts["training"]["done"] == {"epochs": 1, "steps": STEPS}
    assert found["communication.bandwidth"] > 0
    assert found["communication.latency"] > 0
    shares = ("input", "forward", "backward", "communication", "optimizer")
    assert 0.2 < sum(found[f"train.share.{part}"] for part in shares) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "held"),
    [
        ({"devices": 1}, ((1, 1, 2), (1, 1, 2))),
        ({"overlap": False, "microbatches": 2}, ((2, 2, 4), (1, 1, 2))),
        ({"zero_stage": 1}, ((2, 2, 2), (1, 1, None))),
        ({"strategy": "fsdp", "zero_stage": 2, "microbatches": 2}, ((1, 1, 2), (0.5, 0.5, 1))),
        ({"strategy": "fsdp"}, ((1, 1, 2), (0.5, 0.5, 1))),
        ({"strategy": "pipeline", "microbatches": 4}, ((1, 1, 2), (None, None, None))),
    ],
)
def test_every_way_learns_the_same_and_shares_out_what_it_says(
    options, held, alone, task, run, tmp_path
):
    """Weights, gradients and moments, over both ranks and of each, in sizes of the model."""
    trace, facts = check(alone, TorchDistributedAdapter(**options), task, run, tmp_path)
    found = {name: item.value for name, item in measure(trace, None).items()}
    size = 4 * facts["parameters"]
    parts = ("weights", "gradients", "optimizer_state")
    told = tuple(found[f"memory.training.{part}"] / size for part in parts)
    both, each_rank = held
    assert told == pytest.approx(both, rel=0.05)
    rows = trace.table("counters").to_pylist()
    for part, each in zip(parts, each_rank, strict=True):
        ranks = {row["scope"]: row["value"] / size for row in rows if row["name"] == part}
        assert len([row for row in rows if row["name"] == part]) == len(ranks)
        assert len(ranks) == facts["devices"]
        assert each is None or list(ranks.values()) == pytest.approx([each] * len(ranks), rel=0.05)
    staged = options.get("strategy") == "pipeline"
    assert [row["name"] for row in rows].count("activations") == (0 if staged else len(ranks))
    check_flops(trace, facts, staged=staged, microbatches=options.get("microbatches", 1))
    if options.get("overlap") is False:
        assert found["communication.overlap"] == 0
    if options.get("strategy") == "pipeline":
        assert found["pipeline.bubble"] == pytest.approx(1 / 5)
        assert 0 < found["pipeline.idle_share"] < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strike", "why"), [(signal.SIGKILL, "rank 1 ended with signal 9"), (signal.SIGSTOP, "rank 1")]
)
def test_a_rank_that_dies_or_hangs_ends_the_trial_and_nothing_is_left(strike, why, task, run):
    """Its reason names the rank; the next trial of the session has new ranks and goes well."""
    adapter = TorchDistributedAdapter(patience_s=4.0)
    with adapter.open(task(MLP)) as session:
        victims = dict(session._ranks._processes)
        threading.Timer(2.0, lambda: victims[1].send_signal(strike)).start()
        with pytest.raises(TrialError, match=why):
            run(session, ENDLESS)
        assert not [one for one in victims.values() if one.is_running()]
        assert run(session, ONE_EPOCH).table("requests").num_rows == STEPS
        started = list(session._ranks._processes.values())
    assert not [one for one in started if one.is_running()]


@pytest.mark.slow
def test_a_killed_parent_leaves_no_rank_behind():
    """Its ranks find out by themselves, and no folder; no port was open to a network."""
    owner = f"""
    import sys, time
    from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
    from accelbench.harness.schema.platform import Platform
    from accelbench.harness.schema.protocols import Task
    from accelbench.suites.workloads.classifiers.mlp import Mlp

    sheet = Platform("here", "this machine", "cpu", {{}}, (), None, None, (), ("none",))
    with TorchDistributedAdapter().open(Task({MLP!r}, sheet, None, 1)) as session:
        print(*(one.pid for one in session._ranks._processes.values()), flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(owner)], stdout=subprocess.PIPE, text=True
    ) as process:
        line = ""
        while not line.replace(" ", "").strip().isdigit():
            line = process.stdout.readline()
        ranks = [psutil.Process(int(word)) for word in line.split()]
        torchrun = ranks[0].parent()
        folder = Path(ranks[0].cmdline()[-1]).parent
        assert folder.exists()
        listening = [
            one.laddr.ip
            for each in (*ranks, torchrun)
            for one in each.net_connections("inet")
            if one.status == psutil.CONN_LISTEN
        ]
        os.kill(process.pid, signal.SIGKILL)
    assert set(listening) <= {"127.0.0.1", "::1"}
    _, left = psutil.wait_procs([*ranks, torchrun], timeout=15)
    assert [one for one in left if one.status() != psutil.STATUS_ZOMBIE] == []
    assert not folder.exists()


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch, task, run):
    """Before the ranks are told."""
    from accelbench.adapters.engines.torch.distributed import session as sessions

    monkeypatch.setattr(sessions.DistributedSession, "_started", lambda _: None)
    with (
        TorchDistributedAdapter(microbatches=3).open(task(MLP)) as session,
        pytest.raises(TrialError, match="64 cannot be cut into 6 equal parts"),
    ):
        run(session, ONE_EPOCH)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # PyTorch, as it is imported
def test_what_the_loss_asks_the_model_is_found_out():
    """Without the model; the blocks that stages begin with are as many in each."""
    from accelbench.adapters.engines.torch.distributed.pipeline import cuts, inputs_of

    model = MLP.model(None, 0)
    taught = MLP.training(model, BATCH, SEED, Practice())
    part = next(iter(taught.batches(0)))[0]
    (images,), named = inputs_of(taught.lesson, part)
    assert (len(images), named) == (BATCH, {})
    assert cuts(model, list(model.blocks), 3) == ["blocks.1", "blocks.2"]
    with pytest.raises(TrialError, match="3 blocks, which are not enough for 4 stages"):
        cuts(model, list(model.blocks), 4)
