"""Arrival times: their laws, their exact values, and their extremes."""

import numpy as np
import pytest
from scipy import stats

from accelbench.harness.errors import ConfigError
from accelbench.harness.load.schedule.processes import arrival_times, mean_rate
from accelbench.harness.schema.arrivals import (
    Bursts,
    Constant,
    Gamma,
    Poisson,
    Replay,
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
ENDLESS = (
    Constant("constant", 20.0),
    POISSON,
    Gamma("gamma", 20.0, 0.25),
    Gamma("gamma", 20.0, 9.0),
    BURSTS,
    Bursts("bursts", 50.0, 0.0, 2.0, 6.0),
)


def gaps(process, count=MANY, seed=1):
    """Times between arrivals, that to the first included."""
    return np.diff(arrival_times(process, count, seed), prepend=0.0)


def counts(times, width_s):
    """Arrivals in bins of equal width, as many as are full."""
    return np.histogram(times, np.arange(0, times[-1], width_s))[0]


def dispersion(found):
    """Variance of counts over their mean: 1 for Poisson arrivals."""
    return found.var(ddof=1) / found.mean()


def staged(stages):
    """Stages one after another."""
    return Stages("stages", tuple(stages))


def test_constant_arrivals_are_a_grid():
    """The n-th is due n gaps after the start, without an error that grows."""
    times = arrival_times(Constant("constant", 8.0), 100_000, 1)
    assert times[:3].tolist() == [0.125, 0.25, 0.375]
    assert times[-1] == 12500.0
    assert np.unique(np.diff(times)).tolist() == [0.125]


def test_poisson_gaps_are_exponential():
    """By a Kolmogorov-Smirnov test against the law itself, its rate included."""
    assert stats.kstest(gaps(POISSON), stats.expon(scale=1 / 20).cdf).pvalue > 0.05


@pytest.mark.parametrize("shape", [0.05, 0.5, 1.0, 4.0, 100.0])
def test_gamma_gaps_follow_their_law(shape):
    """So do their mean 1 / rate, and their coefficient of variation 1 / sqrt(shape)."""
    found = gaps(Gamma("gamma", 20.0, shape))
    law = stats.gamma(shape, scale=1 / (shape * 20))
    # The sum of the times leaves fewer digits than the smallest gaps have: those are compared as 0.
    assert stats.kstest(found[found > 1e-9], _above(law, 1e-9)).pvalue > 0.05
    assert (found <= 1e-9).mean() == pytest.approx(law.cdf(1e-9), abs=0.005)
    assert found.mean() == pytest.approx(1 / 20, rel=4 / np.sqrt(shape * MANY))
    assert found.std() / found.mean() == pytest.approx(shape**-0.5, rel=0.02)


def _above(law, limit):
    """The distribution function of a law above a limit."""
    return lambda x: (law.cdf(x) - law.cdf(limit)) / law.sf(limit)


def test_a_shape_of_1_is_a_poisson_process():
    """The same seed even gives the same one, whose gaps have a coefficient of variation of 1."""
    found = gaps(Gamma("gamma", 20.0, 1.0))
    np.testing.assert_allclose(found, gaps(POISSON), rtol=0, atol=1e-9)
    assert found.std() / found.mean() == pytest.approx(1, rel=0.005)


@pytest.mark.parametrize("process", [POISSON, ENDLESS[2], ENDLESS[3]])
def test_gaps_do_not_depend_on_each_other(process):
    """A long gap says nothing of the next, nor of the tenth."""
    found = gaps(process, seed=2)
    for lag in (1, 2, 10):
        assert abs(np.corrcoef(found[:-lag], found[lag:])[0, 1]) < 3 / np.sqrt(MANY)


@pytest.mark.parametrize(
    ("process", "expected"),
    [
        (POISSON, 1.0),
        (Gamma("gamma", 20.0, 0.25), 4.0),
        (Gamma("gamma", 20.0, 4.0), 0.25),
    ],
)
def test_counts_are_as_dispersed_as_the_process_has_them(process, expected):
    """In wide bins the index of dispersion of a renewal process is the squared CV of its gaps."""
    assert dispersion(counts(arrival_times(process, MANY, 1), 20.0)) == pytest.approx(
        expected, rel=0.1
    )


def test_poisson_counts_are_poisson_in_narrow_and_wide_bins():
    """Whatever the width, the variance is the mean."""
    times = arrival_times(POISSON, MANY, 2)
    for width_s in (0.01, 0.1, 1.0, 5.0):
        found = counts(times, width_s)
        assert found.mean() == pytest.approx(20 * width_s, rel=0.01)
        assert dispersion(found) == pytest.approx(1, abs=4 * np.sqrt(2 / found.size))


def test_nothing_is_scaled_to_end_at_a_wanted_time():
    """Over seeds, a half of the load has the variance of Poisson; scaled, it would have half."""
    loads = np.array([arrival_times(POISSON, 400, seed) for seed in range(3000)])
    first_half = (loads <= 10.0).sum(axis=1)
    assert first_half.mean() == pytest.approx(200, abs=1)
    assert dispersion(first_half) == pytest.approx(1, abs=0.1)
    last = loads[:, -1]
    assert last.mean() == pytest.approx(20, abs=0.1)
    assert last.std() == pytest.approx(np.sqrt(400) / 20, rel=0.05)
    scaled = (loads / last[:, None] * 20 <= 10.0).sum(axis=1)
    assert dispersion(scaled) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("process", [*ENDLESS, STAGED])
def test_more_arrivals_leave_the_first_ones_as_they_are(process):
    """The first n of m are the n, to the last bit, so that a longer load extends a shorter one."""
    long = arrival_times(process, 500, 9)
    for count in (0, 1, 2, 17, 499):
        assert arrival_times(process, count, 9).tolist() == long[:count].tolist()


PINNED = [
    (Constant("constant", 4.0), [0.25, 0.5, 0.75]),
    (Poisson("poisson", 4.0), [0.011635639753311696, 0.1105867437580873, 0.4276563712402642]),
    (Gamma("gamma", 4.0, 0.5), [0.0029381206205393484, 0.045746870260839956, 0.6288711762864061]),
    (Gamma("gamma", 4.0, 3.0), [0.1781589289718042, 0.3390104335900725, 0.7102131113179584]),
    (
        Bursts("bursts", 4.0, 0.5, 0.05, 2.0),
        [0.011635639753311696, 0.5346939500646984, 2.7212509699221132],
    ),
    (
        staged([Stage(2, 0, 1), Stage(1, 0), Stage(9, 3)]),
        [0.4314744906167538, 1.3301834084551638, 3.2368751616536855],
    ),
]


@pytest.mark.parametrize(("process", "expected"), PINNED)
def test_a_seed_means_these_numbers(process, expected):
    """A change of how times are drawn is a change of what a seed means, and has to be told."""
    assert arrival_times(process, 3, 7).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("process", [*ENDLESS[1:], STAGED])
def test_another_seed_is_another_schedule(process):
    """The same seed gives the same one, of whatever size a seed is."""
    seeds = [0, 1, 2, 2**32, 2**32 + 1, 2**64, 2**100]
    found = [tuple(arrival_times(process, 50, seed)) for seed in seeds]
    assert len(set(found)) == len(seeds)
    assert found == [tuple(arrival_times(process, 50, seed)) for seed in seeds]


def test_neighbouring_seeds_have_nothing_in_common():
    """Trials draw from one seed after another; their gaps are uncorrelated."""
    found = np.array([gaps(POISSON, 2000, seed) for seed in range(40)])
    between = np.corrcoef(found)[np.triu_indices(40, 1)]
    assert abs(between).max() < 5 / np.sqrt(2000)
    assert between.std() == pytest.approx(1 / np.sqrt(2000), rel=0.1)


def test_a_schedule_does_not_share_the_numbers_that_others_draw_from_its_seed():
    """Prompts drawn from the bare seed are independent of it."""
    other = np.random.default_rng(1).exponential(1.0, MANY)
    assert abs(np.corrcoef(gaps(POISSON), other)[0, 1]) < 3 / np.sqrt(MANY)


EXTREMES = [
    *(Poisson("poisson", rate) for rate in (1e-3, 1e5)),
    *(Constant("constant", rate) for rate in (1e-3, 1e5)),
    *(Gamma("gamma", rate, shape) for rate in (1e-3, 1e5) for shape in (0.05, 100.0)),
    Gamma("gamma", 1.0, 1e-3),
    Bursts("bursts", 1e5, 0.0, 1e-3, 1e3),
    Bursts("bursts", 1e-3, 1e5, 1e-3, 1e-3),
    Bursts("bursts", 1e5, 1e-12, 1e3, 1e-3),
    Bursts("bursts", 3.0, 1e-320, 0.1, 0.2),
    staged([Stage(1e9, 1e-3)]),
    staged([Stage(5, 0, 1e5)]),
    staged([Stage(1e-6, 1e5, 0), Stage(0.1, 0), Stage(2, 1e5, 1e5 + 1e-9)]),
    staged([Stage(1e9, 0, 1e-3)]),
]


@pytest.mark.parametrize("process", EXTREMES, ids=str)
def test_extreme_processes_have_finite_ascending_times(process):
    """No time is negative, infinite or no number, and none lies before the one before it."""
    for seed in range(10):
        times = arrival_times(process, 20_000, seed)
        assert times.dtype == np.float64
        assert times.shape == (20_000,)
        assert np.isfinite(times).all()
        assert times[0] >= 0
        assert (np.diff(times) >= 0).all()


@pytest.mark.parametrize("process", [*EXTREMES[:4], Gamma("gamma", 1e5, 100.0), BURSTS])
def test_the_mean_rate_is_that_of_a_long_load(process):
    """Also of bursts and pauses together."""
    times = arrival_times(process, MANY, 1)
    assert times.size / times[-1] == pytest.approx(mean_rate(process), rel=0.01)


def test_a_process_with_an_end_has_no_one_rate():
    """Stages and replays have none; bursts have that of a whole turn."""
    assert mean_rate(STAGED) is None
    assert mean_rate(Replay("replay", "trace", "mooncake")) is None
    assert mean_rate(BURSTS) == (50 * 2 + 5 * 6) / 8
    assert mean_rate(Bursts("bursts", 50.0, 0.0, 2.0, 6.0)) == 12.5
    assert mean_rate(Gamma("gamma", 3.0, 0.1)) == 3.0


def test_a_negative_seed_is_refused_in_one_line():
    """Seeds come from the rules of a cell."""
    with pytest.raises(ConfigError) as caught:
        arrival_times(POISSON, 1, -1)
    assert str(caught.value) == "rules.seed: a schedule needs a seed of at least 0, got -1"


@pytest.mark.parametrize(
    ("process", "count", "why"),
    [
        (POISSON, None, "poisson arrivals have no end: a count is needed"),
        (BURSTS, None, "bursts arrivals have no end"),
        (Replay("replay", "trace", "mooncake"), 3, "those of its recording, not drawn"),
        (Replay("replay", "trace", "mooncake"), None, "those of its recording, not drawn"),
    ],
)
def test_what_cannot_be_drawn_is_refused(process, count, why):
    """An endless process without a count, and a replay, which has its arrivals already."""
    with pytest.raises(ValueError, match=why):
        arrival_times(process, count, 1)
