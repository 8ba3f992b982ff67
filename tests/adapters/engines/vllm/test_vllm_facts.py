"""What vLLM says becomes facts of the record."""

from dataclasses import replace

import pytest

from accelbench.adapters.engines.vllm.facts import (
    Told,
    compiled_as,
    emptied,
    engine_facts,
    from_log,
    kv_capacity,
    padding,
    telling,
)
from accelbench.adapters.engines.vllm.options import EngineOptions
from accelbench.harness.errors import TrialError

CRASH = """\
(EngineCore pid=2) ERROR 11-24 13:00:47 [core.py:1] EngineCore failed to start.
(EngineCore pid=2) ERROR 11-24 13:00:47 [core.py:1]   File "x.py", line 3, in f
(EngineCore pid=2) ERROR 11-24 13:00:47 [core.py:1] ValueError: No available memory for the blocks.
(APIServer pid=1) Traceback (most recent call last):
(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above.
[W1124 13:00:48 utils.cpp:68] Warning: something
"""


def test_the_telling_line_is_the_cause():
    """An error that only follows another one is passed over, and so is what came later."""
    assert telling(CRASH.splitlines()) == "ValueError: No available memory for the blocks."


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["usage: x", "api_server.py: error: argument --block-size: bad", ""], "bad"),
        (["a", "RuntimeError: Engine core initialization failed."], "initialization failed"),
        (["INFO one", "the last words", ""], "the last words"),
        ([], "it said nothing"),
    ],
)
def test_a_log_without_a_cause_tells_its_best(lines, told):
    """What argparse says, then what follows, then the last line."""
    assert told in telling(lines)


def test_a_log_tells_how_the_engine_is_set_up(log):
    """Device, compilation and scheduling stand in the line of the configuration."""
    told = from_log(log)
    assert told.device == "cpu"
    assert told.attention == "CPU_ATTN"
    assert told.compilation == "none: eager"
    assert told.chunked_prefill is True
    assert told.quantization is None


def test_a_log_of_a_gpu_names_its_attention_and_what_compiling_took():
    """The backend that vLLM chose, and the time of torch.compile."""
    told = from_log(
        [
            "Using FLASH_ATTN attention backend out of potential backends: ['FLASH_ATTN']",
            "Initializing with config: quantization=fp8, device_config=cuda",
            "compilation_config={'mode': <CompilationMode.VLLM_COMPILE: 3>, 'backend': 'inductor'",
            "torch.compile took 12.34 s in total",
            "Chunked prefill is enabled with max_num_batched_tokens=8192.",
        ]
    )
    assert told.attention == "FLASH_ATTN"
    assert told.compilation == "torch.compile, inductor (vllm_compile)"
    assert (told.compile_s, told.max_num_batched_tokens) == (12.34, 8192)
    assert told.quantization == "fp8"


def test_a_silent_log_tells_nothing():
    """What was not told is None, not a guess."""
    assert from_log([]) == Told()
    assert compiled_as(None, None) is None


def test_the_checklist_finds_scheduler_cache_and_attention(log):
    """The facts that INF-27, 28, 29 and 36 ask for."""
    told = replace(from_log(log), block_size=128, blocks=95)
    facts = engine_facts(EngineOptions(max_num_seqs=4), told)
    assert facts["scheduler"]["max_num_seqs"] == 4
    assert facts["kv_cache"]["block_size"] == 128
    assert {"policy", "compressed", "recomputed", "offloaded"} <= set(facts["kv_cache"])
    assert set(facts["attention"]) == {"implementation", "library"}
    assert facts["compile_path"] == "eager"
    assert facts["accelerator"]["cores"]
    assert "speculative" not in facts


def test_what_the_cache_has_room_for_is_told(log):
    """The figure of vLLM itself, which knows of windows; else blocks times their size; else nothing."""
    told = replace(from_log(log), block_size=128, blocks=95)
    assert kv_capacity(replace(told, capacity=9000)) == 9000
    assert kv_capacity(told) == 95 * 128
    assert kv_capacity(replace(told, blocks=None)) is None
    assert engine_facts(EngineOptions(), told)["kv_cache"]["capacity_tokens"] == 95 * 128


def test_no_prefix_caching_and_speculation_are_told(log):
    """INF-34 and 35: that there is no cache, and how tokens are drafted."""
    options = EngineOptions(enable_prefix_caching=False, speculative={"method": "ngram"})
    facts = engine_facts(options, from_log(log))
    assert "no_prefix_caching" in facts["kv_cache"]
    assert facts["speculative"] == {"method": "ngram"}


def test_a_cache_that_the_engine_does_without_is_not_claimed(log):
    """What the engine told goes before what was asked for."""
    told = replace(from_log(log), prefix_caching=False)
    assert "no_prefix_caching" in engine_facts(EngineOptions(), told)["kv_cache"]


def test_what_is_unknown_is_left_out():
    """No fact of the record is None where the engine kept silent."""
    facts = engine_facts(EngineOptions(), Told())
    assert None not in {**facts["scheduler"], **facts["kv_cache"]}.values()
    assert "implementation" not in facts["attention"]
    assert "compilation" not in facts
    assert "accelerator" not in facts


def test_narrow_keys_and_values_are_compressed(log):
    """Eight bits an element are fewer than the arithmetic has."""
    facts = engine_facts(EngineOptions(kv_cache_dtype="fp8"), from_log(log))
    assert facts["kv_cache"]["compressed"] is True
    assert facts["precision_map"]["kv"] == "fp8"


def test_a_cache_that_was_not_emptied_ends_the_trial():
    """Else its facts would not be true."""
    emptied(success=True)
    with pytest.raises(TrialError, match="could not be emptied"):
        emptied(success=False)


def test_graphs_pad_batches():
    """Without padding its share is 0; where graphs are captured nobody counts it."""
    assert padding(Told(device="cpu"))["share"] == 0.0
    assert "share" not in padding(Told(device="cuda", compilation="torch.compile"))
