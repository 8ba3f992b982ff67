"""vLLM itself on a small decoder: offline, as a server, and when its owner is killed."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from accelbench.adapters.engines.vllm.offline import VllmAdapter
from accelbench.adapters.engines.vllm.server import VllmServerAdapter
from accelbench.harness.errors import TrialError
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.scenario import ClosedLoop, Offline, OpenLoop
from accelbench.suites.workloads.language.decoder import Decoder

if find_spec("vllm") is None:
    pytest.skip("vLLM is not installed", allow_module_level=True)

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    # What vLLM and the libraries it loads warn of is not ours to mend.
    pytest.mark.filterwarnings("default"),
]

QUICK = {"dtype": "fp32", "max_num_seqs": 4, "enforce_eager": True, "omp_threads": 1}
SHARING = Decoder(words="random", prompt_tokens=160, output_tokens=8, shared_prefix_tokens=130)
OWNER = """
import sys
from pathlib import Path
from accelbench.adapters.engines.vllm.launch import await_answer, free_port, running
from accelbench.adapters.engines.vllm.server import VllmServerAdapter, command

adapter, port = VllmServerAdapter(dtype="fp32", max_num_seqs=4, kv_cache_gb=0.05), free_port()
line = command(adapter, Path(sys.argv[1]), port, 3)
with running(line, adapter.environment(), ()) as server:
    first = {"model": "accelbench", "prompt": [1], "max_tokens": 1}
    await_answer(server, f"http://127.0.0.1:{port}/v1/completions", first, 300)
    print("ready", flush=True)
    server.wait(600)
"""


def _counted(trace):
    """The largest value of each counter."""
    found: dict[str, float] = {}
    for row in trace.tables["counters"].to_pylist():
        found[row["name"]] = max(row["value"], found.get(row["name"], 0.0))
    return found


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """The decoder as a server reads it."""
    return SHARING.export(tmp_path_factory.mktemp("model"))


def test_the_offline_engine_tells_queue_prefill_decode_and_speculation(task, run):
    """With room for five blocks requests are put back; drafts are counted; parts add up."""
    builder = Decoder(words="random", prompt_tokens=120, output_tokens=24)
    adapter = VllmAdapter(
        **QUICK,
        kv_cache_gb=0.0028,
        enable_prefix_caching=False,
        speculative={"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4},
    )
    with adapter.open(task(builder)) as session:
        facts = session.facts()
        batch = run(session, Offline(kind="offline", samples=8, batch_size=4), warmup=2)
        closed = run(session, ClosedLoop(kind="closed_loop", concurrency=2, requests=6))
        rate = Poisson(kind="poisson", rate_per_s=20)
        opened = run(session, OpenLoop(kind="open_loop", arrivals=rate, requests=6, tail=2))
    for trace in (batch, closed, opened):
        for row in trace.tables["requests"].to_pylist():
            assert row["output_tokens"] == 24
            assert row["due_ns"] <= row["sent_ns"] <= row["queue_exit_ns"]
            assert row["queue_exit_ns"] < row["prefill_end_ns"] < row["done_ns"]
    measured = measure(batch, None)
    for name in ("queue.time.mean", "prefill.time.mean", "decode.time.mean", "tp.system"):
        assert measured[name].value > 0
    assert 0 < measured["speculation.acceptance"].value <= 1
    counted = _counted(batch)
    assert counted["preemptions"] >= 1
    assert counted["kv.usage"] == 1.0
    assert counted["requests.running"] >= 2
    assert batch.head.kv.block_tokens == facts["kv_cache"]["block_size"]
    assert facts["kv_cache"]["blocks"] == 5
    assert facts["attention"]["implementation"] == "CPU_ATTN"
    assert os.environ.get("VLLM_ENABLE_V1_MULTIPROCESSING") is None


def test_the_server_is_loaded_watched_and_ended(task, run, monkeypatch):
    """Requests, cached tokens and the server's own counts agree; nothing is left of it."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "64")
    adapter = VllmServerAdapter(**QUICK, kv_cache_gb=0.05)
    with adapter.open(task(SHARING)) as session:
        (keeper,) = session.facts()["server_processes"]
        pids = [keeper, *(one.pid for one in psutil.Process(keeper).children(recursive=True))]
        first = run(session, ClosedLoop(kind="closed_loop", concurrency=2, requests=12))
        second = run(session, Offline(kind="offline", samples=6, batch_size=2), warmup=2)
        facts = session.facts()
    assert len(pids) >= 4
    assert not any(psutil.pid_exists(pid) for pid in pids)
    for trace in (first, second):
        rows = trace.tables["requests"].to_pylist()
        assert {row["status"] for row in rows} == {"ok"}
        assert {(row["input_tokens"], row["output_tokens"]) for row in rows} == {(160, 8)}
        assert rows[0]["cached_input_tokens"] == 0  # emptied before the trial
        assert rows[-1]["cached_input_tokens"] == 128
        counted = _counted(trace)
        assert 0 < counted["prefix_cache.hit"] < counted["prefix_cache.queried"]
        assert counted["preemptions"] == 0
    assert facts["kv_cache"]["block_size"] == 128
    assert facts["kv_cache"]["blocks"] == 95
    assert facts["watching"]["missed"] == 0
    assert facts["server"]["version"] in facts["framework"]


def test_a_server_that_cannot_start_says_why(task):
    """The cause of vLLM's end is the one line of ours."""
    adapter = VllmServerAdapter(**QUICK, extra_args=("--block-size=many",))
    wrong = adapter.open(task(SHARING))
    with pytest.raises(TrialError, match=r"ended with exit code 2 while loading: .*--block-size"):
        wrong.__enter__()


def test_an_owner_that_is_killed_leaves_nothing_of_vllm(model):
    """The server, its engine and its workers go when their owner is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as owner:
        said = []
        for line in owner.stdout:
            said.append(line)
            if line == "ready\n":
                break
        family = psutil.Process(owner.pid).children(recursive=True)
        names = [one.name() for one in family]
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        _, left = psutil.wait_procs(family, timeout=15)
    assert len(names) >= 4, "".join(said)
    assert not [one for one in left if one.status() != psutil.STATUS_ZOMBIE]
