"""How a cell is measured, and what makes a record invalid."""

from dataclasses import dataclass
from typing import Literal

CODES = (
    "arithmetic",
    "arrivals_off",
    "cache_contrary",
    "client_bound",
    "clock_step",
    "early_stopping",
    "energy_window_short",
    "foreign_load",
    "generator_late",
    "output_length_off",
    "probe_lost",
    "quality_below_gate",
    "requests_failed",
    "target_not_met",
    "throttled",
    "tokens_uncounted",
    "too_few_samples",
    "unsteady",
)
"""The closed list of validity codes; `accelbench.harness.judge.validity` defines each."""


@dataclass(frozen=True)
class Limits:
    """What the validity checks hold a trial against; what lies at a limit is allowed.

    Attributes:
        foreign_cpu_share: Largest share of the machine's CPU time that others may use.
        drift: Largest relative change of the service time within the window.
        samples: Fewest completed requests in the window.
        duration_s: Shortest window, seconds; that of training is as long as its target takes.
        steal_share: Largest share of the CPU time that a hypervisor may take away.
        pressure_share: Largest share of the time in which some task waits for a processor.
        switches_per_s: Most times that the engine yields its processor against its will, for
            each second of its processor time.
        lateness_s: Largest p99 of |sent - due| in an open loop, seconds.
        client_s: Largest calibrated error of the load generator, seconds.
        client_share: The share of the median service time that replaces `lateness_s` and
            `client_s` where it is larger.
        arrivals_rate: Largest relative difference between the rates of sends and schedule.
        arrivals_dispersion: Largest ratio, either way, of 1 + the index of dispersion of counts.
        arrivals_cv: Largest difference of the gaps' coefficients of variation, relative to the
            schedule's where that is above 1.
        arrivals_ks: Largest Kolmogorov-Smirnov distance between the gaps of sends and schedule.
        length_mean: Largest relative difference of the mean output length from what was asked.
        length_share: Largest share of completed requests whose output length is not as asked.
        clock_fall: Largest relative fall of a clock from the first to the last quarter.
        clock_step_s: Furthest that the time of day may be set, seconds.
        energy_periods: Fewest periods of a meter in the window.
        gap_periods: Longest gap between a meter's readings, in its periods.
    """

    foreign_cpu_share: float = 0.05
    drift: float = 0.10
    samples: int = 1
    steal_share: float = 0.02
    pressure_share: float = 0.20
    switches_per_s: float = 100.0
    lateness_s: float = 0.001
    client_s: float = 0.001
    client_share: float = 0.02
    arrivals_rate: float = 0.02
    arrivals_dispersion: float = 1.25
    arrivals_cv: float = 0.10
    arrivals_ks: float = 0.10
    length_mean: float = 0.10
    length_share: float = 0.05
    clock_fall: float = 0.05
    clock_step_s: float = 0.001
    energy_periods: float = 10.0
    gap_periods: float = 3.0
    duration_s: float = 0.0


@dataclass(frozen=True)
class Precision:
    """A wanted precision: the trials of a cell are a pilot that tells how many more it takes.

    Attributes:
        metric: The metric that is to be precise, e.g. "tp.samples".
        relative: The wanted half width of the 95 % interval over its mean.
        most_trials: Trials after which a cell ends all the same.
    """

    metric: str
    relative: float
    most_trials: int

    def __post_init__(self) -> None:
        if not 0 < self.relative < 1 or self.most_trials < 1:
            raise ValueError("0 < relative < 1 and most_trials >= 1 are needed")


@dataclass(frozen=True)
class Rules:
    """How a cell is measured.

    Attributes:
        name: Name of the rules preset.
        summary: One line for a reader.
        trials: Trials a cell needs; one a round.
        warmup: What is done before the window opens, kept in the trace: requests; queries, where
            a query has several samples; batches, where all work is there at the start.
        session: Whether the cells of one engine share a process in a round, or each trial
            has its own.
        time_limit_s: Seconds after which a trial is ended and counted as failed.
        seed: Seed of the order of sessions and trials, and of what a trial draws.
        limits: Limits of the validity checks.
        invalid: Codes that make a record invalid.
        warn: Codes that are only told; a code in neither list is not checked.
        claims: Metrics of which each trial must give an interval of its own, where they apply.
        cache: Whether prompts must miss a prefix cache, must find something in it, or may do
            either.
        precision: How precise the mean over trials must be; `trials` is then the pilot. The
            number of trials is fixed once, from the pilot's spread (Stein), never by looking
            again. None for a fixed number of trials.
        accuracy: What quality rests on. "answered": what the window answered, of workloads that
            classify. "all": also what it left out of the test set, which the same engine is asked
            after it; of workloads that generate, the answers of the window held against those of
            the same model in float32 (see `accelbench.harness.load.agreement`).
        follows: The standard rules that these are a preset of, and how far; None for none.
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
    claims: tuple[str, ...] = ()
    cache: Literal["any", "cold", "warm"] = "any"
    precision: Precision | None = None
    accuracy: Literal["answered", "all"] = "answered"
    follows: str | None = None

    def __post_init__(self) -> None:
        if self.trials < 1 or self.warmup < 0 or self.time_limit_s <= 0:
            raise ValueError("trials >= 1, warmup >= 0 and time_limit_s > 0 are needed")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if self.precision is not None and self.trials < 2:  # noqa: PLR2004  (a spread needs two)
            raise ValueError("a wanted precision needs a pilot of at least 2 trials")
        unknown = sorted({*self.invalid, *self.warn} - set(CODES))
        if unknown:
            raise ValueError(f"unknown validity code {unknown[0]!r}; known: {', '.join(CODES)}")
        both = sorted({*self.invalid} & {*self.warn})
        if both:
            raise ValueError(f"{both[0]!r} cannot both invalidate and only warn")
