"""Warm-up and steady state: the classes, where steadiness starts, and how often it errs."""

import math
import time

import numpy as np
import pytest
from scipy.signal import lfilter

from accelbench.harness.statistics.steady_state import classify


def _noise(n: int, seed: int = 1, spread: float = 0.02) -> np.ndarray:
    return 1 + spread * np.random.default_rng(seed).standard_normal(n)


def _ar1(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    raw = lfilter([math.sqrt(1 - phi**2)], [1, -phi], rng.standard_normal(n + 200))[200:]
    return 1 + 0.02 * raw


def _mm1(rng: np.random.Generator, n: int, load: float) -> np.ndarray:
    """Times in an M/M/1 queue from empty (Lindley), service time 1."""
    service = rng.exponential(1, n)
    steps = np.append(0, np.cumsum(service[:-1] - rng.exponential(1 / load, n - 1)))
    return steps - np.minimum.accumulate(steps) + service


@pytest.mark.parametrize("n", [40, 200, 2000, 20_000])
def test_noise_about_one_level_is_flat(n: int) -> None:
    """A flat series is steady from its first iteration, as one segment."""
    values = _noise(n)
    found = classify(values)
    assert (found.kind, found.steady_from) == ("flat", 0)
    (only,) = found.segments
    assert (only.start, only.end) == (0, n)
    assert only.mean == pytest.approx(values.mean())
    assert only.variance == pytest.approx(values.var(ddof=1))


@pytest.mark.parametrize("n", [60, 200, 2000, 20_000])
def test_a_slow_start_is_warm_up(n: int) -> None:
    """A first tenth half as slow again ends where it ends, to within a block."""
    values = _noise(n)
    values[: n // 10] *= 1.5
    found = classify(values)
    assert found.kind == "warm-up"
    assert found.steady_from is not None
    assert abs(found.steady_from - n // 10) <= 1 + n // 2000
    assert found.segments[0].mean == pytest.approx(1.5, rel=0.02)
    assert found.segments[-1].mean == pytest.approx(1, rel=0.01)


def test_a_cold_first_iteration_is_warm_up_and_no_outlier() -> None:
    """One very slow first value is cut off with the shortest segment there is."""
    values = _noise(100)
    values[0] = 10
    found = classify(values)
    assert (found.kind, found.steady_from, found.outliers) == ("warm-up", 5, 0)


def test_a_decaying_start_is_warm_up() -> None:
    """Steady when what is left of the decay is within the tolerance, near enough."""
    values = _noise(500) * (1 + 2 * np.exp(-np.arange(500) / 25))
    found = classify(values)
    assert found.kind == "warm-up"
    assert found.steady_from is not None
    assert 70 <= found.steady_from <= 120
    assert len(found.segments) >= 3


@pytest.mark.parametrize("n", [60, 200, 2000, 20_000])
def test_a_slower_second_half_is_slow_down(n: int) -> None:
    """Steady again, but slower than before."""
    values = _noise(n)
    values[n // 2 :] *= 1.1
    found = classify(values)
    assert found.kind == "slow-down"
    assert found.steady_from is not None
    assert abs(found.steady_from - n // 2) <= 2 + n // 2000


@pytest.mark.parametrize("factor", [1.5, 0.6])
def test_a_change_near_the_end_is_no_steady_state(factor: float) -> None:
    """A last segment shorter than the final quarter leaves nothing steady."""
    values = _noise(400)
    values[-60:] *= factor
    found = classify(values)
    assert (found.kind, found.steady_from) == ("no steady state", None)
    assert [s.end for s in found.segments] == [340, 400]


def test_the_last_five_hundred_are_enough_of_a_long_series() -> None:
    """A change 600 iterations before the end is steady, one 400 before is not."""
    early, late = _noise(4000), _noise(4000)
    early[-600:] *= 1.3
    late[-400:] *= 1.3
    assert classify(early).kind == "slow-down"
    assert classify(late).kind == "no steady state"


@pytest.mark.parametrize("n", [200, 500, 2000])
@pytest.mark.parametrize("end", [2.0, 0.5])
def test_a_drift_is_not_taken_for_dependence(n: int, end: float) -> None:
    """A series that doubles or halves from start to end is never flat."""
    assert classify(_noise(n) * np.linspace(1, end, n)).kind != "flat"


def test_a_change_within_the_tolerance_is_none() -> None:
    """A certain step of 4 % is flat at 5 % and a slow-down at 1 %."""
    values = _noise(1000)
    values[500:] *= 1.04
    found = classify(values)
    assert (found.kind, len(found.segments)) == ("flat", 1)
    assert classify(values, tolerance=0.01).kind == "slow-down"


def test_a_bump_ends_before_the_steady_run() -> None:
    """After a slow stretch in the middle the series is steady from its end."""
    values = _noise(500)
    values[250:300] *= 1.5
    found = classify(values)
    assert (found.kind, found.steady_from) == ("warm-up", 300)
    assert [(s.start, s.end) for s in found.segments] == [(0, 250), (250, 300), (300, 500)]


@pytest.mark.parametrize("n", [60, 500, 20_000])
def test_outliers_are_counted_and_stay_in_the_data(n: int) -> None:
    """Single spikes neither make a change nor leave the segment's mean."""
    values = _noise(n)
    spikes = np.arange(7, n, 53)
    values[spikes] *= 10
    found = classify(values)
    assert (found.kind, found.outliers) == ("flat", spikes.size)
    assert found.segments[0].mean == pytest.approx(values.mean())


def test_a_phase_is_no_run_of_outliers() -> None:
    """Twenty slow values in a row are a segment although each is far from its window."""
    values = _noise(400)
    values[200:215] *= 3
    found = classify(values)
    assert (found.outliers, found.steady_from) == (0, 215)


@pytest.mark.parametrize("constant", [0.0, 1e-9, 3e12])
def test_a_constant_is_flat(constant: float) -> None:
    """A simulated machine's equal times are flat in any unit."""
    assert classify(np.full(300, constant)).kind == "flat"


def test_the_unit_does_not_matter() -> None:
    """Seconds and nanoseconds give the same answer."""
    values = _noise(300)
    values[:40] *= 2
    seconds, nanoseconds = classify(values), classify(values * 1e9)
    assert seconds.kind == nanoseconds.kind == "warm-up"
    assert seconds.steady_from == nanoseconds.steady_from == 40


def test_fewer_than_thirty_values_are_too_short() -> None:
    """Nothing is said about them; thirty are judged."""
    found = classify(_noise(29))
    assert (found.kind, found.segments, found.steady_from) == ("too short", (), None)
    assert classify([]).kind == "too short"
    assert classify(_noise(30)).kind == "flat"


@pytest.mark.parametrize(
    ("series", "n", "most"),
    [
        ("iid", 60, 0.01),
        ("iid", 500, 0.01),
        ("ar1 0.5", 60, 0.02),
        ("ar1 0.5", 500, 0.01),
        ("ar1 0.9", 500, 0.02),
        ("m/m/1 0.5", 60, 0.05),
        ("m/m/1 0.5", 500, 0.06),
    ],
)
def test_stationary_series_are_mostly_flat(series: str, n: int, most: float) -> None:
    """Dependence is not taken for change: the share called anything but flat."""
    rng = np.random.default_rng(4)
    draw = {
        "iid": lambda: _ar1(rng, n, 0),
        "ar1 0.5": lambda: _ar1(rng, n, 0.5),
        "ar1 0.9": lambda: _ar1(rng, n, 0.9),
        "m/m/1 0.5": lambda: _mm1(rng, n, 0.5),
    }[series]
    assert np.mean([classify(draw()).kind != "flat" for _ in range(60)]) <= most


def test_a_million_iterations_are_quick() -> None:
    """Half a second of one core at most."""
    values = _noise(1_000_000)
    values[:100_000] *= 1.5
    before = time.process_time()
    found = classify(values)
    assert time.process_time() - before < 0.5
    assert found.kind == "warm-up"
    assert found.steady_from is not None
    assert abs(found.steady_from - 100_000) <= 500


def test_what_is_no_series_of_times_is_refused() -> None:
    """A failed iteration has no time, and a tolerance is not negative."""
    with pytest.raises(ValueError, match="not finite"):
        classify([1.0, math.inf])
    with pytest.raises(ValueError, match="tolerance"):
        classify(_noise(30), tolerance=-0.1)
