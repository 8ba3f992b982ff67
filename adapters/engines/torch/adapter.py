"""The PyTorch adapter: what it can do here, and the session it opens."""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Literal

from accelbench.harness.load.in_process import lacks
from accelbench.harness.schema.protocols import Readiness, Session, Task, WorkloadBuilder
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.scenario import Scenario

_INSTALL = 'pip install "accelbench[torch]"'


@dataclass(frozen=True)
class TorchAdapter:
    """Runs a workload with PyTorch in its own process, eagerly, on the CPU or a GPU.

    Attributes:
        device: "cpu", or "cuda" for NVIDIA and ROCm devices.
        threads: Threads of one operator on the CPU.
        dtype: Precision of weights and arithmetic.
        max_batch: Most requests that are generated for at once: those that wait when the model is
            free, in static batches.
    """

    evidence: ClassVar[Evidence] = "measured"
    clock: ClassVar[ClockName] = "wall"

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_batch: int = 8

    def __post_init__(self) -> None:
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {self.max_batch}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")

    def readiness(self) -> Readiness:
        """Whether PyTorch is installed, and for a GPU whether a driver is there."""
        if find_spec("torch") is None or find_spec("transformers") is None:
            return Readiness("missing", "PyTorch or transformers is not installed", _INSTALL)
        if self.device == "cuda" and not (shutil.which("nvidia-smi") or shutil.which("rocm-smi")):
            return Readiness("absent", "no GPU driver was found", "needs an NVIDIA or AMD GPU")
        return Readiness("ready", f"PyTorch on {self.device}; untested on CUDA")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        return lacks(builder.task, scenario)

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with the model loaded.

        Raises:
            MissingPart: A library that the workload needs is not installed.
            TrialError: The device is not there, or the workload has no PyTorch model.
        """
        from accelbench.adapters.engines.torch.session import opened  # noqa: PLC0415  (torch)

        return opened(task, self.device, self.threads, self.dtype, self.max_batch)
