"""A session of several devices: its ranks, told what to do, and one trace out of theirs."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.adapters.engines.torch.distributed.facts import way_facts
from accelbench.adapters.engines.torch.distributed.launch import Ranks, running
from accelbench.adapters.engines.torch.distributed.merge import record
from accelbench.adapters.engines.torch.distributed.orders import Done, Order, Ready, Setup
from accelbench.harness.errors import TrialError
from accelbench.harness.load.asked import asked
from accelbench.harness.schema.builders import Trains
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Task, Work
from accelbench.harness.schema.recorder import Clock, Recorder, WallClock
from accelbench.harness.schema.scenario import TrainToTarget


@contextmanager
def opened(task: Task, how: TorchDistributedAdapter) -> Iterator["DistributedSession"]:
    """A session whose ranks are running; none is left when the block is.

    Args:
        task: The workload and its seed.
        how: The adapter's options.

    Raises:
        TrialError: A device is not there, a rank did not come up, or the workload is not one that
            is trained.
    """
    if not isinstance(task.builder, Trains):
        raise TrialError("the workload is not one that is trained", remedy="use one that is")
    with ExitStack() as stack:
        yield DistributedSession(task, task.builder, how, stack)


class DistributedSession:
    """Ranks that train together. When a trial has failed, the next one begins with new ones.

    Args:
        task: The workload and its seed.
        builder: The workload.
        how: The adapter's options.
        stack: Ends what the session has started.
    """

    def __init__(
        self, task: Task, builder: Trains, how: TorchDistributedAdapter, stack: ExitStack
    ) -> None:
        self.clock: Clock = WallClock()
        self.precision: str = how.dtype
        self._task, self._builder, self._how, self._stack = task, builder, how, stack
        self._told: Mapping[str, Plain] = {}
        self._asked: Mapping[str, Plain] = {}
        self._run: Mapping[str, Plain] = {}
        self._sent: Mapping[str, Plain] = {}
        self._ranks = self._started()

    def facts(self) -> Mapping[str, Plain]:
        """PyTorch, devices, model, how they share the work, and what the last trial told."""
        builder = cast("Mapping[str, Any]", self._builder.facts())
        run = {name: value for name, value in self._run.items() if name != "bytes"}
        return {
            **self._told,
            **way_facts(self._how, self._sent),
            **builder,
            "training": {**builder.get("training", {}), **run},
            "geometry": dict(self._builder.geometry()),
            "dtype": self.precision,
            **self._asked,
        }

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Runs one training trial on all devices.

        Raises:
            TrialError: A rank failed, died or hung; it is named, and all are ended.
        """
        scenario = work.scenario
        if not isinstance(scenario, TrainToTarget):
            raise TrialError(
                f"scenario {scenario.kind!r} is no training", remedy="use adapter=torch"
            )
        self._check(scenario)
        if not self._ranks.alive:
            self._ranks = self._started()
        self._ranks.tell(Order(scenario, work.rules, work.seed, work.artifacts))
        done = cast("list[Done]", self._ranks.hear())
        staged = self._how.way == "pipeline"
        leader = len(done) - 1 if staged else 0
        self._sent = record(done, leader, staged=staged, recorder=recorder)
        self._run = done[leader].facts
        self._asked = {
            **asked(scenario, work.rules.warmup, generates=False),
            **done[leader].counting,
        }
        recorder.counter("parameters", cast("float", self._told["parameters"]), "1")
        for share in ("coverage.operators", "coverage.flops"):
            recorder.counter(share, 1.0, "1")  # PyTorch raises where a device lacks an operator
        if staged:
            recorder.counter("pipeline.stages", self._how.devices, "1")
            recorder.counter("pipeline.microbatches", self._how.microbatches, "1")

    def _started(self) -> Ranks:
        how = self._how

        def setup(store: Path) -> Setup:
            return Setup(self._builder, self._task.seed, how, store)

        ranks, ready = self._stack.enter_context(running(how.devices, how.patience_s, setup))
        self._told = cast("list[Ready]", ready)[0].facts
        return ranks

    def _check(self, scenario: TrainToTarget) -> None:
        how = self._how
        shares = how.microbatches * (1 if how.way == "pipeline" else how.devices)
        if scenario.batch_size % shares:
            raise TrialError(
                f"a batch of {scenario.batch_size} cannot be cut into {shares} equal parts,"
                f" with {how.devices} devices and {how.microbatches} microbatches",
                remedy="change scenario.batch_size",
            )
