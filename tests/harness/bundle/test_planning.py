"""A pilot says how many trials and requests a precision takes."""

from dataclasses import replace
from pathlib import Path

import pytest

from accelbench.harness.bundle.planning import plan_cell
from accelbench.harness.bundle.summary import read_bundle

NOW, LATER = "2026-01-01T00:00:00+00:00", "2026-01-01T00:00:05+00:00"


@pytest.fixture(scope="module")
def bundle(rehearsal: Path):
    """The finished rehearsal: three trials a cell, ten per cent of jitter."""
    return read_bundle(rehearsal)


def test_twice_the_precision_takes_four_times_the_trials(bundle) -> None:
    """Stein's number grows with the square of the precision."""
    coarse = plan_cell(bundle, "stream", "e2e.service.mean", 2e-4)
    fine = plan_cell(bundle, "stream", "e2e.service.mean", 1e-4)
    assert coarse.trials > 3
    assert fine.trials == pytest.approx(4 * coarse.trials, abs=4)
    assert fine.seconds == pytest.approx(fine.trials * coarse.seconds / coarse.trials)


def test_requests_are_traded_against_trials_where_they_vary(bundle) -> None:
    """For a mean over requests on a wall clock; a percentile or a rate has no such mix."""
    records = tuple(
        replace(record, clock="wall", started_utc=NOW, finished_utc=LATER)
        for record in bundle.records
    )
    measured = replace(bundle, records=records)
    mix = plan_cell(measured, "stream", "e2e.service.mean", 1e-3).cheapest
    assert mix is not None
    assert mix.trials >= 2
    assert mix.requests >= 1
    assert plan_cell(measured, "stream", "e2e.service.p99", 1e-2).cheapest is None
    assert plan_cell(measured, "stream", "tp.requests", 1e-2).cheapest is None


def test_simulated_seconds_are_not_weighed_against_those_of_a_session(bundle) -> None:
    """They are on another clock, so there is no cheapest mix."""
    assert plan_cell(bundle, "stream", "e2e.service.mean", 1e-3).cheapest is None


def test_what_a_cell_lacks_is_told(bundle) -> None:
    """No trial has it: no plan, and why."""
    plan = plan_cell(bundle, "stream", "train.time_to_target", 0.01)
    assert plan.trials is None
    assert plan.reason == "a pilot needs 2 valid trials with train.time_to_target, there are 0"
