"""Queries of several samples: the time until the last of them is done.

MLPerf's multi-stream scenario sends one query of several samples at a time and judges a system by
the 99th percentile of the time until all of them are done. Samples of one query share its id in
column `query` of the requests.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.distribution import value_of
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import (
    METRICS,
    ON_REQUEST,
    Absent,
    Definition,
    Metric,
    Outcome,
    define,
)
from accelbench.harness.statistics.dependent import mean_interval, percentile_interval
from accelbench.harness.statistics.early_stopping import order_statistic
from accelbench.harness.statistics.intervals import Estimate
from accelbench.harness.units import NS_PER_S

STEM = "query.response"
CENSORED = f"{STEM}.censored"
RANKED = f"{STEM}.mlperf"
PERCENTS = (50, 90, 95, 99)

_COMPLETED = "over queries due in the window of which every sample is ok"
_ALL = "over queries due in the window, +infinity for each with a sample that is not ok"
_RANK = "the order statistic floor(N p), from 0, as MLPerf takes it"


@dataclass(frozen=True)
class Queries:
    """The queries of a trial in the order in which they were due.

    Attributes:
        response: From the first due instant of its samples to the last end of them, s.
        ok: Whether every sample succeeded.
    """

    response: Numbers
    ok: Flags


def queries(seen: Observation) -> Queries:
    """The queries that were due in the window."""
    return once(seen, "queries", lambda: _queries(seen))


def _queries(seen: Observation) -> Queries:
    names = seen.column("requests", "query").dictionary_encode()
    told = np.asarray(pc.is_valid(names).to_numpy(zero_copy_only=False), dtype=np.bool_)
    of = np.asarray(names.indices.drop_null().to_numpy(zero_copy_only=False), dtype=np.int64)
    count, requests = len(names.dictionary), seen.requests
    due, done = np.full(count, np.inf), np.full(count, -np.inf)
    ok = np.ones(count, np.bool_)
    with np.errstate(invalid="ignore"):  # an end that is not told leaves the query without one
        np.minimum.at(due, of, requests.due[told])
        np.maximum.at(done, of, requests.done[told])
    np.logical_and.at(ok, of, requests.ok[told])
    inside = np.flatnonzero(seen.inside(due))
    turn = inside[np.argsort(due[inside], kind="stable")]
    return Queries((done - due)[turn] / NS_PER_S, ok[turn])


def tells_queries(seen: Observation) -> bool:
    """The trial has queries of several samples."""
    return serves(seen) and seen.tells("requests", "query")


def response(seen: Observation) -> Mapping[str, Outcome]:
    """Mean and percentiles of the response time of completed queries, by name."""
    found = queries(seen)
    values = found.response[found.ok & ~np.isnan(found.response)]
    if values.size == 0:
        why = _lacking(found)
        return dict.fromkeys((f"{STEM}.mean", *_names(STEM)), why)
    ordered = np.sort(values)
    estimates = {f"{STEM}.mean": mean_interval(values, of="queries")} | {
        f"{STEM}.p{p}": percentile_interval(values, p, of="queries", ordered=ordered)
        for p in PERCENTS
    }
    return {name: value_of(estimate, "requests") for name, estimate in estimates.items()}


def censored(seen: Observation) -> Mapping[str, Outcome]:
    """Percentiles over all queries, one with a failed sample being infinitely slow, by name."""
    found = queries(seen)
    values = np.where(found.ok, found.response, math.inf)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return dict.fromkeys(_names(CENSORED), _lacking(found))
    ordered, failed = np.sort(values), int(np.isinf(values).sum())
    return {
        f"{CENSORED}.p{p}": _finite(
            percentile_interval(values, p, of="queries", ordered=ordered), failed
        )
        for p in PERCENTS
    }


def ranked(seen: Observation) -> Mapping[str, Outcome]:
    """MLPerf's order statistics of completed queries, by name."""
    found = queries(seen)
    values = np.sort(found.response[found.ok & ~np.isnan(found.response)])
    if values.size == 0:
        return dict.fromkeys(_names(RANKED), _lacking(found))
    reason = "an order statistic carries no interval"
    return {
        f"{RANKED}.p{p}": value_of(
            Estimate(order_statistic(values, p), values.size, None, reason), "requests"
        )
        for p in PERCENTS
    }


def _names(stem: str) -> tuple[str, ...]:
    return tuple(f"{stem}.p{percent}" for percent in PERCENTS)


def _finite(estimate: Estimate, failed: int) -> Outcome:
    if math.isinf(estimate.value):
        return Absent(f"infinite: {failed} of {estimate.n} queries failed", estimate.n)
    return value_of(estimate, "requests")


def _lacking(found: Queries) -> Absent:
    due = found.ok.size
    if due == 0:
        return Absent("no query was due in the window")
    if not found.ok.any():
        return Absent(f"none of the {due} queries due in the window was completed")
    return Absent("no completed query tells when all of its samples were done", due)


def _define(stem: str, statistic: str, over: str, how: str) -> None:
    define(
        Definition(
            f"{stem}.{statistic}",
            "s",
            f"{statistic.capitalize()} of the time from when a query was due to the end of its last"
            f" sample, {over}.",
            f"{statistic}(done of the last sample - due){how}; {over}",
            "eq. 2, section 6.2; multi-stream scenario of MLPerf Inference",
            "lower",
        )
    )


_define(STEM, "mean", _COMPLETED, "")
for _percent in PERCENTS:
    _define(STEM, f"p{_percent}", _COMPLETED, ", numpy linear")
    _define(CENSORED, f"p{_percent}", _ALL, ", numpy linear")
    _define(RANKED, f"p{_percent}", _COMPLETED, f", {_RANK}")

METRICS[STEM] = Metric(STEM, tells_queries, response)
METRICS[CENSORED] = Metric(CENSORED, tells_queries, censored)
ON_REQUEST[RANKED] = Metric(RANKED, tells_queries, ranked)
