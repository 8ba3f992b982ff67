"""The adapter for training on several devices: what it can do here, and the session it opens."""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import ClassVar, Literal

from accelbench.harness.load.abilities import lacks
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.protocols import Readiness, Session, Task
from accelbench.harness.schema.record import ClockName, Evidence
from accelbench.harness.schema.scenario import Scenario, TrainToTarget

_INSTALL = 'pip install "accelbench[torch]"'
_STAGES = {"none": (0,), "ddp": (0, 1), "fsdp": (3, 2), "pipeline": (0,)}
"""ZeRO stages that a strategy has, its usual one first."""


@dataclass(frozen=True)
class TorchDistributedAdapter:
    """Trains a workload with PyTorch on several devices of this machine, a process for each.

    Attributes:
        devices: Processes: on the CPU each a device of its own, else each with a GPU.
        strategy: "ddp" for data-parallel, "fsdp" for data-parallel with sharded parameters,
            "pipeline" for stages one behind the other (on the CPU); "none" for one device. On one device every
            strategy is none: the plain training run that others are set against.
        zero_stage: What data-parallel ranks share out among them: 0 nothing, 1 the optimiser's
            state, 2 gradients too, 3 weights too; None for 0 with ddp and 3 with fsdp.
        microbatches: Parts of a step: of a pipeline those that follow one another through its
            stages, else those whose gradients are added up on each device.
        overlap: Whether the backward pass goes on while gradients are on their way. Off, each
            message is waited for when it is issued.
        bucket_mb: Most gradients that ddp sends at once, MB; a model that fits into one sends them
            when all are there.
        device: "cpu" with gloo, or "cuda" with NCCL, for ROCm devices too.
        threads: Threads of one operator on the CPU, of each process.
        dtype: Precision of weights and arithmetic.
        patience_s: Longest that a rank waits for another one, seconds.
    """

    evidence: ClassVar[Evidence] = "measured"
    clock: ClassVar[ClockName] = "wall"

    devices: int = 2
    strategy: Literal["none", "ddp", "fsdp", "pipeline"] = "ddp"
    zero_stage: int | None = None
    microbatches: int = 1
    overlap: bool = True
    bucket_mb: float = 25.0
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    dtype: Literal["fp32", "bf16", "fp16"] = "fp32"
    patience_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("devices", "microbatches", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.bucket_mb <= 0 or self.patience_s <= 0:
            raise ValueError("bucket_mb and patience_s must be above 0")
        stages = _STAGES[self.strategy]
        if self.zero_stage is not None and self.zero_stage not in stages:
            told = " or ".join(map(str, sorted(stages)))
            raise ValueError(f"{self.strategy} has zero_stage {told}, got {self.zero_stage}")
        if self.strategy == "none" and self.devices > 1:
            raise ValueError(f"{self.devices} devices need a strategy: ddp, fsdp or pipeline")
        if self.strategy == "pipeline" and self.microbatches < self.devices:
            raise ValueError(
                f"a pipeline of {self.devices} stages needs as many microbatches,"
                f" got {self.microbatches}"
            )
        if self.strategy == "pipeline" and not self.overlap:
            raise ValueError("overlap of a pipeline is its schedule's and cannot be off")

    @property
    def sharing(self) -> int:
        """The ZeRO stage, 0 to 3; on one device there is nothing to share out."""
        if self.devices == 1:
            return 0
        return _STAGES[self.strategy][0] if self.zero_stage is None else self.zero_stage

    @property
    def way(self) -> Literal["none", "ddp", "fsdp", "pipeline"]:
        """The strategy as it is carried out: none on one device."""
        return "none" if self.devices == 1 else self.strategy

    def readiness(self) -> Readiness:
        """Whether PyTorch is installed, and for GPUs whether a driver is there."""
        if find_spec("torch") is None or find_spec("transformers") is None:
            return Readiness("missing", "PyTorch or transformers is not installed", _INSTALL)
        if self.device == "cuda" and not (shutil.which("nvidia-smi") or shutil.which("rocm-smi")):
            return Readiness("absent", "no GPU driver was found", "needs NVIDIA or AMD GPUs")
        told = "gloo on the CPU" if self.device == "cpu" else "NCCL, untested on CUDA"
        return Readiness("ready", f"PyTorch with {told}")

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """What is lacking for a workload and scenario, in words."""
        if not isinstance(scenario, TrainToTarget):
            return "several devices train here, they do not infer; use adapter=torch"
        if self.way == "pipeline" and self.device == "cuda":
            return "the messages of a pipeline are noted on the CPU alone; use ddp or fsdp"
        return lacks(builder, scenario)

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session whose ranks are running.

        Raises:
            MissingPart: A library that the workload needs is not installed.
            TrialError: A device is not there, or a rank did not come up.
        """
        from accelbench.adapters.engines.torch.distributed.session import (  # noqa: PLC0415  (torch)
            opened,
        )

        return opened(task, self)
