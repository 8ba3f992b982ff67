"""Instants of a CUDA stream, by timed events that nobody waits for inside a window."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

_NS_PER_MS = 1_000_000
_ANCHORS = 5
"""How often an anchor is tried; the one of which the host knows best when it was is taken."""

_FAR_MS = 1000.0
"""Farthest that one event is timed from another: the device tells milliseconds in float32."""

_LONG_MS = 10_000.0
"""Span from which the drift of the two clocks is more than what the anchors may be off."""


class Anchor(NamedTuple):
    """An event of which the host knows when it was.

    Attributes:
        event: The event; it has passed.
        at_ns: When, on the host's monotonic clock.
        within_ns: How far off that may be.
    """

    event: Any
    at_ns: int
    within_ns: int


class CudaInstants:
    """Events in the device's current stream, brought onto the host's clock.

    An anchor, an event that was recorded and waited for, ties the two clocks together when this is
    made, and another when the marks are read. Times between are those of the device, over long
    spans stretched by what the two clocks drifted apart, some millionths.

    Args:
        new_event: Makes a timed event.
        now_ns: Reads the host's monotonic clock.
    """

    def __init__(
        self,
        new_event: Callable[[], Any] | None = None,
        now_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self._new_event = new_event or _timed
        self._now_ns = now_ns
        self._events: list[Any] = []
        self._first = self._anchor()

    def mark(self) -> None:
        """Records an event behind all work that was given so far."""
        event = self._new_event()
        event.record()
        self._events.append(event)

    def read_ns(self) -> list[int]:
        """When the device passed each event; waits for the last of them."""
        last = self._anchor()
        told, base, base_ms = [], self._first.event, 0.0
        for event in [*self._events, last.event]:
            at_ms = base_ms + base.elapsed_time(event)
            told.append(at_ms)
            if at_ms - base_ms > _FAR_MS:
                base, base_ms = event, at_ms
        begin_ns, length_ns = self._first.at_ns, last.at_ns - self._first.at_ns
        scale = length_ns / told[-1] if told[-1] > _LONG_MS else _NS_PER_MS
        return [begin_ns + round(at_ms * scale) for at_ms in told[:-1]]

    @property
    def within_ns(self) -> int:
        """How far off the first anchor may be, so that all instants together may be."""
        return self._first.within_ns

    def _anchor(self) -> Anchor:
        """The best known of a few events, recorded while the device had nothing else to do."""
        found = []
        for _ in range(_ANCHORS):
            event = self._new_event()
            before = self._now_ns()
            event.record()
            event.synchronize()
            after = self._now_ns()
            found.append(Anchor(event, (before + after) // 2, (after - before + 1) // 2))
        return min(found, key=lambda anchor: anchor.within_ns)


def _timed() -> Any:
    event: Any = torch.cuda.Event  # torch leaves it untyped
    return event(enable_timing=True)
