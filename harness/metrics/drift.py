"""Drift: how throughput changed over the window, as heat or fragmentation would change it."""

import math

import numpy as np

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.schema.measurement import Interval
from accelbench.harness.statistics.intervals import Estimate
from accelbench.harness.statistics.trend import slope

PARTS = 10
FEWEST = 100
"""Completions below which the rates of ten parts are mostly chance."""

SHORTEST_S = 60.0
"""Below this a slope in percent an hour says more about chance than about the machine."""

_DONE = (
    "of samples, else of output tokens, else of requests, whichever all requests that are ok and"
    " done in the window tell, each counted when its request was done, in ten equal parts of the"
    f" window; from {FEWEST} completions and {SHORTEST_S:g} s on"
)


def _has_requests(seen: Observation) -> bool:
    return seen.trace.num_rows("requests") > 0


@metric(
    "throughput.drift",
    unit="%/h",
    summary="Change of throughput over time, as a share of its mean; below 0 it slows down.",
    formula=f"least-squares slope over time / mean, of the rate {_DONE}; the interval takes the"
    " parts for independent and the mean for known",
    source="section 3.6.1",
    better="neither",
    applies=_has_requests,
    version=2,
)
def drift(seen: Observation) -> Outcome:
    """Slope of throughput, percent of its mean an hour."""
    rates = _parts(seen)
    if isinstance(rates, Absent):
        return rates
    n, part_h = int(seen.requests.finished.sum()), seen.length_s / PARTS / 3600
    found, factor = slope(rates, of="parts of the window"), 100 / part_h / float(rates.mean())
    return in_unit(found, factor, n)


@metric(
    "throughput.drift.deciles",
    unit="1",
    summary="Throughput in the last tenth of the window over that in the first.",
    formula=f"last / first, of the rate {_DONE}",
    source="section 3.6.1",
    better="neither",
    applies=_has_requests,
)
def last_over_first(seen: Observation) -> Outcome:
    """Last decile against the first."""
    rates = _parts(seen)
    if isinstance(rates, Absent):
        return rates
    n = int(seen.requests.finished.sum())
    if rates[0] == 0:
        return Absent("nothing was completed in the first tenth of the window", n)
    return Value(float(rates[-1] / rates[0]), n)


def done_in_parts(seen: Observation, parts: int) -> tuple[Numbers, str]:
    """What was completed in each of equal parts of the window: what drift is the slope of.

    Args:
        seen: The trial.
        parts: How many parts.

    Returns:
        The amount of each, and what it is of: "sample", "token" or "request".
    """
    finished = seen.requests.finished
    amounts = (seen.requests.samples[finished], "sample"), (seen.output_tokens[finished], "token")
    weights, counted = next(
        (told for told in amounts if not np.isnan(told[0]).any() and told[0].any()),
        (np.ones(int(finished.sum())), "request"),
    )
    edges = np.linspace(0, seen.length_ns, parts + 1)
    return np.histogram(seen.requests.done[finished], edges, weights=weights)[0], counted


def _parts(seen: Observation) -> Numbers | Absent:
    """What was completed in each tenth of the window, or how long a window would have to be."""
    n, length_s = int(seen.requests.finished.sum()), seen.length_s
    if n == 0:
        return Absent("no request was completed in the window")
    if n < FEWEST or length_s < SHORTEST_S:
        needed = max(SHORTEST_S, math.ceil(FEWEST * length_s / n))
        return Absent(
            f"{n} completions in {length_s:.3g} s are too few, about {needed:.0f} s would do", n
        )
    return done_in_parts(seen, PARTS)[0]


def in_unit(found: Estimate, factor: float, n: int) -> Value:
    """A slope in the unit of a metric, with its interval.

    Args:
        found: The slope for each part.
        factor: What it is multiplied by.
        n: What it rests on: requests, or readings.
    """
    if found.bounds is None:
        return Value(found.value * factor, n, reason=found.reason)
    low, high = found.bounds.low * factor, found.bounds.high * factor
    interval = Interval(low, high, found.bounds.level, found.bounds.method, "samples")
    return Value(found.value * factor, n, interval)
