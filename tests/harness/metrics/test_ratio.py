"""The ratio of two means and its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelbench.harness.metrics.ratio import inverted, ratio_of_means, scaled, times
from accelbench.harness.metrics.registry import Absent, Value
from accelbench.harness.schema.measurement import Interval

WITHIN = Interval(2.0, 4.0, 0.95, "any", "trials")

trials = st.lists(st.floats(0.1, 1e6), min_size=2, max_size=6)


def test_the_interval_of_a_ratio_by_hand() -> None:
    """Two trials a side with 10 % of spread: variances 0.005 each, two degrees of freedom."""
    found = ratio_of_means((1.8, 2.2), (0.9, 1.1))
    assert isinstance(found, Value)
    assert (found.value, found.n) == (pytest.approx(2), 2)
    assert found.interval is not None
    half = 4.302652729911275 * (2 * 0.01) ** 0.5
    assert found.interval.high == pytest.approx(2 * np.exp(half))
    assert found.interval.low == pytest.approx(2 * np.exp(-half))
    assert found.interval.over == "trials"


@given(trials, trials)
def test_the_inverse_ratio_has_the_inverse_interval(top: list[float], bottom: list[float]) -> None:
    """Times and rates of the same trials say the same."""
    one, other = ratio_of_means(top, bottom), ratio_of_means(bottom, top)
    assert isinstance(one, Value)
    assert isinstance(other, Value)
    assert one.interval is not None
    assert other.interval is not None
    assert one.value * other.value == pytest.approx(1)
    assert one.interval.low <= one.value <= one.interval.high
    if one.interval.low > 0:
        assert other.interval.high == pytest.approx(1 / one.interval.low)


def test_the_interval_covers_the_true_ratio() -> None:
    """Over 2,000 simulated comparisons of five trials with 5 % of noise, 93 to 98 % hold it."""
    draw = np.random.default_rng(3)
    held = 0
    for _ in range(2000):
        top, bottom = 3 * (1 + 0.05 * draw.standard_normal(5)), 1 + 0.05 * draw.standard_normal(5)
        found = ratio_of_means(top.tolist(), bottom.tolist())
        assert isinstance(found, Value)
        assert found.interval is not None
        held += found.interval.low <= 3 <= found.interval.high
    assert 0.93 <= held / 2000 <= 0.98


def test_trials_without_spread_have_no_width() -> None:
    """Virtual clocks give the same value each time."""
    found = ratio_of_means((4.0, 4.0), (2.0, 2.0, 2.0))
    assert isinstance(found, Value)
    assert found.interval is not None
    assert (found.interval.low, found.value, found.interval.high) == (2.0, 2.0, 2.0)


def test_no_interval_where_nothing_supports_one() -> None:
    """A single trial and a ratio of 0 have none; over 0 there is no ratio."""
    single = ratio_of_means((3.0,), (2.0, 2.1))
    assert isinstance(single, Value)
    assert single.interval is None
    assert single.reason == "an interval of a ratio needs 2 trials of each"
    nothing = ratio_of_means((0.0, 0.0), (1.0, 2.0))
    assert isinstance(nothing, Value)
    assert (nothing.value, nothing.interval) == (0.0, None)
    assert isinstance(ratio_of_means((1.0,), (0.0,)), Absent)


def test_an_interval_follows_its_measurement() -> None:
    """A constant factor scales it, an inverse turns it round, and 0 has no inverse."""
    assert scaled(WITHIN, 0.5) == Interval(1.0, 2.0, 0.95, "any", "trials")
    assert inverted(WITHIN, 4.0) == Interval(1.0, 2.0, 0.95, "any", "trials")
    assert inverted(Interval(-1.0, 4.0, 0.95, "any", "trials")) is None
    assert scaled(None, 2) is inverted(None) is None
    assert times(Value(3.0, 2, WITHIN, "why"), 0.5) == Value(1.5, 2, scaled(WITHIN, 0.5), "why")
    assert times(Absent("why"), 2) == Absent("why")
