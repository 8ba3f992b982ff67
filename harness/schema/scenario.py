"""How work arrives."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from accelbench.harness.schema.arrivals import ArrivalProcess, Bursts, Constant, Gamma, Poisson
from accelbench.harness.schema.quality import check_asked
from accelbench.harness.schema.trace import ServiceLevel


@dataclass(frozen=True)
class Offline:
    """All work is there at the start and is done in batches.

    An engine that makes its own batches is given at most `batch_size` requests at once, the next
    as soon as one is done.

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
class MultiStream:
    """One query of several samples at a time; the next is due when all of them are done.

    Attributes:
        streams: Samples in a query.
        queries: Queries in the measured window.
        slo: The service level that each sample is held to, or None.
    """

    kind: Literal["multi_stream"]
    streams: int
    queries: int
    slo: ServiceLevel | None = None

    def __post_init__(self) -> None:
        _positive(streams=self.streams, queries=self.queries)
        _level(self.slo)


@dataclass(frozen=True)
class ClosedLoop:
    """A fixed number of users; the next request of each is due when the one before is done.

    After the window's requests the users ask for a tail of as many as there are users, so that
    the last ones of the window are served under load; it is in the trace, outside the window.

    Attributes:
        concurrency: Users.
        requests: Requests in the measured window.
        slo: The service level that requests are held to, or None.
    """

    kind: Literal["closed_loop"]
    concurrency: int
    requests: int
    slo: ServiceLevel | None = None

    def __post_init__(self) -> None:
        _positive(concurrency=self.concurrency, requests=self.requests)
        _level(self.slo)


@dataclass(frozen=True)
class OpenLoop:
    """Requests arrive by a schedule made beforehand, however the server fares.

    Attributes:
        arrivals: The process that the schedule is drawn from.
        requests: Requests in the measured window; None for all that the process has, where it
            has an end of its own.
        slo: The service level that requests are held to, or None.
        tail: Requests that follow those of the window by the same process, so that its last ones
            are served under load.
        max_in_flight: Most requests that may be on their way at once; what is due beyond it
            waits and is sent late. None for no limit.
    """

    kind: Literal["open_loop"]
    arrivals: ArrivalProcess
    requests: int | None
    slo: ServiceLevel | None = None
    tail: int = 0
    max_in_flight: int | None = None

    def __post_init__(self) -> None:
        if self.requests is not None:
            _positive(requests=self.requests)
        elif isinstance(self.arrivals, Constant | Poisson | Gamma | Bursts):
            raise ValueError(f"{self.arrivals.kind} arrivals have no end: give requests")
        if self.max_in_flight is not None:
            _positive(max_in_flight=self.max_in_flight)
        if self.tail < 0:
            raise ValueError(f"tail must not be negative, got {self.tail}")
        _level(self.slo)


@dataclass(frozen=True)
class Sustainable:
    """A search for the highest rate that meets a service level, one open loop after another.

    Attributes:
        arrivals: The process; its rate is the first that is tried.
        requests: Requests in the window of each trial.
        slo: The service level; each of its thresholds is held against the p99 of a load, failed
            requests counting as infinitely slow.
        resolution: The search ends when the lowest rate that does not meet the level is at most
            this share above the highest that does.
        repeats: Trials at each rate.
        most_trials: Trials after which it ends all the same.
        tail: As of an open loop.
    """

    kind: Literal["sustainable"]
    arrivals: Constant | Poisson | Gamma
    requests: int
    slo: ServiceLevel
    resolution: float = 0.1
    repeats: int = 3
    most_trials: int = 60
    tail: int = 0

    def __post_init__(self) -> None:
        _positive(requests=self.requests, repeats=self.repeats, most_trials=self.most_trials)
        if self.tail < 0 or self.resolution <= 0:
            raise ValueError("tail >= 0 and resolution > 0 are needed")
        _level(self.slo)

    def at(self, rate_per_s: float) -> OpenLoop:
        """The open loop of a trial at a rate."""
        return OpenLoop(
            "open_loop",
            replace(self.arrivals, rate_per_s=rate_per_s),
            self.requests,
            self.slo,
            self.tail,
        )


@dataclass(frozen=True)
class TrainToTarget:
    """Training from scratch until an evaluation meets the target, or the epochs are used up.

    Attributes:
        metric: The quality metric of the workload that has to reach the target.
        target: The value to reach on the test split; a loss or a perplexity at most, others at least.
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
        check_asked(self.metric)


Scenario: TypeAlias = (
    Offline | SingleStream | MultiStream | ClosedLoop | OpenLoop | Sustainable | TrainToTarget
)


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
