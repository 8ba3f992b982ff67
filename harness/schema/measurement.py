"""A number with its unit, count and interval, or the reason why there is none."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

Better: TypeAlias = Literal["lower", "higher", "neither"]
EnergyQuality: TypeAlias = Literal["metered", "estimated", "modelled", "declared"]


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end, in the measurement's unit.
        high: Upper end, in the measurement's unit.
        level: Nominal confidence, e.g. 0.95.
        method: The name of the estimator and what it assumes.
        over: What varies: trials, requests of one trial, or samples.
    """

    low: float
    high: float
    level: float
    method: str
    over: Literal["trials", "requests", "samples"]


@dataclass(frozen=True)
class Uncertainty:
    """Bounds on a systematic error, in the measurement's unit.

    Attributes:
        low: Lower bound.
        high: Upper bound.
        level: Nominal coverage of the bounds.
    """

    low: float
    high: float
    level: float


@dataclass(frozen=True)
class EnergyNote:
    """How an energy or power figure was obtained.

    Attributes:
        quality: Metered by a sensor, estimated, modelled by a simulator, or declared.
        method: The method and its parameters, in words.
        scope: The boundary, e.g. "process", "package", "board", "wall".
        covers: What lies inside the boundary.
        uncertainty: Bounds on the value, where they are known.
        net_of_idle: Whether the idle baseline was subtracted.
    """

    quality: EnergyQuality
    method: str
    scope: str
    covers: tuple[str, ...]
    uncertainty: Uncertainty | None = None
    net_of_idle: bool = False


@dataclass(frozen=True)
class Measurement:
    """One quantity of a record: a finite value, or a reason, never both and never neither.

    Attributes:
        value: The finite value in `unit`, or None.
        unit: SI base units, "1" for a pure ratio.
        n: How many requests, samples or trials the value rests on.
        interval: Its confidence interval, or None.
        reason: Why there is no value, or why there is no interval.
        energy: How it was obtained, for energy and power.
        version: Version of the metric's definition; 0 where none applies.
    """

    value: float | None
    unit: str
    n: int
    interval: Interval | None = None
    reason: str | None = None
    energy: EnergyNote | None = None
    version: int = 0

    def __post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise ValueError("a measurement with no value needs a reason")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError("a measurement's value must be finite")
