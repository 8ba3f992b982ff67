"""Instants at which work of a rank begins and ends: of its processor, or of its GPU."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import torch

_NS_PER_MS = 1_000_000


class Stamps(Protocol):
    """Takes instants without waiting, and tells them later."""

    def now(self) -> Any:
        """A stamp of now; on a GPU of when it will have done what it was given so far."""

    def ns(self, stamp: Any) -> int:
        """The instant of a stamp on the wall clock, ns; waits until it is there."""

    def at_end(self, work: Any, tell: Callable[[Any], None], *, awaited: bool) -> None:
        """Has a stamp told of when a message is done, where that can be known.

        Args:
            work: PyTorch's handle of the message.
            tell: Takes the stamp, from whatever thread.
            awaited: Whether its wait will be seen.
        """


class HostStamps:
    """Readings of this machine's clock."""

    def now(self) -> int:
        """The time now, ns."""
        return time.perf_counter_ns()

    def ns(self, stamp: int) -> int:
        """The stamp itself."""
        return stamp

    def at_end(self, work: Any, tell: Callable[[Any], None], *, awaited: bool) -> None:
        """By the message's future, unless its wait tells: a thread less that wants the processor."""
        if not awaited:
            work.get_future().add_done_callback(lambda _: tell(time.perf_counter_ns()))


class DeviceStamps:
    """Events of a GPU, told against one that was waited for when this was made.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        cuda: Any = torch.cuda  # torch leaves it untyped
        self._cuda = cuda
        self._aside = cuda.Stream(device)
        self._first = self.now()
        self._first.synchronize()
        self._first_ns = time.perf_counter_ns()

    def now(self) -> Any:
        """An event on the stream that work is given to."""
        event = self._cuda.Event(enable_timing=True)
        event.record()
        return event

    def ns(self, stamp: Any) -> int:
        """The event's time after the first one."""
        stamp.synchronize()
        after_ms: float = self._first.elapsed_time(stamp)
        return self._first_ns + round(after_ms * _NS_PER_MS)

    def at_end(self, work: Any, tell: Callable[[Any], None], *, awaited: bool) -> None:  # noqa: ARG002  (an event costs nothing)
        """An event on a stream that does nothing but wait for the message."""
        with self._cuda.stream(self._aside):
            work.wait()
            tell(self.now())


class StampInstants:
    """The training loop's instants, taken by stamps.

    Args:
        stamps: Take them.
    """

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._taken: list[Any] = []

    def mark(self) -> None:
        """Marks now."""
        self._taken.append(self._stamps.now())

    def read_ns(self) -> list[int]:
        """All marks in order."""
        return [self._stamps.ns(stamp) for stamp in self._taken]
