"""A loaded PyTorch model, driven by the harness's loops."""

import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from accelbench.adapters.engines.torch.engine import TorchEngine
from accelbench.adapters.engines.torch.facts import (
    build_facts,
    device_facts,
    practice_facts,
)
from accelbench.harness.environment.heap import tell_heap
from accelbench.harness.errors import TrialError
from accelbench.harness.load.batching import geometry_as_run
from accelbench.harness.load.engines import FLOPS_COUNTING, TRAFFIC, DemandOf
from accelbench.harness.load.in_process import drive
from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.harness.schema.protocols import Quality, Samples, Task, Work
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import TrainToTarget

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def opened(
    task: Task, device: str, threads: int, dtype: str, max_batch: int
) -> Iterator["TorchSession"]:
    """A session, its model loaded and its threads set; afterwards all is as it was before.

    Args:
        task: The workload, its weights and seed.
        device: "cpu" or "cuda".
        threads: Threads of one operator on the CPU.
        dtype: "fp32", "bf16" or "fp16".
        max_batch: Most prompts that are generated for at once.

    Raises:
        TrialError: The device is not there, or the workload has no PyTorch model.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrialError("PyTorch finds no CUDA device", remedy="use adapter.device=cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(task.seed)
    try:
        yield TorchSession(task, torch.device(device), dtype, max_batch)
    finally:
        torch.set_num_threads(before)
        if device == "cuda":
            torch.cuda.empty_cache()


class TorchSession:
    """One engine, ready for trials.

    Args:
        task: The workload, its weights and seed.
        device: Where the model lies.
        dtype: Key of the precision.
        max_batch: Most prompts that are generated for at once.
    """

    def __init__(self, task: Task, device: torch.device, dtype: str, max_batch: int) -> None:
        self.clock: Clock = WallClock()
        self.precision = dtype
        self._task = task
        self._device = device
        self._demand = DemandOf(task.builder, dtype)
        self._engine = TorchEngine(task, device, _DTYPES[dtype], max_batch)
        self._asked: Mapping[str, Plain] = {}
        self._trains = False

    def facts(self) -> Mapping[str, Plain]:
        """PyTorch, device, model, precision, where weights and data come from, what was asked."""
        builder = self._task.builder
        facts: dict[str, Plain] = {
            "framework": f"torch {torch.__version__}",
            "device": _device_name(self._device),
            "threads": torch.get_num_threads(),
            "dtype": self.precision,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            **build_facts(self._device),
            **device_facts(self._device),
            **practice_facts(self._device, builder.task, self._engine.max_batch),
            **builder.facts(),
            **self._engine.facts(trains=self._trains),
            "geometry": geometry_as_run(builder, self._engine.max_batch),
            "flops_counting": FLOPS_COUNTING,
            "traffic": TRAFFIC,
            "parameters": self._engine.parameters,
            **self._asked,
        }
        if self._task.weights is not None:
            facts["weights"] = "trained in this campaign"
            facts["weights_sha256"] = file_digest(self._task.weights)
        return facts

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial; the peak of memory is that of the process so far."""
        builder = self._task.builder
        training = self._trains = isinstance(work.scenario, TrainToTarget)
        samples = None
        if builder.task == "classify" and not training:
            random = builder.facts()["weights"] == "random" and self._task.weights is None
            samples = _TensorSamples(builder.samples(), scored=not random)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        demand = None if training else self._demand
        self._tell_memory(recorder)
        self._asked = drive(self._engine, builder, samples, demand, work, recorder).facts
        self._tell_memory(recorder)
        recorder.counter("rss_peak", _peak_bytes(), "byte")
        recorder.counter("weights", self._engine.weight_bytes, "byte")
        for share in ("coverage.operators", "coverage.flops"):
            recorder.counter(share, 1.0, "1")  # PyTorch raises where a device lacks an operator
        if training:
            recorder.counter("parameters", self._engine.parameters, "1")
        if self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device)
            recorder.counter("device_memory_peak", peak, "byte", "device")

    def _tell_memory(self, recorder: Recorder) -> None:
        """What the allocators of host and device hold now, and what of it is in use."""
        tell_heap(recorder)
        if self._device.type == "cuda":
            told = torch.cuda.memory_stats(self._device)
            for part in ("reserved", "allocated"):
                held = told.get(f"{part}_bytes.all.current", 0)
                recorder.counter(f"device_memory.{part}", held, "byte", "device")


class _TensorSamples:
    """The samples, for an engine that answers in tensors.

    Args:
        samples: Those of the workload.
        scored: Whether the answers are worth a score; those of random weights never are.
    """

    def __init__(self, samples: Samples, *, scored: bool) -> None:
        self._samples = samples
        self._scored = scored
        self.count = samples.count
        self.batch = samples.batch

    def score(self, answered: Sequence[tuple[Sequence[int], Any]]) -> Quality | None:
        """Quality of the answers, or None where the weights are random."""
        if not self._scored:
            return None
        return self._samples.score(
            [(indices, answer.float().cpu().numpy()) for indices, answer in answered]
        )


def _device_name(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _peak_bytes() -> int:
    """Largest resident set of this process; Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
