"""How work arrives."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from accelbench.harness.schema.trace import ServiceLevel


@dataclass(frozen=True)
class Offline:
    """All work is there at the start and is done in batches.

    Attributes:
        batch_size: Samples in a batch.
        samples: Samples in the measured window; rounded up to whole batches.
    """

    kind: Literal["offline"]
    batch_size: int
    samples: int

    def __post_init__(self) -> None:
        _positive(batch_size=self.batch_size, samples=self.samples)


@dataclass(frozen=True)
class SingleStream:
    """One request at a time; the next is due when the one before is done.

    Attributes:
        requests: Requests in the measured window.
        slo: The service level that requests are held to, or None.
    """

    kind: Literal["single_stream"]
    requests: int
    slo: ServiceLevel | None = None

    def __post_init__(self) -> None:
        _positive(requests=self.requests)
        _level(self.slo)


@dataclass(frozen=True)
class TrainToTarget:
    """Training from scratch until an evaluation meets the target, or the epochs are used up.

    Attributes:
        metric: The quality metric of the workload that has to reach the target.
        target: The value to reach on the test split; higher is better.
        batch_size: Samples in a training step.
        max_epochs: Passes over the training data after which the trial gives up.
    """

    kind: Literal["train_to_target"]
    metric: str
    target: float
    batch_size: int
    max_epochs: int

    def __post_init__(self) -> None:
        _positive(batch_size=self.batch_size, max_epochs=self.max_epochs)


Scenario: TypeAlias = Offline | SingleStream | TrainToTarget


def _level(slo: ServiceLevel | None) -> None:
    if slo is None:
        return
    given = [limit for limit in (slo.ttft_s, slo.itl_s, slo.e2e_s) if limit is not None]
    if not given or min(given) <= 0:
        raise ValueError("slo gives at least one of ttft_s, itl_s and e2e_s, each above 0")


def _positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
