"""A loaded PyTorch model, driven by the harness's loops."""

import os
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Literal

import torch

from accelbench.adapters.engines.torch.engine import TorchEngine
from accelbench.adapters.engines.torch.facts import (
    DTYPES,
    build_facts,
    device_facts,
    practice_facts,
)
from accelbench.adapters.engines.torch.kernels import kernel_intervals
from accelbench.adapters.engines.torch.levers.attention import attending
from accelbench.adapters.engines.torch.levers.compilation import Watch, watched
from accelbench.adapters.engines.torch.levers.options import Format, Levers
from accelbench.harness.environment.heap import tell_heap
from accelbench.harness.errors import TrialError
from accelbench.harness.load.batching import geometry_as_run
from accelbench.harness.load.engines import FLOPS_COUNTING, TRAFFIC, DemandOf
from accelbench.harness.load.in_process import drive
from accelbench.harness.load.recordings import keep_recordings
from accelbench.harness.schema.builders import Answers, Generates, Padded, Samples
from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.quality import Quality, better
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.training import Practice


@contextmanager
def opened(
    task: Task,
    device: str,
    threads: int | Literal["all"],
    dtype: Format,
    max_batch: int,
    practice: Practice,
    *,
    levers: Levers,
    profile: bool,
) -> Iterator["TorchSession"]:
    """A session, its model loaded and its threads set; afterwards all is as it was before.

    Args:
        task: The workload, its weights and seed.
        device: "cpu" or "cuda".
        threads: Threads of one operator on the CPU, or "all" processors that it may use.
        dtype: "fp32", "bf16" or "fp16".
        max_batch: Most prompts that are generated for at once.
        practice: How a training step is carried out.
        levers: What is done to the model.
        profile: Whether a profiler watches the kernels.

    Raises:
        TrialError: The device is not there, the workload has no PyTorch model, or the model
            nothing that a lever works on.
        ForeignError: A library refused to pull a lever.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrialError("PyTorch finds no CUDA device", remedy="use adapter.device=cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(_processors() if threads == "all" else threads)
    torch.manual_seed(task.seed)
    try:
        with ExitStack() as held:
            held.enter_context(attending(levers.attention))
            watch = None
            if levers.compile != "none":
                watch = held.enter_context(watched(levers.compile, profile=profile))
            made = TorchSession(task, torch.device(device), dtype, max_batch, practice, levers)
            yield made.watched_by(watch, profile=profile)
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
        practice: How a training step is carried out.
        levers: What is done to the model.

    Attributes:
        precision: That of the latest trial's arithmetic.
    """

    def __init__(
        self,
        task: Task,
        device: torch.device,
        dtype: Format,
        max_batch: int,
        practice: Practice,
        levers: Levers,
    ) -> None:
        self.clock: Clock = WallClock()
        self._dtype = dtype
        alone = task.builder.geometry().get("arithmetic")
        self.precision = self._arithmetic = str(alone or levers.arithmetic(dtype))
        self._autocast = practice.autocast
        self._task = task
        self._device = device
        self._demand = DemandOf(task.builder, str(alone or dtype))
        self._engine = TorchEngine(task, device, DTYPES[dtype], max_batch, practice, levers)
        self._watch: Watch | None = None
        self._profile = False
        self._asked: Mapping[str, Plain] = {}
        self._kernels: Mapping[str, Plain] = {}
        self._recorded: Mapping[str, Plain] = {}
        self._trains = False

    def watched_by(self, watch: Watch | None, *, profile: bool) -> "TorchSession":
        """The same session, its compilations and kernels watched in every trial.

        Args:
            watch: Watches torch.compile; None where nothing is compiled.
            profile: Whether a profiler watches the kernels.
        """
        self._watch, self._profile = watch, profile
        return self

    def facts(self) -> Mapping[str, Plain]:
        """PyTorch, device, model, precision, where weights and data come from, what was asked."""
        builder = self._task.builder
        facts: dict[str, Plain] = {
            "framework": f"torch {torch.__version__}",
            "device": _device_name(self._device),
            "threads": torch.get_num_threads(),
            "dtype": self._dtype,
            "arithmetic": self.precision,
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            **build_facts(self._device),
            **device_facts(self._device),
            **practice_facts(
                self._device,
                self._engine.max_batch,
                generates=isinstance(builder, Generates),
                caches=isinstance(builder, Generates) and builder.kv(1) is not None,
            ),
            **builder.facts(),
            **self._engine.facts(trains=self._trains),
            **(self._watch.facts() if self._watch else {}),
            "profiled": self._profile,
            **({"kernels": self._kernels} if self._profile else {}),
            "geometry": geometry_as_run(builder, self._engine.max_batch),
            "flops_counting": FLOPS_COUNTING,
            "traffic": TRAFFIC,
            "parameters": self._engine.parameters,
            **self._asked,
            **self._recorded,
        }
        if self._task.weights is not None:
            facts["weights"] = "trained in this campaign"
            facts["weights_sha256"] = file_digest(self._task.weights)
        return facts

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one trial; the peak of memory is that of the process so far."""
        builder = self._task.builder
        training = self._trains = isinstance(work.scenario, TrainToTarget)
        autocast = training and self._autocast != "none"
        self.precision = self._autocast if autocast else self._arithmetic
        self._engine.transfers.clear()
        samples = None
        if isinstance(builder, Answers) and not training:
            random = builder.facts()["weights"] == "random" and self._task.weights is None
            samples = _TensorSamples(builder.samples(), self._engine, scored=not random)
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._tell_memory(recorder)
        counting = None if training else self._engine.counting(recorder.now_ns)
        with (
            self._watching(recorder) as self._kernels,
            counting or nullcontext() as counted,
        ):
            self._asked = drive(self._engine, builder, samples, self._demand, work, recorder).facts
        for one in counted.counts(*recorder.window_ns) if counted else ():
            recorder.counter(one.name, one.value, one.unit, one.scope)
        if self._watch:
            self._watch.tell(recorder)
        self._recorded = keep_recordings(builder, work.artifacts)
        for what, start_ns, end_ns, moved in self._engine.transfers:
            recorder.phase(what, "transfer", start_ns, end_ns, moved=moved)
        self._tell_memory(recorder)
        recorder.counter("rss_peak", _peak_bytes(), "byte")
        recorder.counter("weights", self._engine.weight_bytes, "byte")
        for name, (value, unit) in self._engine.pulled.counters().items():
            recorder.counter(name, value, unit)
        for share in ("coverage.operators", "coverage.flops"):
            recorder.counter(share, 1.0, "1")  # PyTorch raises where a device lacks an operator
        if training:
            recorder.counter("parameters", self._engine.parameters, "1")
        if self._device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(self._device)
            recorder.counter("device_memory_peak", peak, "byte", "device")

    def _watching(self, recorder: Recorder) -> AbstractContextManager[Mapping[str, Plain]]:
        """The profiler, where one is asked for."""
        if self._profile:
            return kernel_intervals(recorder, self._device)
        return nullcontext({})

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
        engine: Fetches the answers.
        scored: Whether the answers are worth a score; those of random weights never are, but how
            the model worked on them is told.
    """

    def __init__(self, samples: Samples, engine: TorchEngine, *, scored: bool) -> None:
        self._samples = samples
        self._fetch = engine.fetch
        self._scored = scored
        self.count = samples.count
        if isinstance(samples, Padded):
            self.elements = samples.elements
        self.batch = samples.batch

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Those of the answers; without their quality where the weights are random."""
        found = self._samples.figures((indices, self._fetch(one)) for indices, one in answered)
        return [one for one in found if self._scored or better(one.metric) == "neither"]


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _device_name(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def _peak_bytes() -> int:
    """Largest resident set of this process; Linux counts KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
