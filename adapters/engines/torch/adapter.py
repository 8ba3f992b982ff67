"""The PyTorch adapter: what it can do here, and the session it opens."""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar, Literal

from accelbench.adapters.engines.torch.levers.options import TORCHAO, Levers
from accelbench.harness.load.abilities import lacks
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.protocols import Readiness, Session, Task
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.scenario import Scenario
from accelbench.harness.schema.training import Practice

_INSTALL = 'pip install "accelbench[torch]"'


@dataclass(frozen=True)
class TorchAdapter:
    """Runs a workload with PyTorch in its own process, on the CPU or a GPU.

    Attributes:
        device: "cpu", or "cuda" for NVIDIA and ROCm devices.
        threads: Threads of one operator on the CPU; "all" for the processors it may use.
        dtype: Precision of weights and arithmetic.
        max_batch: Most requests that are generated for at once: those that wait when the model is
            free, in static batches.
        accumulate: Micro-batches whose gradients make one training step.
        checkpointing: Whether training drops activations and computes them again.
        autocast: Format of the arithmetic of training beside weights in fp32, as PyTorch's
            autocast picks it; "none" for that of the weights.
        levers: What is done to the model beyond its number format.
        profile: Whether a profiler watches every kernel: such a trial tells where the time went,
            and no latencies.
    """

    evidence: ClassVar[Evidence] = "measured"
    clock: ClassVar[ClockName] = "wall"

    device: Literal["cpu", "cuda"] = "cpu"
    threads: int | Literal["all"] = 1
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    max_batch: int = 8
    accumulate: int = 1
    checkpointing: bool = False
    autocast: Literal["none", "bf16", "fp16"] = "none"
    levers: Levers = field(default_factory=Levers)
    profile: bool = False

    def __post_init__(self) -> None:
        if self.autocast != "none" and self.dtype != "fp32":
            raise ValueError(f"autocast {self.autocast} needs weights in fp32, got {self.dtype}")
        if self.accumulate < 1:
            raise ValueError(f"accumulate must be at least 1, got {self.accumulate}")
        if self.max_batch < 1:
            raise ValueError(f"max_batch must be at least 1, got {self.max_batch}")
        if self.threads != "all" and self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
        self.levers.check(self.device, self.dtype)

    def readiness(self) -> Readiness:
        """Whether PyTorch is installed, and for a GPU whether a driver is there."""
        if find_spec("torch") is None or find_spec("transformers") is None:
            return Readiness("missing", "PyTorch or transformers is not installed", _INSTALL)
        missing = self.levers.missing(self.device)
        if missing:
            return Readiness("missing", f"{missing} is not installed", TORCHAO)
        if self.device == "cuda" and not (shutil.which("nvidia-smi") or shutil.which("rocm-smi")):
            return Readiness("absent", "no GPU driver was found", "needs an NVIDIA or AMD GPU")
        return Readiness("ready", f"PyTorch on {self.device}; untested on CUDA")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        return lacks(builder, scenario) or self.levers.lacks(builder, scenario)

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session with the model loaded.

        Raises:
            MissingPart: A library that the workload needs is not installed.
            TrialError: The device is not there, the workload has no PyTorch model, or the model
                nothing that a lever works on.
            ForeignError: A library refused to pull a lever.
        """
        from accelbench.adapters.engines.torch.session import opened  # noqa: PLC0415  (torch)

        practice = Practice(self.accumulate, self.checkpointing, self.autocast)
        return opened(
            task,
            self.device,
            self.threads,
            self.dtype,
            self.max_batch,
            practice,
            levers=self.levers,
            profile=self.profile,
        )
