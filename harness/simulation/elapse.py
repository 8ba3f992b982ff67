"""Seconds of a model, as whole nanoseconds of a virtual clock."""

from fractions import Fraction

from accelbench.harness.schema.recorder import VirtualClock
from accelbench.harness.units import NS_PER_S


class Elapse:
    """Moves a virtual clock by seconds, so that it shows the floor of their exact sum.

    What is less than a nanosecond is carried over to the next move: a million steps of 0.4 ns
    move the clock by 400 µs.

    Args:
        clock: The clock to move.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._carried = Fraction(0)

    def by_s(self, seconds: float) -> None:
        """Lets this much time pass.

        Raises:
            ValueError: `seconds` is negative or not finite.
        """
        due = self._carried + Fraction(seconds) * NS_PER_S
        whole = int(due)
        self._clock.advance_ns(whole)
        self._carried = due - whole
