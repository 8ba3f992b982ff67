"""What a run may claim of a percentile with its count of requests, by the kind of its load."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.metrics.early_stop import held
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.trace import Arrivals, ServiceLevel, Trace
from accelbench.harness.statistics.early_stopping import passes

MakeTrace: TypeAlias = Callable[..., Trace]

SINGLE = "early_stop.e2e.response.p90"
MULTI = "early_stop.query.response.p99"
OPEN = Arrivals("poisson", 1.0)


def stream(took: Sequence[float]) -> list[dict[str, Any]]:
    """Requests one after another, each as long as given; none succeeded that took no time."""
    ends = np.cumsum(took)
    return [
        {
            "id": str(k),
            "due": end - taken,
            "sent": end - taken,
            "done": end,
            "status": "ok" if taken else "failed",
        }
        for k, (end, taken) in enumerate(zip(ends, took, strict=True))
    ]


def schedule(took: Sequence[float]) -> list[dict[str, Any]]:
    """Requests that are due a tenth of a second after another, however long each takes."""
    return [
        {"id": str(k), "due": k / 10, "sent": k / 10, "done": k / 10 + taken, "status": "ok"}
        for k, taken in enumerate(took)
    ]


def shuffled(n: int) -> list[float]:
    """0.01, 0.02, ... s in a drawn order."""
    return [float(taken) for taken in np.random.default_rng(1).permutation(n) / 100 + 0.01]


@pytest.mark.parametrize(("n", "place"), [(64, 64), (80, 80), (81, 80), (127, 123), (197, 188)])
def test_a_single_stream_reports_what_loadgen_reports(
    make_trace: MakeTrace, n: int, place: int
) -> None:
    """The p90 that is left when one slow request fewer is discarded than may be slow."""
    found = measure(make_trace(1e4, requests=stream(shuffled(n))), None)[SINGLE]
    assert (found.value, found.n, found.unit) == (pytest.approx(place / 100), n, "s")
    assert found.reason == "it is itself a bound, at a confidence of 99 %"


def test_too_few_say_how_many_it_takes(make_trace: MakeTrace) -> None:
    """64 of a single stream; failed ones are the slowest and make it infinite."""
    few = measure(make_trace(1e4, requests=stream([1.0] * 63)), None)[SINGLE]
    assert (few.value, few.n) == (None, 63)
    assert few.reason == "early stopping at p90 needs 64 queries, there are 63"
    failed = measure(make_trace(1e4, requests=stream([1.0] * 63 + [0.0])), None)[SINGLE]
    assert (failed.value, failed.reason) == (None, "infinite: 1 of 64 requests failed")


def test_a_multi_stream_load_reports_the_p99_of_its_queries(make_trace: MakeTrace) -> None:
    """662 queries of two samples, none of which may be left out."""
    rows = [
        {**row, "id": f"{row['id']}.{k}", "query": row["id"]}
        for row in stream(shuffled(662))
        for k in range(2)
    ]
    found = measure(make_trace(1e5, requests=rows), None)
    assert (found[MULTI].value, found[MULTI].n) == (pytest.approx(6.62), 662)
    assert SINGLE not in found
    few = measure(make_trace(1e5, requests=rows[:-2]), None)[MULTI]
    assert few.reason == "early stopping at p99 needs 662 queries, there are 661"


@pytest.mark.parametrize("n", [459, 661, 662, 2010])
def test_the_tightest_limit_is_the_least_that_passes(make_trace: MakeTrace, n: int) -> None:
    """A service level of exactly it passes, one of a hair less does not."""
    rows = schedule(shuffled(n))
    (bound,) = (
        found.value
        for name, found in measure(make_trace(1e4, {"arrivals": OPEN}, requests=rows), None).items()
        if name.startswith("early_stop.")
    )
    assert bound is not None
    for limit_s, meets in ((bound + 1e-6, True), (bound - 1e-6, False)):
        trace = make_trace(1e4, {"slo": ServiceLevel(e2e_s=limit_s)}, requests=rows)
        (one,) = held(Observation(trace))
        assert (one.passes, one.n, one.passes) == (meets, n, passes(n, one.over, 99))


def test_a_server_that_generates_has_a_limit_on_each_quantity(make_trace: MakeTrace) -> None:
    """The first token a second after due, four more a tenth apart; 459 requests are needed."""
    rows = [
        {"id": str(k), "due": 2.0 * k, "sent": 2.0 * k, "done": 2.0 * k + 1.5, "status": "ok"}
        for k in range(459)
    ]
    tokens = [
        {"id": str(k), "at": 2.0 * k + 1 + j / 10, "count": 1} for k in range(459) for j in range(5)
    ]
    head = {"arrivals": OPEN, "slo": ServiceLevel(ttft_s=1.1, itl_s=0.05)}
    trace = make_trace(1e3, head, requests=rows, tokens=tokens)
    found = measure(trace, None)
    assert {n: found[n].value for n in found if n.startswith("early_stop")} == {
        "early_stop.limit.ttft.response.p99": pytest.approx(1.0),
        "early_stop.limit.itl.request.p99": pytest.approx(0.1),
        "early_stop.limit.e2e.response.p99": pytest.approx(1.5),
    }
    ttft, itl = held(Observation(trace))
    assert (ttft.quantity, ttft.over, ttft.passes) == ("ttft.response", 0, True)
    assert (itl.quantity, itl.over, itl.n, itl.passes) == ("itl.request", 459, 459, False)


def test_a_request_of_one_token_has_no_gap_that_is_too_long(make_trace: MakeTrace) -> None:
    """As of goodput; what fails or tells of no token is beyond every limit."""
    rows = [{**row, "output_tokens": 1} for row in schedule([0.5] * 459)]
    tokens = [{"id": str(k), "at": k / 10 + 0.2, "count": 1} for k in range(458)]
    head = {"slo": ServiceLevel(ttft_s=0.3, itl_s=0.01)}
    ttft, itl = held(Observation(make_trace(1e3, head, requests=rows, tokens=tokens)))
    assert (ttft.over, ttft.passes, ttft.needed) == (1, False, 662)
    assert (itl.over, itl.passes) == (0, True)


def test_other_loads_report_nothing(make_trace: MakeTrace) -> None:
    """All at once, several users, or one batch alone: MLPerf has no percentile of them."""
    at_once = [{**row, "due": 0.0} for row in stream([1.0] * 64)]
    users = [{**row, "due": row["due"] - 0.5} for row in stream([1.0] * 64)]
    for rows in (at_once, users, stream([1.0])):
        assert not [
            name for name in measure(make_trace(1e3, requests=rows), None) if "early_stop" in name
        ]
