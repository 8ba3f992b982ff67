"""Arrival times drawn from a seed.

Each process draws from `numpy`'s PCG64, seeded by a `SeedSequence` of the seed and a number of this
module's own, so that the same seed gives the same times on every machine, whatever else is drawn
from it. Times are drawn one after another: more of them leave the first ones as they are.
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
        ConfigError: The process ends before so many have arrived.
        ValueError: The process is a replay, or has no end and no count is given.
    """
    if isinstance(process, Stages):
        return _of_stages(process.stages, count, _draw(seed))
    if isinstance(process, Replay) or count is None:
        raise ValueError(f"arrivals of {process.kind} are not drawn without a count")
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
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([_STREAM, seed])))


def _unit_times(count: int, draw: np.random.Generator) -> Times:
    """Times of a Poisson process of one arrival a second."""
    return np.cumsum(draw.exponential(1.0, count))


def _of_bursts(process: Bursts, unit: Times) -> Times:
    """Times of a process of rate 1, stretched so that its rate is that of bursts by turns.

    The expected count grows along one straight line in a burst and along another between them;
    its inverse takes unit times to ours.
    """
    on, off = process.on_rate_per_s * process.on_s, process.off_rate_per_s * process.off_s
    turn, left = np.divmod(unit, on + off)
    after = left - on
    within = np.where(
        after <= 0,
        left / process.on_rate_per_s,
        process.on_s + after / (process.off_rate_per_s or 1.0),
    )
    return np.asarray(turn * (process.on_s + process.off_s) + within, dtype=np.float64)


def _of_stages(stages: Sequence[Stage], count: int | None, draw: np.random.Generator) -> Times:
    """The same with a rate of straight lines, until the last stage ends."""
    seconds = np.array([stage.seconds for stage in stages])
    first = np.array([stage.rate_per_s for stage in stages])
    last = np.array([_end_rate(stage) for stage in stages])
    expected = (first + last) / 2 * seconds
    ends, starts = np.cumsum(expected), np.cumsum(seconds) - seconds
    unit = _unit_times_until(float(ends[-1]), draw)
    place = np.searchsorted(ends, unit, side="left")
    left = unit - (ends - expected)[place]
    slope = ((last - first) / seconds)[place]
    # The expected count after t seconds of a stage is first t + slope t^2 / 2; this solves it
    # for t without cancellation, also where the slope is 0.
    root = np.sqrt(np.maximum(first[place] ** 2 + 2 * slope * left, 0.0))
    times = np.asarray(starts[place] + 2 * left / (first[place] + root), dtype=np.float64)
    if count is None:
        return times
    if count > times.size:
        raise ConfigError(
            f"{count} requests are asked for, the stages hold {times.size} with this seed",
            where="scenario.arrivals.stages",
            remedy="make them longer, or ask for fewer requests",
        )
    return times[:count]


def _unit_times_until(end: float, draw: np.random.Generator) -> Times:
    """Times of a Poisson process of rate 1 up to an end."""
    found = np.empty(0)
    while not found.size or found[-1] <= end:
        more = _unit_times(int(end + 4 * np.sqrt(end)) + _SPARE, draw)
        found = np.concatenate([found, more + (found[-1] if found.size else 0.0)])
    return np.asarray(found[found <= end], dtype=np.float64)


def _end_rate(stage: Stage) -> float:
    return stage.rate_per_s if stage.end_rate_per_s is None else stage.end_rate_per_s
