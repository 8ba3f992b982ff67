"""Drift: the slope of throughput over a window that is long enough."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


def at_rates(rates: list[int], part_s: float, **more: Any) -> list[dict[str, Any]]:
    """Requests done evenly in each part of the window."""
    return [
        {
            "id": f"{part}.{k}", "due": 0, "sent": 0, "status": "ok",
            "done": (part + (k + 0.5) / count) * part_s, **more,
        }
        for part, count in enumerate(rates)
        for k in range(count)
    ]  # fmt: skip


def test_an_even_trial_does_not_drift(make_trace: MakeTrace, values: Values) -> None:
    """The slope is 0 and the last tenth as fast as the first."""
    found = values(make_trace(100, requests=at_rates([20] * 10, 10)))
    assert found["throughput.drift"] == pytest.approx(0, abs=1e-9)
    assert found["throughput.drift.deciles"] == pytest.approx(1)


def test_drift_is_a_share_of_the_mean_an_hour(make_trace: MakeTrace, values: Values) -> None:
    """From 30 to 12 a part, straight down: 2 a part of a mean of 21, a part being 1/360 h."""
    found = values(make_trace(100, requests=at_rates(list(range(30, 10, -2)), 10)))
    assert found["throughput.drift"] == pytest.approx(-2 / 21 * 360 * 100)
    assert found["throughput.drift.deciles"] == pytest.approx(12 / 30)


def test_samples_count_before_tokens_and_tokens_before_requests(
    make_trace: MakeTrace, values: Values
) -> None:
    """Batches that grow as their rate falls keep the throughput even."""
    rows = at_rates([20] * 5, 10) + [
        {**row, "id": "b" + row["id"], "done": row["done"] + 50} for row in at_rates([10] * 5, 10)
    ]
    for key in ("samples", "output_tokens"):
        told = [{**row, key: 2 if row["id"].startswith("b") else 1} for row in rows]
        found = values(make_trace(100, requests=told))
        assert found["throughput.drift"] == pytest.approx(0, abs=1e-9)
    assert values(make_trace(100, requests=rows))["throughput.drift.deciles"] == pytest.approx(0.5)


def test_a_short_trial_says_what_length_would_do(make_trace: MakeTrace) -> None:
    """A minute at least, and a hundred completions at the rate that was seen."""
    few = measure(make_trace(100, requests=at_rates([1] * 10, 10)), None)["throughput.drift"]
    assert few.reason == "10 completions in 100 s are too few, about 1000 s would do"
    brief = measure(make_trace(1, requests=at_rates([20] * 10, 0.1)), None)
    assert brief["throughput.drift.deciles"].reason == (
        "200 completions in 1 s are too few, about 60 s would do"
    )
    none = measure(make_trace(100, requests=[{"id": "a", "due": 0, "status": "failed"}]), None)
    assert none["throughput.drift"].reason == "no request was completed in the window"


def test_a_first_tenth_without_work_has_no_ratio(make_trace: MakeTrace) -> None:
    """Nothing is divided by zero; the slope is still told."""
    found = measure(make_trace(100, requests=at_rates([0, *[20] * 9], 10)), None)
    assert found["throughput.drift.deciles"].reason == (
        "nothing was completed in the first tenth of the window"
    )
    assert found["throughput.drift"].value is not None


def test_drift_has_an_interval_from_what_scatters_about_its_line(make_trace: MakeTrace) -> None:
    """Even but for chance: 0 lies inside; straight down: it has hardly any width and 0 outside."""
    ragged = measure(make_trace(100, requests=at_rates([22, 18] * 5, 10)), None)["throughput.drift"]
    falling = at_rates(list(range(30, 10, -2)), 10)
    sure = measure(make_trace(100, requests=falling), None)["throughput.drift"]
    assert ragged.interval is not None
    assert sure.interval is not None
    assert ragged.interval.low < 0 < ragged.interval.high
    assert sure.interval.low == pytest.approx(sure.value) == pytest.approx(sure.interval.high)
    assert ragged.interval.over == "samples"
    assert "independent parts of the window" in ragged.interval.method
