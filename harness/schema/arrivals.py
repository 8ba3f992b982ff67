"""When requests are meant to arrive in an open loop: processes that a seed makes into a schedule."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TraceFormat: TypeAlias = Literal[
    "azure_llm", "mooncake", "burstgpt", "sharegpt", "alpaca", "accelbench"
]
"""Traces of requests that can be replayed; what each looks like stands with its reader."""


@dataclass(frozen=True)
class Constant:
    """Evenly spaced arrivals.

    Attributes:
        rate_per_s: Requests a second.
    """

    kind: Literal["constant"]
    rate_per_s: float

    def __post_init__(self) -> None:
        _above_zero(rate_per_s=self.rate_per_s)


@dataclass(frozen=True)
class Poisson:
    """Independent arrivals: exponential gaps.

    Attributes:
        rate_per_s: Mean requests a second.
    """

    kind: Literal["poisson"]
    rate_per_s: float

    def __post_init__(self) -> None:
        _above_zero(rate_per_s=self.rate_per_s)


@dataclass(frozen=True)
class Gamma:
    """Gaps from a gamma distribution, whose coefficient of variation is 1 / sqrt(shape).

    Attributes:
        rate_per_s: Mean requests a second.
        shape: 1 is Poisson; below it arrivals are burstier, above it more even.
    """

    kind: Literal["gamma"]
    rate_per_s: float
    shape: float

    def __post_init__(self) -> None:
        _above_zero(rate_per_s=self.rate_per_s, shape=self.shape)


@dataclass(frozen=True)
class Bursts:
    """Poisson arrivals at two rates by turns, beginning with the high one.

    Attributes:
        on_rate_per_s: Mean requests a second in a burst.
        off_rate_per_s: Between bursts; may be 0.
        on_s: Length of a burst, seconds.
        off_s: Time between bursts, seconds.
    """

    kind: Literal["bursts"]
    on_rate_per_s: float
    off_rate_per_s: float
    on_s: float
    off_s: float

    def __post_init__(self) -> None:
        _above_zero(on_rate_per_s=self.on_rate_per_s, on_s=self.on_s, off_s=self.off_s)
        if self.off_rate_per_s < 0:
            raise ValueError("off_rate_per_s must not be negative")


@dataclass(frozen=True)
class Stage:
    """A stretch of a staged load.

    Attributes:
        seconds: Its length.
        rate_per_s: Mean requests a second, at its start.
        end_rate_per_s: At its end, reached along a straight line; None for a level stage.
    """

    seconds: float
    rate_per_s: float
    end_rate_per_s: float | None = None

    def __post_init__(self) -> None:
        _above_zero(seconds=self.seconds)
        if min(self.rate_per_s, self.end_rate_per_s or 0.0) < 0:
            raise ValueError("the rates of a stage must not be negative")


@dataclass(frozen=True)
class Stages:
    """Poisson arrivals whose rate goes through stages: steps, ramps, or both.

    Attributes:
        stages: One after another.
    """

    kind: Literal["stages"]
    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        if not any(stage.rate_per_s or stage.end_rate_per_s for stage in self.stages):
            raise ValueError("stages needs at least one stage with a rate above 0")


@dataclass(frozen=True)
class Replay:
    """The arrivals of a recorded trace, and where its file tells them, lengths and sharing.

    Attributes:
        path: The file on this machine, or the folder of a trace of ours.
        format: How it is written.
        speed: How much faster than recorded; 2 halves every gap.
        stamps: What becomes of requests that the trace puts at one instant because its stamps
            are coarse: "keep" sends them together, "spread" evenly until the next stamp.
        sha256: Digest of the file; written by the harness when it is empty, and checked if not.
    """

    kind: Literal["replay"]
    path: str
    format: TraceFormat
    speed: float = 1.0
    stamps: Literal["keep", "spread"] = "keep"
    sha256: str = ""

    def __post_init__(self) -> None:
        _above_zero(speed=self.speed)


ArrivalProcess: TypeAlias = Constant | Poisson | Gamma | Bursts | Stages | Replay


def _above_zero(**values: float) -> None:
    for name, value in values.items():
        if value <= 0:
            raise ValueError(f"{name} must be above 0, got {value:g}")
