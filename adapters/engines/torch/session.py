"""A loaded PyTorch model, driven by the harness's loops."""

import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from accelbench.adapters.engines.torch.engine import TorchEngine
from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import DemandOf
from accelbench.harness.load.in_process import drive
from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.harness.schema.protocols import Samples, Task, Work
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import TrainToTarget

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchSession:
    """One engine, ready for trials.

    Args:
        task: The workload, its weights and seed.
        device: "cpu" or "cuda".
        threads: Threads of one operator on the CPU.
        dtype: Key of the precision.

    Raises:
        TrialError: The device is not there.
    """

    def __init__(self, task: Task, device: str, threads: int, dtype: str) -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise TrialError("PyTorch finds no CUDA device", remedy="use adapter.device=cpu")
        torch.set_num_threads(threads)
        torch.manual_seed(task.seed)
        self.clock: Clock = WallClock()
        self.precision = dtype
        self._task = task
        self._device = torch.device(device)
        self._demand = DemandOf(task.builder, dtype)
        self._engine = TorchEngine(task, self._device, _DTYPES[dtype])
        self._trained = task.weights is not None

    def facts(self) -> Mapping[str, Plain]:
        """PyTorch, device, precision, and where weights and data come from."""
        facts: dict[str, Plain] = {
            "framework": f"torch {torch.__version__}",
            "compile_path": "eager",
            "device": _device_name(self._device),
            "threads": torch.get_num_threads(),
            "dtype": self.precision,
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "timing": "synchronised after each call",
            **self._task.builder.facts(),
        }
        if self._task.weights is not None:
            facts["weights"] = "trained in this campaign"
            facts["weights_sha256"] = file_digest(self._task.weights)
        parameters = self._engine.parameters()
        if parameters is not None:
            facts["parameters"] = parameters
        return facts

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial; the peak of memory is that of the process so far."""
        training = isinstance(work.scenario, TrainToTarget)
        samples: Samples | None = None
        if self._task.builder.task == "classify" and not training:
            found = self._task.builder.samples()
            samples = found if self._trained else _Unscored(found)
        drive(
            self._engine,
            self._task.builder,
            samples,
            None if training else self._demand,
            work,
            recorder,
        )
        recorder.counter("rss_peak", _peak_bytes(), "byte")
        if self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device)
            recorder.counter("device_memory_peak", peak, "byte", "device")

    def close(self) -> None:
        """Frees what the device holds."""
        self._engine.close()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


class _Unscored:
    """The samples for a model with random weights, whose answers are not worth a score."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    @property
    def count(self) -> int:
        """How many distinct samples there are."""
        return self._samples.count

    def batch(self, indices: Sequence[int]) -> Any:
        """The inputs of these samples."""
        return self._samples.batch(indices)

    def score(self, answered: Sequence[tuple[Sequence[int], Any]]) -> None:
        """A random model never carries an accuracy."""


def _device_name(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _peak_bytes() -> int:
    """Largest resident set of this process; Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
