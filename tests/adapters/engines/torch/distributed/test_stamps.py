"""Instants of a GPU's work, with stand-ins for its events."""

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from accelbench.adapters.engines.torch.distributed import stamps
from accelbench.adapters.engines.torch.distributed.stamps import (
    DeviceStamps,
    HostStamps,
    StampInstants,
)

pytestmark = pytest.mark.torch


class Device:
    """A GPU whose events come 2 ms apart, and its streams."""

    def __init__(self):
        self.events = 0
        self.aside = []

    def Stream(self, _):  # noqa: N802
        """A stream."""
        return "aside"

    def stream(self, stream):
        """Its being the current one."""
        outer = self

        class Entered:
            """While it lasts."""

            def __enter__(self):
                outer.aside.append(stream)

            def __exit__(self, *_):
                outer.aside.append(None)

        return Entered()

    def Event(self, *, enable_timing):  # noqa: N802
        """An event, which knows how many were before it."""
        assert enable_timing
        outer = self

        class Event:
            """A place in the order of events."""

            def record(self):
                """It comes now."""
                self.at = outer.events
                outer.events += 1

            def synchronize(self):
                """It is there."""

            def elapsed_time(self, other):
                """Milliseconds until another."""
                return 2.0 * (other.at - self.at)

        return Event()


def test_events_become_instants_of_the_clock(monkeypatch):
    """Each is told against the first, which was waited for."""
    monkeypatch.setattr(stamps.torch, "cuda", Device())
    monkeypatch.setattr(stamps.time, "perf_counter_ns", lambda: 1_000)
    instants = StampInstants(DeviceStamps("cuda:0"))
    instants.mark()
    instants.mark()
    assert instants.read_ns() == [2_001_000, 4_001_000]


def test_the_end_of_a_message_is_found_on_a_stream_of_its_own(monkeypatch):
    """The stream waits for it, not the host."""
    device = Device()
    monkeypatch.setattr(stamps.torch, "cuda", device)
    found, waits = [], []
    work = SimpleNamespace(wait=lambda: waits.append(list(device.aside)))
    DeviceStamps("cuda:0").at_end(work, found.append, awaited=True)
    assert waits == [["aside"]]
    assert found[0].at == 1


def test_on_the_host_a_message_tells_its_end_unless_it_is_waited_for():
    """A wait that is seen tells as much."""
    told, found = [], []
    future = SimpleNamespace(add_done_callback=told.append)
    work = SimpleNamespace(get_future=lambda: future)
    HostStamps().at_end(work, found.append, awaited=True)
    assert told == []
    HostStamps().at_end(work, found.append, awaited=False)
    told[0](future)
    assert len(found) == 1
    assert HostStamps().ns(5) == 5
