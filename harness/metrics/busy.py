"""When something was busy: unions of phases in the window, by device, and how they overlap."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.once import once


@dataclass(frozen=True)
class Spans:
    """Stretches of time that do not overlap, in order.

    Attributes:
        start: When each begins, ns from the window's start.
        end: When each ends.
    """

    start: Numbers
    end: Numbers

    @cached_property
    def length_ns(self) -> float:
        """How long they last together, ns."""
        return float((self.end - self.start).sum())

    def __or__(self, other: "Spans") -> "Spans":
        """Where either is."""
        return union(
            np.concatenate((self.start, other.start)), np.concatenate((self.end, other.end))
        )

    def shared_ns(self, other: "Spans") -> float:
        """How long both are there, ns."""
        return self.length_ns + other.length_ns - (self | other).length_ns

    def beyond_ns(self, other: "Spans") -> float:
        """How long these are there and the others are not, ns."""
        return (self | other).length_ns - other.length_ns


def union(start: Numbers, end: Numbers) -> Spans:
    """The union of stretches that may overlap; those without length or end are left out."""
    taken = end > start
    start, end = start[taken], end[taken]
    order = np.argsort(start, kind="stable")
    start, reached = start[order], np.maximum.accumulate(end[order])
    if start.size == 0:
        return Spans(start, reached)
    begins = np.concatenate(([True], start[1:] > reached[:-1]))
    ends = np.concatenate((begins[1:], [True]))
    return Spans(start[begins], reached[ends])


def clipped(seen: Observation, start: Numbers, end: Numbers) -> Spans:
    """The union of stretches, as far as it lies in the window."""
    return union(np.clip(start, 0, seen.length_ns), np.clip(end, 0, seen.length_ns))


def window(seen: Observation) -> Spans:
    """The window itself."""
    return union(np.zeros(1), np.full(1, float(seen.length_ns)))


def in_flight(seen: Observation) -> Spans:
    """When work was asked for: at least one request was sent and not yet done."""
    requests = seen.requests
    return once(seen, "in flight", lambda: clipped(seen, requests.sent, requests.done))


def of_kind(seen: Observation, *kinds: str) -> Flags:
    """Which phases are of one of these kinds."""
    return once(seen, f"of kind {kinds}", lambda: seen.among("phases", "kind", kinds))


def starts(seen: Observation) -> Numbers:
    """When each phase began, ns."""
    return once(seen, "starts", lambda: seen.times("phases", "start_ns"))


def ends(seen: Observation) -> Numbers:
    """When each phase ended, ns."""
    return once(seen, "ends", lambda: seen.times("phases", "end_ns"))


def phases(seen: Observation, rows: Flags) -> Spans:
    """The union of these phases in the window, over all devices."""
    return clipped(seen, starts(seen)[rows], ends(seen)[rows])


def by_device(seen: Observation, *kinds: str) -> Mapping[str, Spans]:
    """The union of phases of these kinds in the window, for each device that has any at all.

    Phases that name no device are one device's.
    """
    return once(seen, f"by device {kinds}", lambda: on_devices(seen, of_kind(seen, *kinds)))


def on_devices(seen: Observation, rows: Flags) -> Mapping[str, Spans]:
    """The union of these phases in the window, for each device that has any."""
    start, end = starts(seen)[rows], ends(seen)[rows]
    named = pc.fill_null(seen.column("phases", "device").filter(rows), "").dictionary_encode()
    code = named.indices.to_numpy(zero_copy_only=False)
    return {
        name: clipped(seen, start[code == k], end[code == k])
        for k, name in sorted(enumerate(named.dictionary.to_pylist()), key=lambda item: item[1])
    }


NONE = Spans(np.empty(0), np.empty(0))
"""No time at all."""
