"""What PyTorch tells of itself, of a loaded model and of the device, for the record."""

import os
import re
from collections.abc import Mapping
from typing import Any

import torch

from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.reading import LINUX
from accelbench.harness.load.batching import batching_facts
from accelbench.harness.schema.plain import Plain

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""Number formats by their short names."""

_LIBRARIES = {"oneMKL": r"Math Kernel Library Version (\S+)", "oneDNN": r"MKL-DNN v(\S+)"}
_FLAGS_THAT_MAKE_CODE = ("-O", "-f", "-m")


def build_facts(device: torch.device) -> dict[str, Plain]:
    """The libraries that PyTorch's kernels come from, how it was built, how it picks kernels.

    Args:
        device: Where the model lies.
    """
    told = torch.__config__.show()
    libraries: list[Plain] = [
        {"name": "ATen", "version": torch.__version__, "origin": "framework"},
        *(
            {"name": name, "version": found[1], "origin": "vendor library"}
            for name, pattern in _LIBRARIES.items()
            if (found := re.search(pattern, told))
        ),
    ]
    openmp = _found(r"OpenMP (\d+)", told)
    runtime: dict[str, Plain] = {"torch_commit": torch.version.git_version, "openmp": openmp}
    flags = [
        flag
        for flag in (_found(r"CXX_FLAGS=([^,]*)", told) or "").split()
        if flag.startswith(_FLAGS_THAT_MAKE_CODE)
    ]
    built: dict[str, Plain] = {
        "build_type": _found(r"BUILD_TYPE=(\w+)", told),
        "compiler": _found(r"((?:GCC|clang|MSVC)[^\n]*)", told),
        "flags": " ".join(flags),
    }
    tunes = False
    if device.type == "cuda":
        cudnn: Any = torch.backends.cudnn  # torch leaves it untyped
        version = str(cudnn.version())
        libraries.append({"name": "cuDNN", "version": version, "origin": "vendor library"})
        runtime["cuda"] = torch.version.cuda or torch.version.hip
        runtime["convolutions_in_tf32"] = bool(cudnn.allow_tf32)
        built["architectures"] = list(torch.cuda.get_arch_list())
        tunes = bool(cudnn.benchmark)
    return {
        "kernel_libraries": libraries,
        "compile_flags": built,
        "runtime": runtime,
        "autotune": "cuDNN tries its algorithms" if tunes else "none",
    }


def device_facts(device: torch.device) -> dict[str, Plain]:
    """The accelerator and how the host is bound to it.

    What only holds where the processor itself is the device (no link, nothing to transfer) is
    left out on a GPU.

    Args:
        device: Where the model lies.
    """
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        return {
            "accelerator": {
                "model": about.name,
                "processors": about.multi_processor_count,
                "memory_bytes": about.total_memory,
                "capability": f"{about.major}.{about.minor}",
            },
            "devices": 1,
        }
    facts = cpu_facts(LINUX)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "accelerator": {
            "model": facts["cpu.model"].value,
            "sockets": facts["cpu.sockets"].value,
            "cores": facts["cpu.cores"].value,
            "threads": facts["cpu.threads"].value,
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
        },
        "devices": 1,
        "host_link": "none: the processor is the device and shares its memory",
        "transfers": {"bytes": 0, "seconds": 0.0, "why": "the processor is the device"},
        "partition": {"logical_processors": usable, "of": os.cpu_count()},
    }


def practice_facts(
    device: torch.device, max_batch: int, *, generates: bool, caches: bool
) -> dict[str, Plain]:
    """How this adapter runs a model: eagerly, in one process, one call after another.

    Args:
        device: Where the model lies.
        max_batch: Most prompts that are generated for at once.
        generates: Whether the model generates tokens.
        caches: Whether it keeps keys and values of those before.
    """
    ways = ("data", "tensor", "pipeline", "expert", "sharded_optimizer")
    facts: dict[str, Plain] = {
        "batching": "static: batches of the size that the scenario asks for, one after another",
        "cache_state": {
            "compile": "none: eager",
            "weights_and_data": "in memory before the window opens",
            "processor": "as the warm-up leaves it",
        },
        "compile_path": "eager",
        "compilation": {
            "included": False,
            "what": "eager: nothing is compiled",
            "recompiles": 0,
            "graph_breaks": 0,
        },
        "fusion": "none: eager, a call of a kernel library for each operator",
        "dispatch": "the host issues every operator",
        "parallel": dict.fromkeys(ways, 1),
        "timing": _timing(device),
        "timing_scope": _scope(device, generates=generates),
    }
    if generates:
        facts |= batching_facts(max_batch)
        facts["kv_cache"] = {
            "policy": "contiguous for all rows of a batch, grown by each step, freed after it"
            if caches
            else "none: a state of one size for each row of a batch, whatever its length",
            "compressed": False,
            "recomputed": False,
            "offloaded": False,
            "no_prefix_caching": "each request begins with an empty cache: there are no hits",
        }
    return facts


def _timing(device: torch.device) -> str:
    if device.type != "cuda":
        return "the clock is read before and after each call, which returns when it is done"
    return (
        "events of the device, tied to the host's clock by events that were waited for at the"
        " window's edges; inside it the host waits in streams, for each query, and for each token"
    )


def _scope(device: torch.device, *, generates: bool) -> Mapping[str, Plain]:
    """From where to where a request is timed."""
    inside = ["dispatch by the host", "kernels"]
    outside = ["loading of data and model"]
    if generates:
        inside += ["token ids to the device and back"]
        outside += ["tokenisation"]
    elif device.type == "cuda":
        outside += ["inputs to the device", "outputs to the host"]
    return {"boundary": "device", "inside": inside, "outside": outside}


def model_facts(model: torch.nn.Module) -> dict[str, Plain]:
    """Number formats, sparsity, layout and attention, as they are found in the model."""
    parameters = [parameter.detach() for parameter in model.parameters()]
    formats = sorted({format_of(parameter.dtype) for parameter in parameters})
    strided = all(parameter.layout is torch.strided for parameter in parameters)
    whole = [name for name in formats if not name.startswith(("float", "bfloat"))]
    zeros = sum(parameter.numel() - int(parameter.count_nonzero()) for parameter in parameters)
    elements = sum(parameter.numel() for parameter in parameters)
    facts: dict[str, Plain] = {
        "precision_map": {"weights": " and ".join(formats), "accumulators": _accumulators(formats)},
        "sparsity": {
            "pattern": "none" if strided else "unstructured",
            "zero_weights": zeros / elements if elements else 0.0,
        },
        "quantization": {"method": f"weights as {', '.join(whole)}" if whole else "none"},
        "layout": _layout(parameters),
    }
    implementation = getattr(getattr(model, "config", None), "_attn_implementation", None)
    if implementation is not None:
        facts["attention"] = _attention(implementation)
    return facts


def format_of(dtype: torch.dtype) -> str:
    """The name of a number format, e.g. "float32"."""
    return str(dtype).removeprefix("torch.")


def _accumulators(formats: list[str]) -> str:
    """How PyTorch is set to add up products; narrower sums than float32 need its leave."""
    if formats == ["float32"]:
        how = torch.get_float32_matmul_precision()
        return "float32" if how == "highest" else f"float32 of products at precision {how!r}"
    matmul = torch.backends.cuda.matmul
    leave = {
        "bfloat16": matmul.allow_bf16_reduced_precision_reduction,
        "float16": matmul.allow_fp16_reduced_precision_reduction,
    }
    narrow = [name for name in formats if leave.get(name)]
    return f"float32; on CUDA partial sums in {', '.join(narrow)}" if narrow else "float32"


def _layout(parameters: list[torch.Tensor]) -> str:
    if all(parameter.is_contiguous() for parameter in parameters):
        return "contiguous, last dimension fastest (NCHW for images)"
    images = [parameter for parameter in parameters if parameter.dim() == 4]  # noqa: PLR2004
    last = images and all(p.is_contiguous(memory_format=torch.channels_last) for p in images)
    return "channels last (NHWC)" if last else "mixed"


def _attention(implementation: str) -> Mapping[str, Plain]:
    import transformers  # noqa: PLC0415  (only where a model has attention)

    cuda: Any = torch.backends.cuda  # torch leaves it untyped
    allowed = {
        "flash": cuda.flash_sdp_enabled(),
        "memory-efficient": cuda.mem_efficient_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
    }
    return {
        "implementation": implementation,
        "library": f"transformers {transformers.__version__}, torch {torch.__version__}",
        "kernels_allowed": [name for name, on in allowed.items() if on],
    }


def _found(pattern: str, told: str) -> str | None:
    found = re.search(pattern, told)
    return found[1] if found else None
