"""Arrivals whose rate changes: bursts by turns, and stages with ramps."""

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule import processes
from accelbench.harness.load.schedule.processes import arrival_times
from accelbench.harness.schema.arrivals import (
    Bursts,
    Poisson,
    Stage,
    Stages,
)

MANY = 200_000
POISSON = Poisson("poisson", 20.0)
BURSTS = Bursts("bursts", on_rate_per_s=50.0, off_rate_per_s=5.0, on_s=2.0, off_s=6.0)
STAGES = (
    Stage(10, 0, 40),  # a ramp up from nothing
    Stage(5, 40),
    Stage(20, 0),  # nothing at all
    Stage(10, 30, 0),  # a ramp down to nothing
    Stage(8, 10, 20),
)
STAGED = Stages("stages", STAGES)


def dispersion(found):
    """Variance of counts over their mean: 1 for Poisson arrivals."""
    return found.var(ddof=1) / found.mean()


def staged(stages):
    """Stages one after another."""
    return Stages("stages", tuple(stages))


def expected_by(stages, at_s):
    """Arrivals that stages are expected to have had by an instant: the area under their rate."""
    found, begun = 0.0, 0.0
    for stage in stages:
        end = stage.rate_per_s if stage.end_rate_per_s is None else stage.end_rate_per_s
        inside = np.clip(at_s - begun, 0, stage.seconds)
        then = stage.rate_per_s + (end - stage.rate_per_s) * inside / stage.seconds
        found = found + (stage.rate_per_s + then) / 2 * inside
        begun += stage.seconds
    return found


def test_bursts_have_one_rate_in_them_and_another_between():
    """Counts in each kind of part are Poisson of its own mean; arrivals lie evenly in it."""
    times = arrival_times(BURSTS, MANY, 1)
    turn, phase = np.divmod(times, 8.0)
    turns = int(turn[-1])  # the last may be cut
    for inside, mean in ((phase < 2.0, 100.0), (phase >= 2.0, 30.0)):
        found = np.bincount(turn[inside].astype(int), minlength=turns)[:turns]
        assert found.mean() == pytest.approx(mean, rel=0.01)
        assert dispersion(found) == pytest.approx(1, abs=4 * np.sqrt(2 / turns))
    assert stats.kstest(phase[phase < 2] / 2, "uniform").pvalue > 0.05
    assert stats.kstest((phase[phase >= 2] - 2) / 6, "uniform").pvalue > 0.05


def test_a_load_begins_with_a_burst():
    """Its first part has the high rate."""
    firsts = [arrival_times(BURSTS, 1, seed)[0] for seed in range(2000)]
    assert np.mean(firsts) == pytest.approx(1 / 50, rel=0.1)


def test_between_bursts_of_rate_0_nothing_arrives():
    """What is in the bursts is, without the pauses, a Poisson process of the high rate."""
    process = Bursts("bursts", 50.0, 0.0, 2.0, 6.0)
    times = arrival_times(process, MANY, 3)
    turn, phase = np.divmod(times, 8.0)
    assert phase.max() <= 2.0
    joined = turn * 2.0 + phase
    poisson = arrival_times(Poisson("poisson", 50.0), MANY, 3)
    np.testing.assert_allclose(joined, poisson, rtol=0, atol=1e-9)
    assert np.bincount(turn.astype(int))[:-1].min() > 0


def test_equal_rates_make_bursts_a_poisson_process():
    """There is no seam where a part ends."""
    process = Bursts("bursts", 20.0, 20.0, 0.3, 0.7)
    np.testing.assert_allclose(
        arrival_times(process, 10_000, 4), arrival_times(POISSON, 10_000, 4), rtol=1e-12
    )


def test_stages_are_a_unit_process_seen_through_the_area_under_their_rate():
    """Taken back through the expected count, arrivals are those of a Poisson process of rate 1."""
    stages = [
        Stage(stage.seconds * 100, stage.rate_per_s, stage.end_rate_per_s) for stage in STAGES
    ]
    times = arrival_times(staged(stages), None, 5)
    unit = arrival_times(Poisson("poisson", 1.0), times.size, 5)
    np.testing.assert_allclose(expected_by(stages, times), unit, rtol=1e-9)
    assert stats.kstest(np.diff(unit), "expon").pvalue > 0.05


def test_stages_have_the_expected_counts_in_every_part():
    """Quarters of each stage over many loads: as many as the area says, dispersed as Poisson."""
    ends = np.cumsum([0.0, *(stage.seconds for stage in STAGES)])
    edges = np.unique(np.concatenate([np.linspace(*ends_of, 5) for ends_of in pairwise(ends)]))
    found = np.array(
        [np.histogram(arrival_times(STAGED, None, seed), edges)[0] for seed in range(1500)]
    )
    expected = np.diff(expected_by(STAGES, edges))
    assert (found[:, expected == 0] == 0).all()
    busy = expected > 0
    error = (found.mean(axis=0) - expected)[busy] / np.sqrt(expected[busy] / 1500)
    assert abs(error).max() < 3.5
    assert (error**2).sum() < stats.chi2(busy.sum()).ppf(0.99)
    dispersions = found[:, busy].var(axis=0, ddof=1) / found[:, busy].mean(axis=0)
    assert dispersions == pytest.approx(1, abs=0.15)
    totals = found.sum(axis=1)
    assert totals.mean() == pytest.approx(expected.sum(), rel=0.005)
    assert dispersion(totals) == pytest.approx(1, abs=0.15)


def test_a_ramp_up_from_0_has_a_quarter_of_its_arrivals_in_its_first_half():
    """The expected count grows with the square of the time."""
    times = arrival_times(staged([Stage(100, 0, 4000)]), None, 6)
    assert times.size == pytest.approx(200_000, rel=0.01)
    assert (times <= 50).mean() == pytest.approx(0.25, abs=0.004)
    assert stats.kstest((times / 100) ** 2, "uniform").pvalue > 0.05


def test_a_ramp_down_to_0_is_a_ramp_up_seen_backwards():
    """Its last arrivals thin out up to its end and not beyond."""
    times = arrival_times(staged([Stage(100, 4000, 0)]), None, 7)
    assert 99 < times[-1] <= 100
    assert stats.kstest((1 - times / 100) ** 2, "uniform").pvalue > 0.05


def test_a_level_stage_is_a_poisson_process():
    """Told as level or as a ramp between equal rates, alone or in pieces."""
    poisson = arrival_times(POISSON, 2000, 8)
    level = (
        [Stage(500, 20)],
        [Stage(500, 20, 20)],
        [Stage(0.1, 20), Stage(7, 20, 20), Stage(492.9, 20)],
    )
    for stages in level:
        found = arrival_times(staged(stages), 2000, 8)
        np.testing.assert_allclose(found, poisson, rtol=1e-12)


def test_nothing_arrives_in_a_stage_of_rate_0():
    """Be it at the start, in the middle or at the end."""
    pause = [Stage(3, 0), Stage(2, 50), Stage(4, 0, 0), Stage(0.5, 0), Stage(2, 50), Stage(9, 0)]
    for seed in range(50):
        times = arrival_times(staged(pause), None, seed)
        parts = np.histogram(times, [0, 3, 5, 9.5, 11.5, 21])[0]
        assert parts[[0, 2, 4]].tolist() == [0, 0, 0]
        assert parts.sum() == times.size
        assert parts[1] > 50 < parts[3]


def test_a_small_stage_before_a_large_one_keeps_its_digits():
    """Each stage begins where the one before it ends, however unequal the two are."""
    stages = staged([Stage(0.001, 0.1), Stage(1e7, 0), Stage(100, 0, 4000.0), Stage(1, 0, 0.1)])
    for seed in range(20):
        times = arrival_times(stages, None, seed)
        assert (np.diff(times) >= 0).all()
        assert times[0] >= 1e7 + 0.001


def at_edges(monkeypatch, unit):
    """Has a unit process arrive just where parts end."""
    unit = np.sort([0.0, *unit, *np.nextafter(unit, 0), *np.nextafter(unit, np.inf)])
    monkeypatch.setattr(processes, "_unit_times_until", lambda end, _: unit[unit <= end])
    monkeypatch.setattr(processes, "_unit_times", lambda count, _: unit[:count])


def test_no_rounding_puts_an_arrival_beyond_its_stage(monkeypatch):
    """Arrivals at the edges of stages stay in order, and out of a pause between them."""
    draw = np.random.default_rng(1)
    edges = draw.uniform(1e-3, 10, (500, 4))
    edges[::2, 1] = 0  # every other one is a ramp up from nothing
    for length, first, last, slow in edges:
        stages = [Stage(length, first, last), Stage(1, 0), Stage(slow, last, 0)]
        ends = np.cumsum([length, 1, slow])
        area = np.cumsum([(first + last) / 2 * length, 0.0, last / 2 * slow])
        at_edges(monkeypatch, area[[0, 2]])
        times = arrival_times(staged(stages), None, 1)
        assert times[0] == 0
        assert (np.diff(times) >= 0).all()
        assert not ((times > ends[0]) & (times < ends[1])).any()
        assert abs(times - ends[0]).min() < 1e-6
        assert times[-1] <= ends[2]


def test_no_rounding_puts_an_arrival_beyond_its_burst(monkeypatch):
    """Nor beyond the time between two."""
    draw = np.random.default_rng(2)
    for on_rate, off_rate, on_s, off_s in draw.uniform(1e-3, 10, (500, 4)):
        for rate in (off_rate, off_rate * 1e-12, 0.0):
            process = Bursts("bursts", on_rate, rate, on_s, off_s)
            on, turn = on_rate * on_s, on_rate * on_s + rate * off_s
            at_edges(monkeypatch, np.array([on, turn, turn + on, 2 * turn]))
            times = arrival_times(process, 13, 1)
            assert times[0] == 0
            assert (np.diff(times) >= 0).all()
            if not rate:
                assert not ((times > on_s) & (times < on_s + off_s)).any()


def test_stages_may_hold_no_request():
    """A short stage of a low rate often has none."""
    sizes = [arrival_times(staged([Stage(1, 0.5)]), None, seed).size for seed in range(1000)]
    assert sizes.count(0) / 1000 == pytest.approx(np.exp(-0.5), abs=0.05)


def test_stages_that_end_too_early_are_told_in_one_line():
    """How many they hold with this seed, and what to do."""
    held = arrival_times(STAGED, None, 1).size
    assert arrival_times(STAGED, held, 1).size == held
    with pytest.raises(ConfigError) as caught:
        arrival_times(STAGED, held + 1, 1)
    assert str(caught.value) == (
        f"scenario.arrivals.stages: the stages hold {held} requests with this seed, {held + 1} are"
        " needed; make them longer, or ask for fewer requests, warm-up and tail included"
    )


def test_further_stages_leave_the_earlier_ones_as_they_are():
    """To the last bit, also where the first stages hold far more than expected."""
    whole = [
        arrival_times(staged([*STAGES, Stage(50, 80), Stage(100, 3)]), None, n) for n in range(100)
    ]
    for seed, times in enumerate(whole):
        for stop in (1, 2, 4):
            until = sum(stage.seconds for stage in STAGES[:stop])
            found = arrival_times(staged(STAGES[:stop]), None, seed)
            assert found.tolist() == times[times <= until].tolist()


def test_a_load_beyond_what_is_expected_is_drawn_to_its_end(monkeypatch):
    """Where the first draw does not reach the end, more is drawn, and is the same as at once."""
    at_once = arrival_times(STAGED, None, 10)
    monkeypatch.setattr(processes, "_SPARE", -650)  # leaves 123 of 670 that are expected
    assert arrival_times(STAGED, None, 10).tolist() == at_once.tolist()
