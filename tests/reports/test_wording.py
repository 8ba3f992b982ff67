"""How numbers and verdicts are worded."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.schema.measurement import EnergyNote, Interval, Measurement
from accelbench.harness.schema.record import Reason
from accelbench.reports.wording import (
    count,
    energy_told,
    intervals_told,
    reasons_once,
    told,
    value_told,
    verdict,
)

PREFIX = {
    "T": 1e12,
    "G": 1e9,
    "M": 1e6,
    "k": 1e3,
    "": 1,
    "m": 1e-3,
    "µ": 1e-6,
    "n": 1e-9,
    "p": 1e-12,
}


def measured(value, low=None, high=None, unit="s", **other):
    """A measurement over three trials."""
    interval = None
    if low is not None:
        interval = Interval(low, high, 0.95, "Student t, independent trials", "trials")
    return Measurement(value, unit, 3, interval=interval, **other)


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (measured(0.00833), "8.33 ms"),
        (measured(0.00833, 0.00806, 0.0086), "8.33 ±0.27 ms"),
        (measured(0.6009, 0.4109, 0.7909), "601 ±190 ms"),
        (measured(0.00833, 0.00806, 0.0091), "8.33 [8.06, 9.10] ms"),
        (measured(11010.0, 10310.0, 11710.0, "sample/s"), "11.01 ±0.70 ksample/s"),
        (measured(0.9722, 0.9653, 0.9791, "1"), "0.9722 ±0.0069"),
        (measured(1.07e9, 1.07e9, 1.07e9, "sample/s"), "1.07 Gsample/s (same in 3 trials)"),
        (measured(50.0, 49.9999999, 50.0000001, "W"), "50.000000 ±1e-07 W"),
        (measured(0.0, -0.5, 0.5, "J"), "0.00 ±0.50 J"),
        (measured(-0.002, -0.003, -0.001, "J"), "-2.0 ±1.0 mJ"),
        (measured(None, reason="no probe"), "none"),
    ],
)
def test_a_value_stands_with_its_interval_in_one_unit(measurement, text):
    """Two digits of half-width, as many decimals of the value, one prefix for all."""
    assert value_told(measurement) == text


@given(
    value=st.floats(1e-11, 1e14), share=st.floats(1e-5, 3), unit=st.sampled_from(["s", "1", "J s"])
)
def test_what_is_told_is_what_was_found(value, share, unit):
    """Read back, value and half-width are the measurement's to the digits shown."""
    if unit == "1":
        value = 0.001 + value % 1000
    half = share * value
    text = value_told(measured(value, value - half, value + half, unit))
    number, width, scaled = re.fullmatch(r"(\S+) ±(\S+)(?: (.*))?", text).groups()
    factor = 1 if unit == "1" else PREFIX.get(scaled.removesuffix(unit), 1e15)
    assert float(width) * factor == pytest.approx(half, rel=0.051)
    assert float(number) * factor == pytest.approx(value, abs=max(half * 0.06, 6e-7 * factor))


def test_a_quantity_without_a_value_tells_its_reason():
    """Absence is never a number."""
    assert told(measured(None, reason="no probe")) == "none: no probe"


@pytest.mark.parametrize(
    ("quality", "mark"),
    [
        ("metered", "metered"),
        ("estimated", "est."),
        ("modelled", "model"),
        ("declared", "declared"),
    ],
)
def test_every_energy_says_how_it_is_known(quality, mark):
    """Beside the number, and once more in full."""
    note = EnergyNote(quality, "a method", "board", ("chip",))
    found = measured(2.0, unit="J", energy=note)
    assert told(found) == f"2 J {mark}"
    assert energy_told([found, found]).startswith(f"Energy: {mark} = ")
    assert energy_told([measured(1.0)]) == ""


def test_the_ways_intervals_were_made_are_told_once_each():
    """Level and method, from the intervals themselves."""
    one = measured(2.0, 1.0, 3.0)
    other = replace(one, interval=replace(one.interval, level=0.9, method="bootstrap"))
    text = intervals_told([one, one, other, measured(1.0)])
    assert text == "Intervals: 95 %, Student t, independent trials; 90 %, bootstrap."
    assert "No number" in intervals_told([measured(1.0)])


def test_a_verdict_names_the_first_reason_that_made_it(rehearsed):
    """Codes that warn are counted, and do not speak for an invalid cell."""
    cell = replace(rehearsed.summaries()[0], reasons=())
    warning = Reason("unsteady", "it drifted", "warning")
    late = Reason("target_not_met", "too low", "invalid")
    assert verdict(cell) == "valid"
    other = Reason("foreign_load", "noise", "warning")
    assert verdict(replace(cell, reasons=(warning, warning, other))) == "valid (2 warnings)"
    invalid = replace(cell, status="invalid", reasons=(warning, late))
    assert verdict(invalid) == "invalid: target_not_met"
    broken = Reason("failed", "it said so", "failed")
    assert verdict(replace(cell, status="failed", reasons=(late, broken))) == "failed"


def test_a_reason_of_several_cells_is_told_once_and_the_worst_first(rehearsed):
    """With the names of the cells it holds for."""
    first, second = rehearsed.summaries()[:2]
    warning = Reason("unsteady", "it drifted", "warning")
    late = Reason("target_not_met", "too low", "invalid")
    cells = [replace(first, reasons=(warning,)), replace(second, reasons=(warning, late))]
    assert reasons_once(cells) == [
        (late, second.cell),
        (warning, f"{first.cell}, {second.cell}"),
    ]


def test_one_code_with_several_figures_is_told_once(rehearsed):
    """The first detail stands for those of the other trials, and their number is told."""
    found = tuple(Reason("unsteady", f"it drifted by {k} %", "warning") for k in (12, 14, 11))
    first = replace(rehearsed.summaries()[0], reasons=found)
    assert reasons_once([first]) == [(found[0], f"{first.cell} (2 more alike)")]


def test_nouns_are_counted():
    """One trial, two trials."""
    assert [count(number, "trial") for number in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]
