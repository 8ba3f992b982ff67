"""How a cell is measured, and what makes a record invalid."""

from dataclasses import dataclass
from typing import Literal

CODES = (
    "arithmetic",
    "foreign_load",
    "quality_below_gate",
    "requests_failed",
    "target_not_met",
    "too_few_samples",
    "unsteady",
)
"""The closed list of validity codes; `accelbench.harness.judge.validity` defines each."""


@dataclass(frozen=True)
class Limits:
    """What the validity checks hold a trial against.

    Attributes:
        foreign_cpu_share: Largest share of the machine's CPU time that others may use.
        drift: Largest relative change of the mean service time from the first to the last
            quarter of the requests done in the window.
        samples: Fewest completed requests in the window.
    """

    foreign_cpu_share: float = 0.05
    drift: float = 0.10
    samples: int = 1


@dataclass(frozen=True)
class Rules:
    """How a cell is measured.

    Attributes:
        name: Name of the rules preset.
        summary: One line for a reader.
        trials: Trials a cell needs; one a round.
        warmup: Requests (or batches) done before the window opens; kept in the trace.
        session: Whether the cells of one engine share a process in a round, or each trial
            has its own.
        time_limit_s: Seconds after which a trial is ended and counted as failed.
        seed: Seed of the order of sessions and trials, and of what a trial draws.
        limits: Limits of the validity checks.
        invalid: Codes that make a record invalid.
        warn: Codes that are only told; a code in neither list is not checked.
    """

    name: str
    summary: str
    trials: int
    warmup: int
    session: Literal["shared", "fresh"]
    time_limit_s: float
    seed: int
    limits: Limits
    invalid: tuple[str, ...]
    warn: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.trials < 1 or self.warmup < 0 or self.time_limit_s <= 0:
            raise ValueError("trials >= 1, warmup >= 0 and time_limit_s > 0 are needed")
        unknown = sorted({*self.invalid, *self.warn} - set(CODES))
        if unknown:
            raise ValueError(f"unknown validity code {unknown[0]!r}; known: {', '.join(CODES)}")
        both = sorted({*self.invalid} & {*self.warn})
        if both:
            raise ValueError(f"{both[0]!r} cannot both invalidate and only warn")
