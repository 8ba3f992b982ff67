"""How the adapter reads vLLM's outputs and configuration, on stand-ins for its objects."""

import os
import time
from types import SimpleNamespace as Bag

import pytest

from accelbench.adapters.engines.vllm import engine as module
from accelbench.adapters.engines.vllm.counts import Counts
from accelbench.adapters.engines.vllm.engine import VllmSession, progress, told
from accelbench.adapters.engines.vllm.loop import Ended
from accelbench.adapters.engines.vllm.offline import VllmAdapter
from accelbench.adapters.engines.vllm.options import EngineOptions
from accelbench.harness.schema.scenario import Offline, TrainToTarget
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.requests.served import Served


def _output(tokens, finished=False, metrics=None):
    return Bag(
        request_id="7",
        outputs=[Bag(token_ids=tokens)],
        finished=finished,
        metrics=metrics,
        num_cached_tokens=5,
    )


def _engine(backend=None, device="cpu", resets=None):
    """What is read of vLLM's engine."""
    config = Bag(
        device_config=Bag(device_type=device),
        attention_config=Bag(backend=backend),
        compilation_config=Bag(mode=Bag(name="NONE"), backend="", compilation_time=0.0),
        scheduler_config=Bag(
            enable_chunked_prefill=True, max_num_seqs=4, max_num_batched_tokens=2048
        ),
        cache_config=Bag(enable_prefix_caching=True, block_size=32, num_gpu_blocks=9),
        model_config=Bag(quantization=None),
    )
    resets = resets if resets is not None else []
    return Bag(vllm_config=config, reset_prefix_cache=lambda: resets.append(1) or True)


def test_an_output_in_between_brings_tokens_alone():
    """Only the last output of a request tells of its stamps."""
    found = progress(_output([1, 2]))
    assert (found.number, found.tokens, found.ended, found.ids) == (7, 2, None, [1, 2])


def test_the_last_output_brings_the_stamps_in_nanoseconds():
    """Seconds of the monotonic clock, which is the recorder's."""
    found = progress(_output([1], finished=True, metrics=Bag(scheduled_ts=2.5, first_token_ts=3.0)))
    assert found.ended == Ended(2_500_000_000, 3_000_000_000, 5)


def test_both_clocks_are_one_here():
    """The stamps of vLLM need no conversion on Linux."""
    before = time.perf_counter()
    assert before <= time.monotonic() <= time.perf_counter()
    assert module._ONE_CLOCK


@pytest.mark.parametrize("metrics", [None, Bag(scheduled_ts=0.0, first_token_ts=0.0)])
def test_stamps_that_were_not_made_are_absent(metrics):
    """Without statistics, or with 0 for none, there is no instant."""
    assert progress(_output([1], finished=True, metrics=metrics)).ended == Ended(None, None, 5)


@pytest.mark.torch
def test_the_configuration_tells_the_set_up():
    """Block size, blocks and scheduling are the engine's own."""
    found = told(_engine())
    assert (found.device, found.attention, found.compilation) == ("cpu", "CPU_ATTN", "none: eager")
    assert (found.block_size, found.blocks, found.max_num_batched_tokens) == (32, 9, 2048)
    assert found.instruction_set
    assert found.compile_s is None
    assert told(_engine(Bag(name="FLASH_ATTN"), "cuda")).attention == "FLASH_ATTN"


@pytest.mark.torch
def test_a_trial_begins_with_an_empty_prefix_cache(task, run, monkeypatch):
    """The cache is emptied before a trial, blocks are vLLM's, and weights are counted."""
    resets, order = [], []

    class Stepped:
        """Answers everything at once."""

        def __init__(self, _engine):
            self.given = []

        def add(self, number, prompt):
            """Takes a request."""
            order.append(len(resets))
            self.given.append((number, prompt.output_tokens))

        def step(self):
            """Ends all of them."""
            done = [module.Progress(n, count, Ended(None, None, 0)) for n, count in self.given]
            self.given = []
            return done

        def wait_until_ns(self, _at_ns):
            """There is nothing to wait for."""
            raise AssertionError

    monkeypatch.setattr(module, "VllmEngine", Stepped)
    builder = Decoder(hidden=32, layers=1, heads=2, kv_heads=1, intermediate=32, output_tokens=2)
    session = VllmSession(
        EngineOptions(dtype="fp32"), task(builder), _engine(resets=resets), Counts()
    )
    trace = run(session, Offline(kind="offline", samples=2, batch_size=2))
    assert order == [1, 1, 1, 1]
    assert trace.head.kv.block_tokens == 32
    weights = builder.facts()["parameters"] * 4
    rows = trace.tables["counters"].to_pylist()
    assert [row["value"] for row in rows if row["name"] == "weights"] == [weights]
    assert [row["value"] for row in rows if row["name"] == "kv.capacity"] == [9 * 32]
    facts = session.facts()
    assert facts["tokens"]["output"] == {"2": 2}
    assert facts["attention"]["implementation"] == "CPU_ATTN"


def test_the_environment_is_as_it_was(monkeypatch):
    """What vLLM needs is set for the session alone, and what goes before our options is away."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("NEW_ONE", raising=False)
    with module._environment({"OMP_NUM_THREADS": "1", "NEW_ONE": "x"}):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["NEW_ONE"]) == ("1", "x")
        assert "VLLM_CPU_KVCACHE_SPACE" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert os.environ["VLLM_CPU_KVCACHE_SPACE"] == "7"
    assert "NEW_ONE" not in os.environ


def test_it_generates_and_does_nothing_else():
    """Other workloads and training are refused in words."""
    adapter = VllmAdapter()
    offline = Offline(kind="offline", samples=2, batch_size=1)
    assert adapter.supports(Decoder(), offline) is None
    assert "generates tokens" in adapter.supports(Cnn(), offline)
    training = TrainToTarget(
        kind="train_to_target", metric="accuracy", target=0.9, batch_size=1, max_epochs=1
    )
    assert "train" in adapter.supports(Decoder(), training)
    assert "files" in adapter.supports(Served("m"), offline)
