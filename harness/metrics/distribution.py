"""Mean and percentiles of a quantity that requests have, from one definition of it."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TypeAlias

import numpy as np

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    ON_REQUEST,
    Absent,
    Applies,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
)
from accelbench.harness.schema.measurement import Better, Interval
from accelbench.harness.statistics.dependent import mean_interval, percentile_interval
from accelbench.harness.statistics.early_stopping import order_statistic
from accelbench.harness.statistics.intervals import Estimate

PERCENTS = (50, 95, 99)


@dataclass(frozen=True)
class Series:
    """Values of requests in the order in which they came; sorted once for all percentiles.

    Attributes:
        values: At least one; +infinity for a failure.
    """

    values: Numbers

    @cached_property
    def ordered(self) -> Numbers:
        """The same, ascending."""
        return np.sort(self.values)


Quantity: TypeAlias = Callable[[Observation], Numbers]
Estimator: TypeAlias = Callable[[Series], Estimate | Absent]


def _mean(series: Series) -> Estimate:
    return mean_interval(series.values, of="requests")


def _percentile(series: Series, percent: int) -> Estimate:
    return percentile_interval(series.values, percent, of="requests", ordered=series.ordered)


def _order_statistic(series: Series, percent: int) -> Estimate:
    value = order_statistic(series.ordered, percent)
    return Estimate(value, series.values.size, None, "an order statistic carries no interval")


QUANTITIES: dict[str, Quantity] = {}
"""Values of completed requests in the order in which they came, NaN where there is none, by kind."""


def _deviation(series: Series) -> Estimate | Absent:
    n = series.values.size
    if n < 2:  # noqa: PLR2004  (a spread needs two)
        return Absent("a standard deviation needs 2 requests, there is 1", n)
    value = float(series.values.std(ddof=1))
    return Estimate(value, n, None, "a standard deviation is given without an interval")


def _largest(series: Series) -> Estimate:
    reason = "the largest value grows with the number of requests: it has no interval"
    return Estimate(float(series.ordered[-1]), series.values.size, None, reason)


PERCENTILES: Mapping[str, Estimator] = {
    f"p{percent}": partial(_percentile, percent=percent) for percent in PERCENTS
}
STATISTICS: Mapping[str, Estimator] = {"mean": _mean, **PERCENTILES}
SPREAD: Mapping[str, Estimator] = {"std": _deviation, "max": _largest}
ORDER_STATISTICS: Mapping[str, Estimator] = {
    f"p{percent}": partial(_order_statistic, percent=percent) for percent in PERCENTS
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


@dataclass(frozen=True)
class _Form:
    """One way to take statistics of a kind.

    Attributes:
        stem: What comes before the statistic.
        over: What they run over, in words.
        statistics: The estimators by name.
        estimator: The percentile's definition, in words.
    """

    stem: str
    over: str
    statistics: Mapping[str, Estimator]
    estimator: str = "numpy linear"


def per_request(
    kind: Kind, *, censored: bool = False, spread: bool = False
) -> Callable[[Quantity], Quantity]:
    """Registers mean, p50, p95 and p99 of a quantity with one entry a request.

    They run over completed requests that have it (not NaN). MLPerf's order statistics are
    registered beside them, computed on request.

    Args:
        kind: What the quantity is.
        censored: Whether percentiles that take a failed request for infinitely slow are
            registered as well.
        spread: Whether the standard deviation and the largest value are registered as well.
    """
    completed = "over completed requests due in the window"
    statistics = {**STATISTICS, **SPREAD} if spread else STATISTICS
    plain = _Form(kind.name, completed, statistics)
    failures = _Form(
        f"{kind.name}.censored",
        "over requests due in the window, +infinity for each that is not ok",
        PERCENTILES,
    )
    ranks = _Form(
        f"{kind.name}.mlperf",
        completed,
        ORDER_STATISTICS,
        "the order statistic floor(N p), from 0, as MLPerf takes it",
    )

    def register(quantity: Quantity) -> Quantity:
        def of_completed(seen: Observation) -> Numbers:
            return quantity(seen)[seen.turn][seen.requests.completed[seen.turn]]

        def with_failures(seen: Observation) -> Numbers:
            values = np.where(seen.requests.ok, quantity(seen), math.inf)
            return values[seen.turn][seen.requests.due_inside[seen.turn]]

        QUANTITIES[kind.name] = of_completed
        _register(kind, plain, of_completed, METRICS)
        _register(kind, ranks, of_completed, ON_REQUEST)
        if censored:
            _register(kind, failures, with_failures, METRICS)
        return quantity

    return register


def define_statistics(kind: Kind, form: _Form) -> None:
    """Puts a definition for each statistic of a form into the catalogue."""
    for statistic in form.statistics:
        how = f", {form.estimator}" if statistic in PERCENTILES else ""
        define(
            Definition(
                f"{form.stem}.{statistic}",
                kind.unit,
                f"{statistic.capitalize()} of {kind.summary}, {form.over}.",
                f"{statistic}({kind.formula}){how}; {form.over}",
                kind.source,
                kind.better,
                kind.version,
            )
        )


def _register(kind: Kind, form: _Form, values: Quantity, registry: dict[str, Metric]) -> None:
    define_statistics(kind, form)

    def compute(seen: Observation) -> Mapping[str, Outcome]:
        return dict(_outcomes(seen, values(seen), kind.needs, form))

    registry[form.stem] = Metric(form.stem, kind.applies, compute)


def _outcomes(
    seen: Observation, values: Numbers, needs: str, form: _Form
) -> Iterator[tuple[str, Outcome]]:
    series = Series(values[~np.isnan(values)])
    for statistic, estimator in form.statistics.items():
        yield f"{form.stem}.{statistic}", _outcome(seen, series, needs, estimator)


def outcome_of(seen: Observation, values: Numbers, needs: str) -> Outcome:
    """The mean of those values that are there, absent where none is.

    Args:
        seen: The trial.
        values: Of requests, in the order of `seen.turn`; NaN where there is none.
        needs: What a request must have told for it, in words.
    """
    return _outcome(seen, Series(values[~np.isnan(values)]), needs, _mean)


def _outcome(seen: Observation, series: Series, needs: str, estimator: Estimator) -> Outcome:
    if series.values.size == 0:
        return lacking(seen, needs)
    found = estimator(series)
    if isinstance(found, Absent):
        return found
    return value_of(found, "requests", int(np.isinf(series.ordered).sum()))


def value_of(estimate: Estimate, over: str, infinite: int = 0) -> Outcome:
    """What stands in a record for an estimate.

    Args:
        estimate: The estimate.
        over: What its interval is over: "requests" or "samples".
        infinite: How many of the values are infinite.
    """
    if math.isinf(estimate.value):
        return Absent(f"infinite: {infinite} of {estimate.n} requests failed", estimate.n)
    found = estimate.bounds
    interval = (
        Interval(
            found.low,
            found.high,
            found.level,
            found.method,
            "samples" if over == "samples" else "requests",
        )
        if found
        else None
    )
    return Value(estimate.value, estimate.n, interval, estimate.reason)


def lacking(seen: Observation, needs: str) -> Absent:
    """Why no request has a quantity."""
    due, completed = int(seen.requests.due_inside.sum()), int(seen.requests.completed.sum())
    if due == 0:
        return Absent("no request was due in the window")
    if completed == 0:
        return Absent(f"none of the {due} requests due in the window was completed")
    return Absent(f"no completed request has {needs}", completed)
