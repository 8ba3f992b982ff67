"""Engines whose calls are done when they return: nothing to wait for, instants from one clock."""

from collections.abc import Callable

from accelbench.harness.load.engines import Instants


class HostInstants:
    """Instants of a clock that is read at each mark.

    Args:
        now_ns: Reads it.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._at_ns: list[int] = []

    def mark(self) -> None:
        """Marks now."""
        self._at_ns.append(self._now_ns())

    def read_ns(self) -> list[int]:
        """All marks in order."""
        return list(self._at_ns)


class HostEngine:
    """What every such engine has in common.

    Args:
        now_ns: Reads the clock that its work takes time on, which is the recorder's.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns

    def wait(self) -> None:
        """There is nothing to wait for."""

    def instants(self) -> Instants:
        """Readings of the clock."""
        return HostInstants(self._now_ns)
