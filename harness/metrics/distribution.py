"""Mean and percentiles of a quantity that requests have, from one definition of it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Absent,
    Applies,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
)
from accelbench.harness.schema.measurement import Better, Interval
from accelbench.harness.statistics.intervals import Estimate, mean_estimate, percentile_estimate

Quantity: TypeAlias = Callable[[Observation], Numbers]
Estimator: TypeAlias = Callable[[Numbers], Estimate]

PERCENTILES: Mapping[str, Estimator] = {
    f"p{percent}": partial(percentile_estimate, percent=percent, of="requests")
    for percent in (50, 95, 99)
}
STATISTICS: Mapping[str, Estimator] = {
    "mean": partial(mean_estimate, of="requests"),
    **PERCENTILES,
}


@dataclass(frozen=True)
class Kind:
    """A quantity of which mean and percentiles are taken.

    Attributes:
        name: What comes before the statistic, e.g. "e2e.response".
        unit: SI base units.
        summary: The quantity in words, to go after "Mean of" and "p95 of".
        formula: Its formula.
        source: The equation and section it comes from.
        needs: What a request must have told for it, in words.
        applies: Whether a trace has anything of its kind.
        better: Whether lower or higher is better.
        version: Counts changes of the definition.
    """

    name: str
    unit: str
    summary: str
    formula: str
    source: str
    needs: str
    applies: Applies
    better: Better = "lower"
    version: int = 1


def per_request(kind: Kind, *, censored: bool = False) -> Callable[[Quantity], Quantity]:
    """Registers mean, p50, p95 and p99 of a quantity with one entry a request.

    They run over completed requests that have it (not NaN).

    Args:
        kind: What the quantity is.
        censored: Whether percentiles that take a failed request for infinitely slow are
            registered as well.
    """

    def register(quantity: Quantity) -> Quantity:
        def plain(seen: Observation, estimator: Estimator) -> Outcome:
            values = quantity(seen)[seen.requests.completed]
            return outcome_of(seen, values, kind.needs, estimator)

        def with_failures(seen: Observation, estimator: Estimator) -> Outcome:
            values = np.where(seen.requests.ok, quantity(seen), math.inf)
            return outcome_of(seen, values[seen.requests.due_inside], kind.needs, estimator)

        over = "over completed requests due in the window"
        _register(kind, kind.name, over, STATISTICS, plain)
        if censored:
            over = "over requests due in the window, +infinity for each that is not ok"
            _register(kind, f"{kind.name}.censored", over, PERCENTILES, with_failures)
        return quantity

    return register


def pooled(kind: Kind, *, of: str) -> Callable[[Quantity], Quantity]:
    """Registers mean, p50, p95 and p99 of a quantity that a request has many times.

    They carry no interval, because what belongs to one request is not independent.

    Args:
        kind: What the quantity is.
        of: What its entries are, e.g. "gaps".
    """

    def register(quantity: Quantity) -> Quantity:
        def compute(seen: Observation, estimator: Estimator) -> Outcome:
            found = outcome_of(seen, quantity(seen), kind.needs, estimator)
            if isinstance(found, Absent):
                return found
            return Value(found.value, found.n, reason=f"{of} of a request are not independent")

        over = f"over all {of} of completed requests due in the window, pooled"
        _register(kind, kind.name, over, STATISTICS, compute)
        return quantity

    return register


def _register(
    kind: Kind,
    stem: str,
    over: str,
    statistics: Mapping[str, Estimator],
    compute: Callable[[Observation, Estimator], Outcome],
) -> None:
    for statistic, estimator in statistics.items():
        name = f"{stem}.{statistic}"
        definition = Definition(
            name,
            kind.unit,
            f"{statistic.capitalize()} of {kind.summary}, {over}.",
            f"{statistic}({kind.formula}){'' if statistic == 'mean' else ', numpy linear'}; {over}",
            kind.source,
            kind.better,
            kind.version,
        )
        METRICS[name] = Metric(
            define(definition), kind.applies, partial(_named, name, compute, estimator)
        )


def _named(
    name: str,
    compute: Callable[[Observation, Estimator], Outcome],
    estimator: Estimator,
    seen: Observation,
) -> Mapping[str, Outcome]:
    return {name: compute(seen, estimator)}


def outcome_of(
    seen: Observation, values: Numbers, needs: str, estimator: Estimator = STATISTICS["mean"]
) -> Outcome:
    """A statistic of those values that are there, absent where none is or it is infinite.

    Args:
        seen: The trial.
        values: NaN where there is none, +infinity for a failure.
        needs: What a request must have told for it, in words.
        estimator: The statistic.
    """
    values = values[~np.isnan(values)]
    if values.size == 0:
        return _lacking(seen, needs)
    estimate = estimator(values)
    if math.isinf(estimate.value):
        failed = int(np.isinf(values).sum())
        return Absent(f"infinite: {failed} of {values.size} requests failed", values.size)
    found = estimate.bounds
    interval = (
        Interval(found.low, found.high, found.level, found.method, "requests") if found else None
    )
    return Value(estimate.value, estimate.n, interval, estimate.reason)


def _lacking(seen: Observation, needs: str) -> Absent:
    due, completed = int(seen.requests.due_inside.sum()), int(seen.requests.completed.sum())
    if due == 0:
        return Absent("no request was due in the window")
    if completed == 0:
        return Absent(f"none of the {due} requests due in the window was completed")
    return Absent(f"no completed request has {needs}", completed)
