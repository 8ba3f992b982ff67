"""Options of vLLM, as its own command line and environment take them."""

import json
from pathlib import Path

import pytest

from accelbench.adapters.engines.vllm.offline import VllmAdapter
from accelbench.adapters.engines.vllm.options import MODEL

FOLDER = Path("/models/mine")


def arguments(**options):
    """The command line of an engine, by flag."""
    told = VllmAdapter(**options).arguments(FOLDER, 3)
    return dict(part.partition("=")[::2] for part in told)


def test_what_is_left_to_vllm_is_not_on_its_command_line():
    """Its own defaults stay its own."""
    told = arguments(kv_cache_gb=None)
    assert told == {
        "--model": "/models/mine",
        "--served-model-name": MODEL,
        "--dtype": "bfloat16",
        "--seed": "3",
        "--tensor-parallel-size": "1",
        "--generation-config": "vllm",
        "--enable-prefix-caching": "",
        "--enforce-eager": "",
    }


@pytest.mark.parametrize(
    ("option", "value", "flag", "expected"),
    [
        ("dtype", "fp32", "--dtype", "float32"),
        ("max_model_len", 512, "--max-model-len", "512"),
        ("max_num_seqs", 4, "--max-num-seqs", "4"),
        ("max_num_batched_tokens", 64, "--max-num-batched-tokens", "64"),
        ("gpu_memory_utilization", 0.5, "--gpu-memory-utilization", "0.5"),
        ("kv_cache_dtype", "fp8", "--kv-cache-dtype", "fp8"),
        ("kv_cache_gb", 0.05, "--kv-cache-memory-bytes", "50000000"),
        ("block_size", 32, "--block-size", "32"),
        ("quantization", "awq", "--quantization", "awq"),
        ("tensor_parallel_size", 2, "--tensor-parallel-size", "2"),
        ("enable_prefix_caching", False, "--no-enable-prefix-caching", ""),
        ("enforce_eager", False, "--no-enforce-eager", ""),
        ("extra_args", ("--swap-space=4",), "--swap-space", "4"),
    ],
)
def test_each_option_is_one_of_vllms_flags(option, value, flag, expected):
    """By vLLM's name and in vLLM's unit."""
    assert arguments(**{option: value})[flag] == expected


def test_drafting_is_told_as_json():
    """As vLLM's --speculative-config; without it nothing is drafted."""
    wanted = {"method": "ngram", "num_speculative_tokens": 3}
    assert json.loads(arguments(speculative=wanted)["--speculative-config"]) == wanted
    assert "--speculative-config" not in arguments()


def test_the_environment_keeps_vllm_at_home_and_to_its_threads():
    """No statistics of use, no model hub; and as many threads as asked, bound by nobody."""
    told = VllmAdapter(omp_threads=2).environment()
    assert (told["VLLM_NO_USAGE_STATS"], told["HF_HUB_OFFLINE"]) == ("1", "1")
    assert told["OMP_NUM_THREADS"] == "2"
    assert told["VLLM_CPU_OMP_THREADS_BIND"] == "nobind"
    assert "OMP_NUM_THREADS" not in VllmAdapter(omp_threads=None).environment()


@pytest.mark.parametrize(
    ("dtype", "kept", "expected"),
    [
        ("fp32", "auto", 4.0),
        ("bf16", "auto", 2.0),
        ("fp32", "bfloat16", 2.0),
        ("bf16", "fp8_e4m3", 1.0),
        ("bf16", "int8_per_token_head", 1.0),
        ("bf16", "int4_per_token_head", 0.5),
    ],
)
def test_an_element_of_keys_and_values_has_the_size_of_its_format(dtype, kept, expected):
    """That of the arithmetic where it has no format of its own."""
    assert VllmAdapter(dtype=dtype, kv_cache_dtype=kept).kv_element_bytes() == expected


@pytest.mark.parametrize(
    "options",
    [
        {"max_num_seqs": 0},
        {"max_model_len": 0},
        {"max_num_batched_tokens": 0},
        {"block_size": 0},
        {"tensor_parallel_size": 0},
        {"omp_threads": 0},
        {"kv_cache_gb": 0.0},
        {"gpu_memory_utilization": 0.0},
        {"gpu_memory_utilization": 1.5},
        {"kv_cache_dtype": "nvfp4"},
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_runs(options):
    """Counts from 1 on, sizes above 0, a share up to 1, a format whose size is known."""
    with pytest.raises(ValueError, match=next(iter(options))):
        VllmAdapter(**options)
