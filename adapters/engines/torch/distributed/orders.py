"""What a session and its ranks tell one another, as it travels between their processes."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from accelbench.adapters.engines.torch.distributed.adapter import TorchDistributedAdapter
from accelbench.adapters.engines.torch.distributed.messages import Message
from accelbench.harness.schema.builders import Trains
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.rules import Rules
from accelbench.harness.schema.scenario import TrainToTarget
from accelbench.harness.schema.trace import Target


@dataclass(frozen=True)
class Joining:
    """A rank has come: its number and its process."""

    rank: int
    pid: int


@dataclass(frozen=True)
class Setup:
    """What a rank is to be.

    Attributes:
        builder: The workload.
        seed: Seed of the model that facts are told of.
        how: The adapter's options.
        store: File by which the ranks find one another.
    """

    builder: Trains
    seed: int
    how: TorchDistributedAdapter
    store: Path


@dataclass(frozen=True)
class Order:
    """A trial to be done.

    Attributes:
        scenario: The training run.
        rules: Of the trial.
        seed: Of whatever the trial draws.
        artifacts: Folder for the weights.
    """

    scenario: TrainToTarget
    rules: Rules
    seed: int
    artifacts: Path


@dataclass(frozen=True)
class Ready:
    """A rank has its model.

    Attributes:
        rank: Its number.
        facts: What it tells of PyTorch, device and model.
    """

    rank: int
    facts: Mapping[str, Plain]


@dataclass(frozen=True)
class Done:
    """A rank has done its part of a trial.

    Attributes:
        rank: Its number.
        tables: Its trace.
        window_ns: Its window.
        target: What the trial had to reach.
        messages: What it sent and received.
        facts: What its run tells of itself.
        counting: How its FLOPs and bytes are counted, or why they are not.
        peak_bytes: Its largest resident set so far.
        device_peak_bytes: Peak memory of its GPU in the trial; None on the CPU.
    """

    rank: int
    tables: Mapping[str, pa.Table]
    window_ns: tuple[int, int]
    target: Target
    messages: tuple[Message, ...]
    facts: Mapping[str, Plain]
    counting: Mapping[str, Plain]
    peak_bytes: int
    device_peak_bytes: int | None


@dataclass(frozen=True)
class Failed:
    """A rank could not do what it was told.

    Attributes:
        rank: Its number.
        why: In one line.
    """

    rank: int
    why: str
