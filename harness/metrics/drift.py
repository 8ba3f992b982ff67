"""Drift: how throughput changed over the window, as heat or fragmentation would change it."""

import math

import numpy as np

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric

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
    formula=f"least-squares slope over time / mean, of the rate {_DONE}",
    source="section 3.6.1",
    better="neither",
    applies=_has_requests,
)
def drift(seen: Observation) -> Outcome:
    """Slope of throughput, percent of its mean an hour."""
    rates = _parts(seen)
    if isinstance(rates, Absent):
        return rates
    middle_h = (np.arange(PARTS) + 0.5) * seen.length_s / PARTS / 3600
    centred = middle_h - middle_h.mean()
    slope = float((centred * rates).sum() / (centred**2).sum())
    return Value(100 * slope / float(rates.mean()), int(seen.requests.finished.sum()))


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


def _parts(seen: Observation) -> Numbers | Absent:
    """What was completed in each tenth of the window, or how long a window would have to be."""
    finished = seen.requests.finished
    n, length_s = int(finished.sum()), seen.length_s
    if n == 0:
        return Absent("no request was completed in the window")
    if n < FEWEST or length_s < SHORTEST_S:
        needed = max(SHORTEST_S, math.ceil(FEWEST * length_s / n))
        return Absent(
            f"{n} completions in {length_s:.3g} s are too few, about {needed:.0f} s would do", n
        )
    done = seen.requests.done[finished]
    for amounts in (seen.requests.samples, seen.output_tokens):
        weights = amounts[finished]
        if not np.isnan(weights).any() and weights.any():
            break
    else:
        weights = np.ones(n)
    edges = np.linspace(0, seen.length_ns, PARTS + 1)
    return np.histogram(done, edges, weights=weights)[0]
