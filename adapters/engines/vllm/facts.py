"""What vLLM tells of itself, for the record: from its log, its metrics or its configuration."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelbench.adapters.engines.vllm.options import (
    DTYPES,
    EngineOptions,
    installed,
    usable_processors,
)
from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.reading import LINUX
from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain

_PREFIX = re.compile(r"^\s*(\([^()]* pid=\d+\)\s*)*((ERROR|WARNING|INFO) \S+ \S+ \[[^\]]*\]\s*)?")
_ERROR = re.compile(r"^[\w.]*(Error|Exception|Exit)\b.*: *\S|: error: ")
_FOLLOWS = ("Engine core initialization failed", "See root cause", "initialization failed")


@dataclass(frozen=True)
class Told:
    """What an engine told of its set-up; None for what it did not.

    Attributes:
        device: "cpu", "cuda" ...
        attention: The implementation of attention.
        compilation: How the model is compiled; "none: eager" for not at all.
        chunked_prefill: Whether a long prompt is computed in parts, beside others.
        prefix_caching: Whether prompts find what others have computed.
        block_size: Tokens in a block of keys and values.
        blocks: How many blocks there are.
        capacity: Tokens whose keys and values fit, as vLLM reckons it.
        max_num_seqs: Most requests in a batch.
        max_num_batched_tokens: Most tokens of a step.
        compile_s: What compiling took, seconds.
        quantization: Method of quantised weights.
        instruction_set: Widest one that PyTorch's kernels use on this processor.
    """

    device: str | None = None
    attention: str | None = None
    compilation: str | None = None
    chunked_prefill: bool | None = None
    prefix_caching: bool | None = None
    block_size: int | None = None
    blocks: int | None = None
    capacity: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    compile_s: float | None = None
    quantization: str | None = None
    instruction_set: str | None = None


def telling(lines: Sequence[str]) -> str:
    """The line of a log that says best why a server ended.

    That is the last one that names an error which is not the consequence of another, else the
    last one that is not empty.

    Args:
        lines: The log.
    """
    bare = [text for line in lines if (text := _PREFIX.sub("", line).strip())]
    errors = [line for line in bare if _ERROR.search(line)]
    causes = [line for line in errors if not any(word in line for word in _FOLLOWS)]
    return next((found[-1] for found in (causes, errors, bare) if found), "it said nothing")


def from_log(lines: Sequence[str]) -> Told:
    """What a server's log tells of its set-up.

    Args:
        lines: The log, from the start of the server on.
    """
    text = "\n".join(lines)
    device = _found(r"device_config=(\w+)", text)
    mode = _found(r"'mode': <CompilationMode\.(\w+)", text)
    backend = _found(r"compilation_config=\{.*?'backend': '(\w+)'", text)
    chunked = _found(r"enable_chunked_prefill=(True|False)", text)
    tokens = _found(r"Chunked prefill is enabled with max_num_batched_tokens=(\d+)", text)
    attention = _found(r"Using (\w+) (?:attention )?backend", text)
    quantization = _found(r"[( ]quantization=(\w+)", text)
    compile_s = _found(
        r"torch\.compile (?:and initial profiling/warmup run )?took ([\d.]+) s", text
    )
    return Told(
        device=device,
        attention=attention or ("CPU_ATTN" if device == "cpu" else None),
        compilation=compiled_as(mode, backend),
        chunked_prefill=None if chunked is None else chunked == "True",
        max_num_batched_tokens=int(tokens) if tokens else None,
        compile_s=float(compile_s) if compile_s else None,
        quantization=None if quantization == "None" else quantization,
    )


def compiled_as(mode: str | None, backend: str | None) -> str | None:
    """How a model is compiled, in words.

    Args:
        mode: vLLM's compilation mode.
        backend: The compiler behind it.
    """
    if mode is None:
        return None
    return "none: eager" if mode == "NONE" else f"torch.compile, {backend} ({mode.lower()})"


def engine_facts(options: EngineOptions, told: Told) -> dict[str, Plain]:
    """The set-up of an engine, as both ways of running vLLM tell it.

    Args:
        options: What was asked for.
        told: What the engine told.
    """
    return {
        "framework": installed(),
        "device": told.device,
        "dtype": options.dtype,
        "threads": options.omp_threads,
        "parallel": {
            "data": 1,
            "tensor": options.tensor_parallel_size,
            "pipeline": 1,
            "expert": 1,
            "sharded_optimizer": 1,
        },
        "devices": options.tensor_parallel_size,
        "precision_map": _formats(options, told),
        "quantization": {"method": told.quantization or "none"},
        "batching": "continuous: at each step requests join the batch and leave it",
        "scheduler": _scheduler(options, told),
        "kv_cache": _kv_cache(options, told),
        "attention": _attention(told),
        **_compilation(told),
        **({"speculative": dict(options.speculative)} if options.speculative else {}),
        **(_cpu(told) if told.device == "cpu" else {}),
    }


def kv_capacity(told: Told) -> int | None:
    """Tokens whose keys and values fit; None where the engine does not tell.

    vLLM's own figure goes first: of a model some of whose layers have a window, blocks times
    their size is not what fits.

    Args:
        told: What the engine told.
    """
    if told.capacity is not None or told.blocks is None or told.block_size is None:
        return told.capacity
    return told.blocks * told.block_size


def caches_prefixes(options: EngineOptions, told: Told) -> bool:
    """Whether there is a prefix cache: vLLM has none for some models.

    Args:
        options: What was asked for.
        told: What the engine told, which goes first.
    """
    asked = options.enable_prefix_caching
    return asked if told.prefix_caching is None else told.prefix_caching


def emptied(success: object) -> None:
    """Checks that the prefix cache was emptied, which a trial's facts say of it.

    Args:
        success: What vLLM answered.

    Raises:
        TrialError: It was not: the cache is in use.
    """
    if not success:
        raise TrialError(
            "the prefix cache could not be emptied: requests of another trial still use it",
            remedy="use rules.session=fresh, or adapter.enable_prefix_caching=false",
        )


def padding(told: Told) -> Mapping[str, Plain]:
    """How requests of different lengths come into one batch."""
    if told.compilation == "none: eager" or told.device == "cpu":
        return {"policy": "none: the tokens of all requests lie side by side", "share": 0.0}
    return {"policy": "requests lie side by side, their number rounded up to that of a graph"}


def _formats(options: EngineOptions, told: Told) -> Mapping[str, Plain]:
    name = DTYPES[options.dtype]
    kept = options.kv_cache_dtype
    weights = f"{name}, quantised by {told.quantization}" if told.quantization else name
    return {"weights": weights, "activations": name, "kv": name if kept == "auto" else kept}


def _scheduler(options: EngineOptions, told: Told) -> Mapping[str, Plain]:
    """The scheduler; what neither was asked for nor told is left out."""
    facts: dict[str, Plain] = {
        "policy": "vLLM's own: first come, first served; what was started goes on first",
        "preemption": "where blocks run out, the latest is put back and computed again",
        "max_num_seqs": told.max_num_seqs or options.max_num_seqs,
        "max_num_batched_tokens": told.max_num_batched_tokens or options.max_num_batched_tokens,
        "chunked_prefill": told.chunked_prefill,
    }
    return {name: of for name, of in facts.items() if of is not None}


def _kv_cache(options: EngineOptions, told: Told) -> Mapping[str, Plain]:
    facts: dict[str, Plain] = {
        "policy": "paged: whole blocks, given out as a sequence grows",
        "block_size": told.block_size or options.block_size,
        "blocks": told.blocks,
        "capacity_tokens": kv_capacity(told),
        "format": options.kv_cache_dtype,
        "compressed": options.kv_element_bytes() < 2,  # noqa: PLR2004  (bytes of 16 bits)
        "recomputed": "after a preemption",
        "offloaded": False,
    }
    if caches_prefixes(options, told):
        facts["prefix_caching"] = (
            "whole blocks, least recently used go first; emptied before a trial"
        )
    else:
        facts["no_prefix_caching"] = "turned off (enable_prefix_caching), or not for this model"
    return {name: of for name, of in facts.items() if of is not None}


def _attention(told: Told) -> Mapping[str, Plain]:
    if told.attention is None:
        return {"library": installed()}
    return {"implementation": told.attention, "library": installed()}


def _compilation(told: Told) -> dict[str, Plain]:
    """How the model is compiled, and that it was before the first request."""
    if told.compilation is None:
        return {}
    eager = told.compilation == "none: eager"
    what = (
        "eager: nothing is compiled" if eager else f"{told.compilation}, before the first request"
    )
    compilation: dict[str, Plain] = {"included": False, "what": what}
    if eager:
        compilation |= {"recompiles": 0, "graph_breaks": 0}
    if told.compile_s is not None:
        compilation["seconds"] = told.compile_s
    return {
        "compile_path": "eager" if eager else told.compilation,
        "compilation": compilation,
        "fusion": "vLLM's own fused operators" + ("" if eager else "; what the compiler fuses"),
        "dispatch": "the host issues every operator" if eager else "compiled graphs",
        "autotune": "none" if eager else "that of the compiler",
        "cache_state": {
            "compile": "none: eager" if eager else "compiled when the engine started",
            "prefix_cache": "emptied before each trial",
            "weights_and_data": "in memory before the window opens",
        },
    }


def _cpu(told: Told) -> dict[str, Plain]:
    """What only holds where the processor itself is the device."""
    facts = cpu_facts(LINUX)
    accelerator = {
        "model": facts["cpu.model"].value,
        "sockets": facts["cpu.sockets"].value,
        "cores": facts["cpu.cores"].value,
        "threads": facts["cpu.threads"].value,
    }
    if told.instruction_set is not None:
        accelerator["instruction_set"] = told.instruction_set
    return {
        "accelerator": accelerator,
        "host_link": "none: the processor is the device and shares its memory",
        "transfers": {"bytes": 0, "seconds": 0.0, "why": "the processor is the device"},
        "partition": {"logical_processors": usable_processors(), "of": os.cpu_count()},
    }


def _found(pattern: str, text: str) -> str | None:
    found = re.search(pattern, text)
    return found[1] if found else None
