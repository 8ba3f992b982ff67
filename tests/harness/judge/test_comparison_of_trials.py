"""When two sets of trials may be compared, and what refuses a comparison."""

from dataclasses import replace

import pytest

from accelbench.harness.judge.comparison import compare_trials
from accelbench.harness.metrics.registry import definition_of
from accelbench.harness.schema.measurement import EnergyNote, Measurement
from accelbench.harness.schema.record import Reason, Record

LATENCY = definition_of("e2e.service.p50")
ENERGY = definition_of("energy.total")
BOARD = EnergyNote("metered", "a counter", "board", ("chip", "memory"))


def trial(repeat, seconds, **changed):
    """One valid trial with a latency and an energy."""
    record = Record(
        schema="accelbench.record/1",
        cell="stream",
        cell_hash="0" * 64,
        repeat=repeat,
        round=0,
        session="s",
        workload="digits_cnn",
        scenario="single_stream",
        adapter="torch",
        platform="this_host",
        evidence="measured",
        clock="wall",
        status="valid",
        reasons=(),
        measurements={
            LATENCY.name: Measurement(seconds, "s", 100, version=1),
            ENERGY.name: Measurement(seconds, "J", 100, version=1, energy=BOARD),
        },
        engine={"dtype": "fp32"},
        started_utc="2026-01-01T00:00:00+00:00",
        finished_utc="2026-01-01T00:00:00+00:00",
    )
    return replace(record, **changed)


def trials(*seconds, **changed):
    """Trials with these latencies."""
    return [trial(number, value, **changed) for number, value in enumerate(seconds)]


BASE = trials(1.00, 1.01, 0.99, 1.00, 1.005)
SLOWER = trials(1.20, 1.21, 1.19, 1.20, 1.205)


def remeasured(records, name, **changed):
    """The same trials with one measurement changed."""
    return [
        replace(
            record,
            measurements={
                **record.measurements,
                name: replace(record.measurements[name], **changed),
            },
        )
        for record in records
    ]


def test_trials_that_match_are_compared_in_the_direction_of_their_metric():
    """A longer time is worse; the same trials are equivalent; the ratio is new over base."""
    slower = compare_trials(BASE, SLOWER, LATENCY, 0.02)
    assert slower.verdict == "worse"
    assert slower.ratio == pytest.approx(1.2, rel=0.01)
    assert compare_trials(SLOWER, BASE, LATENCY, 0.02).verdict == "better"
    assert compare_trials(BASE, BASE, LATENCY, 0.02).verdict == "equivalent"
    assert compare_trials(BASE, SLOWER, replace(LATENCY, better="higher"), 0.02).verdict == "better"


def test_what_is_compared_may_differ():
    """Adapter, platform and cell are what a comparison is about."""
    other = trials(1.0, 1.0, adapter="other", platform="b200_paper", cell="elsewhere")
    assert compare_trials(BASE, other, LATENCY, 0.02).verdict == "equivalent"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"workload": "tiny_llama"}, "the workload differs: digits_cnn and tiny_llama"),
        ({"scenario": "offline"}, "the scenario differs: offline and single_stream"),
        ({"engine": {"dtype": "bf16"}}, "the precision differs: bf16 and fp32"),
        (
            {"engine": {"precision_map": {"weights": "int8"}}},
            "the precision differs: fp32 and int8",
        ),
        ({"evidence": "emulated"}, "the evidence class differs: emulated and measured"),
        ({"clock": "simulated"}, "the clock differs: simulated and wall"),
    ],
)
def test_other_work_or_another_way_to_know_is_incomparable(changed, reason):
    """One trial that differs is enough, on whichever side."""
    odd = [*SLOWER[1:], replace(SLOWER[0], **changed)]
    for sides in ((BASE, odd), (odd, BASE)):
        found = compare_trials(*sides, LATENCY, 0.02)
        assert (found.verdict, found.reason) == ("incomparable", reason)
        assert found.ratio is found.bounds is None


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"unit": "ms"}, "the unit differs: ms and s"),
        ({"version": 2}, "the version of the metric differs: 1 and 2"),
        (
            {"value": None, "reason": "no request"},
            "trial stream/0 of the new side has no value of e2e.service.p50: no request",
        ),
    ],
)
def test_numbers_that_are_not_the_same_quantity_are_incomparable(changed, reason):
    """Unit, definition, and whether there is a value."""
    found = compare_trials(BASE, remeasured(SLOWER, LATENCY.name, **changed), LATENCY, 0.02)
    assert (found.verdict, found.reason) == ("incomparable", reason)


def test_a_metric_that_a_trial_lacks_is_incomparable():
    """The trial is named."""
    found = compare_trials(BASE, SLOWER, definition_of("ttft.service.p50"), 0.02)
    assert (found.verdict, found.reason) == (
        "incomparable",
        "trial stream/0 of the base side has no ttft.service.p50",
    )


def test_an_invalid_trial_is_never_compared():
    """Its codes are named; warnings are not held against it."""
    reasons = (Reason("unsteady", "x", "invalid"), Reason("clock_step", "x", "warning"))
    invalid = [*SLOWER[1:], replace(SLOWER[0], status="invalid", reasons=reasons)]
    found = compare_trials(BASE, invalid, LATENCY, 0.02)
    assert (found.verdict, found.reason) == (
        "incomparable",
        "trial stream/0 of the new side is invalid: unsteady",
    )
    warned = [replace(record, reasons=reasons[1:]) for record in SLOWER]
    assert compare_trials(BASE, warned, LATENCY, 0.02).verdict == "worse"


def test_a_side_without_trials_is_incomparable():
    """There is nothing to compare with."""
    assert compare_trials([], SLOWER, LATENCY, 0.02).reason == "the base side has no trials"
    assert compare_trials(BASE, [], LATENCY, 0.02).reason == "the new side has no trials"


@pytest.mark.parametrize(
    ("note", "reason"),
    [
        (
            replace(BOARD, scope="wall"),
            "the boundary of energy (RULE-03) differs: board (chip, memory) and wall (chip, memory)",
        ),
        (
            replace(BOARD, covers=("chip",)),
            "the boundary of energy (RULE-03) differs: board (chip) and board (chip, memory)",
        ),
        (None, "the boundary of energy (RULE-03) differs: board (chip, memory) and none told"),
        (
            replace(BOARD, net_of_idle=True),
            "whether idle power is subtracted differs: gross and net of idle",
        ),
    ],
)
def test_energy_across_boundaries_is_refused(note, reason):
    """Chip, board and wall are different quantities (RULE-03 of the survey)."""
    assert compare_trials(BASE, SLOWER, ENERGY, 0.02).verdict == "worse"
    found = compare_trials(BASE, remeasured(SLOWER, ENERGY.name, energy=note), ENERGY, 0.02)
    assert (found.verdict, found.reason) == ("incomparable", reason)
