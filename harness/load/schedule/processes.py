"""Arrival times drawn from a seed.

Each process draws from `numpy`'s PCG64, seeded by a `SeedSequence` of the seed and a number of this
module's own, so that whatever else is drawn from the seed changes nothing. The same seed gives the
same times, to far less than a nanosecond, wherever `numpy` draws the same numbers; it may change
how it draws between versions, which the digest of a schedule shows. Times are drawn one after
another: more of them leave the first ones as they are.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.arrivals import (
    ArrivalProcess,
    Bursts,
    Constant,
    Gamma,
    Poisson,
    Replay,
    Stage,
    Stages,
)

Times = npt.NDArray[np.float64]

_STREAM = 0x5C4ED
_SPARE = 16


def arrival_times(process: ArrivalProcess, count: int | None, seed: int) -> Times:
    """When requests arrive, seconds from the start of the load, ascending.

    The first arrival of a renewal process lies one gap after the start. Nothing is scaled to end
    at a wanted time, which would make counts more even than the process has them.

    Args:
        process: Any but a replay.
        count: How many; None for all of a process that has an end of its own.
        seed: Of the draw.

    Raises:
        ConfigError: The process ends before so many have arrived, or the seed is negative.
        ValueError: The process is a replay, or has no end and no count is given.
    """
    if isinstance(process, Stages):
        return _of_stages(process.stages, count, _draw(seed))
    if isinstance(process, Replay):
        told = "the arrivals of a replay are those of its recording, not drawn"
        raise ValueError(told)  # noqa: TRY004  (a process it is)
    if count is None:
        raise ValueError(f"{process.kind} arrivals have no end: a count is needed")
    draw = _draw(seed)
    if isinstance(process, Constant):
        return np.arange(1, count + 1) / process.rate_per_s
    if isinstance(process, Bursts):
        return _of_bursts(process, _unit_times(count, draw))
    if isinstance(process, Poisson):
        return _unit_times(count, draw) / process.rate_per_s
    gaps = draw.gamma(process.shape, 1 / (process.shape * process.rate_per_s), count)
    return np.cumsum(gaps)


def mean_rate(process: ArrivalProcess) -> float | None:
    """Mean requests a second over a long time; None for a process that has an end."""
    if isinstance(process, Constant | Poisson | Gamma):
        return process.rate_per_s
    if isinstance(process, Bursts):
        asked = process.on_rate_per_s * process.on_s + process.off_rate_per_s * process.off_s
        return asked / (process.on_s + process.off_s)
    return None


def _draw(seed: int) -> np.random.Generator:
    if seed < 0:
        raise ConfigError(f"a schedule needs a seed of at least 0, got {seed}", where="rules.seed")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM, seed])))


def _unit_times(count: int, draw: np.random.Generator) -> Times:
    """Times of a Poisson process of one arrival a second."""
    return np.cumsum(draw.exponential(1.0, count))


def _of_bursts(process: Bursts, unit: Times) -> Times:
    """Times of a process of rate 1, stretched so that its rate is that of bursts by turns.

    The expected count grows along one straight line in a burst and along another between them;
    its inverse takes unit times to ours (Çinlar, Introduction to Stochastic Processes, 1975,
    pages 96-97).
    """
    on, off = process.on_rate_per_s * process.on_s, process.off_rate_per_s * process.off_s
    turn, left = np.divmod(unit, on + off)
    in_burst = np.minimum(left / process.on_rate_per_s, process.on_s)
    between = np.maximum(left - on, 0.0) / (process.off_rate_per_s or 1.0)
    begun = turn * (process.on_s + process.off_s)
    return np.asarray(begun + in_burst + between, dtype=np.float64)


def _of_stages(stages: Sequence[Stage], count: int | None, draw: np.random.Generator) -> Times:
    """The same with a rate of straight lines, until the last stage ends."""
    seconds = np.array([stage.seconds for stage in stages])
    first = np.array([stage.rate_per_s for stage in stages])
    last = np.array([_end_rate(stage) for stage in stages])
    starts = np.append(0.0, np.cumsum(seconds))
    expected = np.append(0.0, np.cumsum((first + last) / 2 * seconds))
    unit = _unit_times_until(float(expected[-1]), draw)
    stage = np.searchsorted(expected[1:], unit, side="left")
    left, slope = unit - expected[stage], ((last - first) / seconds)[stage]
    # The expected count after t seconds of a stage is first t + slope t^2 / 2; this solves it
    # for t without cancellation, also where the slope is 0.
    root = np.sqrt(np.maximum(first[stage] ** 2 + 2 * slope * left, 0.0))
    after = np.divide(2 * left, first[stage] + root, out=np.zeros_like(left), where=left > 0)
    times = np.asarray(starts[stage] + np.minimum(after, seconds[stage]), dtype=np.float64)
    if count is None:
        return times
    if count > times.size:
        raise ConfigError(
            f"the stages hold {times.size} requests with this seed, {count} are needed",
            where="scenario.arrivals.stages",
            remedy="make them longer, or ask for fewer requests, warm-up and tail included",
        )
    return times[:count]


def _unit_times_until(end: float, draw: np.random.Generator) -> Times:
    """Times of a Poisson process of rate 1 up to an end; a later end leaves them as they are."""
    most = int(end + 4 * np.sqrt(end)) + _SPARE
    gaps = draw.exponential(1.0, most)
    while (times := np.cumsum(gaps))[-1] <= end:
        gaps = np.append(gaps, draw.exponential(1.0, most))
    return np.asarray(times[times <= end], dtype=np.float64)


def _end_rate(stage: Stage) -> float:
    return stage.rate_per_s if stage.end_rate_per_s is None else stage.end_rate_per_s
