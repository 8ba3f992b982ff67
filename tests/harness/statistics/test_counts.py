"""Counts of events in equal bins."""

import numpy as np
import pytest

from accelbench.harness.statistics.counts import bins_for, dispersion


def test_even_events_are_not_dispersed():
    """Every bin holds as many, the first and the last included."""
    at = np.arange(1000) * 0.1
    assert bins_for(at).size == 101
    assert dispersion(at, bins_for(at)) == pytest.approx(0, abs=1e-12)


def test_independent_events_have_a_dispersion_of_1():
    """Variance and mean of a Poisson count are the same."""
    at = np.cumsum(np.random.default_rng(1).exponential(1.0, 100_000))
    assert dispersion(at, bins_for(at)) == pytest.approx(1, abs=0.05)


def test_events_in_groups_are_dispersed_as_their_groups_are_large():
    """Ten at a time, at independent instants, have ten times the dispersion."""
    at = np.repeat(np.cumsum(np.random.default_rng(1).exponential(10.0, 20_000)), 10)
    assert dispersion(at, bins_for(at)) == pytest.approx(10, rel=0.1)


def test_events_outside_the_bins_count_in_the_nearest():
    """None is lost."""
    edges = np.linspace(0, 10, 11)
    assert dispersion(np.array([-5.0, *np.arange(1.5, 9), 20.0]), edges) == 0
