"""Queries of several samples: the last sample decides."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def query(name: str, due: float, *took: float, status: str = "ok") -> list[dict[str, Any]]:
    """The samples of a query, due together; the status is that of the last one."""
    last = len(took) - 1
    return [
        {
            "id": f"{name}.{k}",
            "due": due,
            "sent": due,
            "done": due + seconds,
            "status": status if k == last else "ok",
            "query": name,
        }
        for k, seconds in enumerate(took)
    ]


def test_a_query_lasts_until_its_last_sample(make_trace: MakeTrace, values: Values) -> None:
    """Not until the mean one, and whatever their order in the table."""
    rows = [*query("a", 0, 0.5, 2.0, 1.0), *query("b", 3, 4.0, 1.0)]
    found = values(make_trace(requests=list(reversed(rows))))
    assert found["query.response.mean"] == pytest.approx(3.0)
    assert found["query.response.p50"] == pytest.approx(3.0)
    assert found["query.response.p99"] == pytest.approx(2 + 0.99 * 2)
    assert found["e2e.response.mean"] == pytest.approx(8.5 / 5)


def test_a_query_with_a_failed_sample_is_not_completed(make_trace: MakeTrace) -> None:
    """It is left out of the plain percentiles, and infinitely slow in the censored ones."""
    rows = [*query("a", 0, 1.0, 1.0), *query("b", 1, 0.1, 0.2, status="failed")]
    found = measure(make_trace(requests=rows), None)
    assert (found["query.response.p99"].value, found["query.response.p99"].n) == (1.0, 1)
    censored = found["query.response.censored.p99"]
    assert (censored.value, censored.n) == (None, 2)
    assert censored.reason == "infinite: 1 of 2 queries failed"


def test_queries_due_in_the_window_count(make_trace: MakeTrace, values: Values) -> None:
    """Those of the warm-up and of the tail do not."""
    rows = [*query("w", -5, 9.0, 9.0), *query("a", 1, 1.0, 2.0), *query("t", 11, 9.0, 9.0)]
    found = measure(make_trace(10.0, requests=rows), None)["query.response.p99"]
    assert (found.value, found.n) == (pytest.approx(2.0), 1)


def test_many_queries_have_an_interval(make_trace: MakeTrace) -> None:
    """As other percentiles of a trial have; a hundred thousandths more samples make no more of it."""
    took = np.random.default_rng(1).exponential(0.1, (400, 2))
    rows = [row for k, (a, b) in enumerate(took) for row in query(str(k), k, a, b)]
    found = measure(make_trace(400.0, requests=rows), None)
    for name in ("query.response.mean", "query.response.p90"):
        interval = found[name].interval
        assert interval is not None
        assert interval.low < found[name].value < interval.high
        assert "queries" in interval.method
        assert found[name].n == 400


def test_mlperf_takes_an_order_statistic(make_trace: MakeTrace) -> None:
    """Of 100 queries the one of rank floor(100 x 0.99) = 99 from 0: the slowest."""
    rows = [row for k in range(100) for row in query(str(k), k, (k + 1) / 1000)]
    trace = make_trace(200.0, requests=rows)
    found = measure(trace, None, on_request=True)
    assert found["query.response.mlperf.p99"].value == pytest.approx(0.1)
    assert found["query.response.mlperf.p90"].value == pytest.approx(0.091)
    assert "query.response.mlperf.p99" not in measure(trace, None)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (query("a", 20, 1.0), "no query was due in the window"),
        (
            query("a", 1, 1.0, status="failed"),
            "none of the 1 queries due in the window was completed",
        ),
        (
            [{"id": "0", "due": 1, "sent": 1, "done": None, "status": "ok", "query": "a"}],
            "no completed query tells when all of its samples were done",
        ),
    ],
)
def test_without_a_completed_query_there_is_a_reason(
    make_trace: MakeTrace, rows: list[dict[str, Any]], reason: str
) -> None:
    """None due, none completed, or none that tells its end."""
    found = measure(make_trace(10.0, requests=rows), None, on_request=True)
    for name in ("query.response.mean", "query.response.p99", "query.response.mlperf.p99"):
        assert (found[name].value, found[name].reason) == (None, reason)


def test_requests_without_a_query_have_none(make_trace: MakeTrace, values: Values) -> None:
    """Other loads tell no query; beside queries such a request is no part of one."""
    lone = {"id": "x", "due": 0, "sent": 0, "done": 9, "status": "ok"}
    assert not any(name.startswith("query.") for name in values(make_trace(requests=[lone])))
    found = values(make_trace(requests=[lone, *query("a", 1, 1.0, 2.0)]))
    assert found["query.response.mean"] == pytest.approx(2.0)
