"""Seconds of a model as whole nanoseconds."""

import pytest

from accelbench.harness.schema.recorder import VirtualClock
from accelbench.harness.simulation.elapse import Elapse


def test_what_is_less_than_a_nanosecond_is_carried_over() -> None:
    """A thousand steps of 2**-31 s, some 0.47 ns each, move the clock by 465 ns in all."""
    clock = VirtualClock()
    elapse = Elapse(clock)
    for _ in range(1000):
        elapse.by_s(2**-31)
    assert clock.now_ns() == 1000 * 1_000_000_000 // 2**31 == 465


def test_the_clock_shows_the_floor_of_the_sum() -> None:
    """After 0.9 ns no nanosecond has passed; after 1.8 ns one has."""
    clock = VirtualClock()
    elapse = Elapse(clock)
    elapse.by_s(0.9e-9)
    assert clock.now_ns() == 0
    elapse.by_s(0.9e-9)
    assert clock.now_ns() == 1


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_passes_forwards_and_finitely(seconds: float) -> None:
    """A negative, undefined or endless time is refused."""
    with pytest.raises((ValueError, OverflowError)):
        Elapse(VirtualClock()).by_s(seconds)
