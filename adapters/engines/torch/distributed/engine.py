"""One rank: its model, its place among the others, and the run that it takes part in."""

from typing import Any, cast

import torch
from torch import nn

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.adapters.engines.torch.distributed.control import Control
from accelbench.adapters.engines.torch.distributed.group import NotingGroup, Place, joined
from accelbench.adapters.engines.torch.distributed.messages import Message
from accelbench.adapters.engines.torch.distributed.shares import SharedTraining, Taught
from accelbench.adapters.engines.torch.distributed.stamps import (
    DeviceStamps,
    HostStamps,
    StampInstants,
    Stamps,
)
from accelbench.adapters.engines.torch.distributed.ways import DataParallel, sharded, shared_out
from accelbench.harness.errors import TrialError
from accelbench.harness.load.engines import DemandOf, Instants
from accelbench.harness.schema.builders import Training, Trains
from accelbench.harness.schema.training import Practice

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MEMORY = {
    0: "none",
    1: "ZeRO stage 1: the optimiser's state over {n} devices",
    2: "ZeRO stage 2: gradients and the optimiser's state over {n} devices",
    3: "ZeRO stage 3: weights, gradients and the optimiser's state over {n} devices",
}


def leader_of(way: str, devices: int) -> int:
    """The rank that knows loss and quality: the last stage of a pipeline, else the first rank."""
    return devices - 1 if way == "pipeline" else 0


def memory_of(sharing: int, devices: int) -> str:
    """What ranks share out of what training keeps, in words.

    Args:
        sharing: The ZeRO stage.
        devices: How many ranks there are.
    """
    return _MEMORY[sharing].format(n=devices)


class RankEngine:
    """Implements `TrainingEngine` of `accelbench.harness.load.engines` for one rank.

    Args:
        builder: The workload.
        seed: Seed of the model that facts are told of.
        how: The adapter's options.
        place: The rank.
        store: Where the ranks find one another; unused by a rank alone.

    Attributes:
        model: A model as it was built, for facts.
        demand: What the workload's phases ask for; None where this rank has a stage of the model,
            whose part of them is not known.
        shares: Ranks that the optimiser's work is shared out over.
    """

    def __init__(
        self, builder: Trains, seed: int, how: TorchDistributedAdapter, place: Place, store: Any
    ) -> None:
        self._builder, self._how, self._place = builder, how, place
        cuda = place.device.type == "cuda"
        self._stamps: Stamps = DeviceStamps(place.device) if cuda else HostStamps()
        self._group: NotingGroup | None = None
        if place.ranks > 1:
            self._group = joined(store, place, self._stamps, overlap=how.overlap)
        self._control = Control(place, leader_of(how.way, place.ranks))
        self.model = self._built(seed)
        self.demand = None if how.way == "pipeline" else DemandOf(builder, how.dtype)
        self.shares = place.ranks if how.sharing else 1

    def train(self, batch_size: int, seed: int) -> Training:
        """This rank's part of a run; returns when all ranks are ready for it."""
        model = self._built(seed)
        how, place = self._how, self._place
        if how.way == "pipeline":
            from accelbench.adapters.engines.torch.distributed.pipeline import (  # noqa: PLC0415  (slow to import)
                PipelinedTraining,
            )

            practice = Practice(accumulate=how.microbatches)
            run: Training = PipelinedTraining(
                self._taught(model, batch_size, seed, practice),
                model,
                batch_size,
                how.microbatches,
                place,
                self._control,
            )
        else:
            run = self._shared(model, batch_size, seed)
        self._control.agreed(None)
        self.messages()
        return run

    def messages(self) -> list[Message]:
        """What was sent and received since the last call."""
        return self._group.messages() if self._group else []

    def wait(self) -> None:
        """Returns when the device is done."""
        if self._place.device.type == "cuda":
            torch.cuda.synchronize(self._place.device)

    def instants(self) -> Instants:
        """Instants on the clock that all ranks share."""
        return StampInstants(self._stamps)

    def _shared(self, model: nn.Module, batch_size: int, seed: int) -> Training:
        how, ranks = self._how, self._place.ranks
        practice = Practice(accumulate=how.microbatches, rank=self._place.rank, ranks=ranks)
        taught = self._taught(model, batch_size, seed, practice)
        told = taught.facts()
        if how.way == "ddp":
            model = DataParallel(model, bucket_cap_mb=how.bucket_mb)
        elif how.way == "fsdp":
            blocks = taught.lesson.blocks(model)
            model = sharded(model, blocks, weights=how.sharing == 3)  # noqa: PLR2004  (ZeRO's)
        if how.way != "none":
            taught = self._taught(model, batch_size, seed, practice)
        if how.sharing == 1:
            taught.optimiser = shared_out(taught.optimiser)
        return SharedTraining(
            taught,
            told,
            model,
            batch_size,
            self._control,
            together=how.way == "fsdp",
            memory=memory_of(how.sharing, ranks),
        )

    def _taught(self, model: nn.Module, batch_size: int, seed: int, practice: Practice) -> Taught:
        run = self._builder.training(model, batch_size, seed, practice)
        if not hasattr(run, "lesson"):
            raise TrialError(
                "the workload's training does not tell its lesson", remedy="use adapter=torch"
            )
        return cast("Taught", run)

    def _built(self, seed: int) -> nn.Module:
        model = self._builder.model(None, seed)
        if not isinstance(model, nn.Module):
            raise TrialError("the workload has no PyTorch model", remedy="use another adapter")
        return model.to(self._place.device, DTYPES[self._how.dtype])
