"""Instants of a device, with events that stand in for those of CUDA."""

import struct
from itertools import pairwise

import pytest

pytest.importorskip("torch")

from accelbench.adapters.engines.torch.instants import CudaInstants

pytestmark = pytest.mark.torch

MS = 1_000_000


class Machine:
    """A host and a device whose clock is `drift` faster, and is told in float32 milliseconds.

    Args:
        drift: Relative.
        call_ns: Time that recording an event, and waiting for it, take the host.
    """

    def __init__(self, drift=0.0, call_ns=10_000):
        self.host_ns, self.drift, self.call_ns = 5_000_000_000, drift, call_ns
        self.busy_until_ns = 0
        self.synchronised = 0

    def now(self):
        """The host's clock."""
        return self.host_ns

    def work(self, host_ns, device_ns):
        """Takes the host some time to give, and the device some time to do."""
        self.host_ns += host_ns
        self.busy_until_ns = max(self.busy_until_ns, self.host_ns) + device_ns

    def event(self):
        """A new event."""
        return Event(self)


class Event:
    """When the device passed it, on the host's clock."""

    def __init__(self, machine):
        self.machine = machine

    def record(self):
        """Behind all work so far."""
        self.machine.host_ns += self.machine.call_ns // 2
        self.passed_ns = max(self.machine.busy_until_ns, self.machine.host_ns)

    def synchronize(self):
        """Until the device has passed it."""
        self.machine.synchronised += 1
        self.machine.host_ns = max(self.machine.host_ns, self.passed_ns) + self.machine.call_ns // 2

    def elapsed_time(self, end):
        """Milliseconds of the device, in float32."""
        exact = (end.passed_ns - self.passed_ns) * (1 + self.machine.drift) / MS
        return struct.unpack("f", struct.pack("f", exact))[0]


def taken(machine, spans_ns):
    """Instants around pieces of the device's work, and when they truly were."""
    instants = CudaInstants(machine.event, machine.now)
    truth = []
    for span_ns in spans_ns:
        machine.work(1000, span_ns)
        instants.mark()
        truth.append(instants._events[-1].passed_ns)
    return instants, truth


def test_instants_are_when_the_device_was_there_on_the_clock_of_the_host():
    """To a microsecond, though the host was ahead of the device all the time."""
    machine = Machine()
    instants, truth = taken(machine, [3 * MS, 2 * MS, 7 * MS])
    found = instants.read_ns()
    assert found == sorted(found)
    assert max(abs(a - b) for a, b in zip(found, truth, strict=True)) <= 1000
    assert instants.within_ns == 5000


def test_nothing_is_waited_for_between_the_first_instant_and_their_reading():
    """A mark is an event that is recorded, no more."""
    machine = Machine()
    instants = CudaInstants(machine.event, machine.now)
    before = machine.synchronised
    for _ in range(5):
        machine.work(1000, MS)
        instants.mark()
    assert machine.synchronised == before
    assert machine.host_ns < machine.busy_until_ns
    instants.read_ns()
    assert machine.synchronised > before


def test_hours_are_told_as_exactly_as_seconds():
    """float32 has no microseconds left after some seconds: events are timed from near ones."""
    machine = Machine()
    instants, truth = taken(machine, [250 * MS] * 4 * 3600)
    found = instants.read_ns()
    assert max(abs(a - b) for a, b in zip(found, truth, strict=True)) < 400_000
    steps = [b - a for a, b in pairwise(found)]
    assert max(abs(step - 250 * MS) for step in steps) < 1000


def test_clocks_that_drift_apart_are_brought_together_again():
    """Twenty millionths in a minute are more than a millisecond."""
    machine = Machine(drift=20e-6)
    instants, truth = taken(machine, [100 * MS] * 600)
    found = instants.read_ns()
    assert max(abs(a - b) for a, b in zip(found, truth, strict=True)) < 20_000


def test_no_marks_are_no_instants():
    """Reading them is allowed at any time."""
    assert CudaInstants(Machine().event, Machine().now).read_ns() == []
