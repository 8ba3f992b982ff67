"""What a session's parent adds to a trial's trace: the machine while it ran."""

import os
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from accelbench.harness.bundle.layout import TRACE
from accelbench.harness.bundle.trace_files import read_trace, write_trace
from accelbench.harness.environment.memory_watch import MemoryWatch
from accelbench.harness.run import registry
from accelbench.harness.run.session import _watched_trial
from accelbench.harness.schema.protocols import Reading
from accelbench.harness.schema.trace import Meter, Trace, TraceHead

METER = Meter("metered", "a counter", "board", ("chip",), 0.1)


class Watch:
    """A probe that read its meter once."""

    def meter(self):
        """What it is."""
        return METER

    def readings(self):
        """One reading."""
        return [Reading("gpu-0", "power", 5, 100.0, "W", "board")]


class Worker:
    """A worker that is this process and does its trial at once."""

    pid = os.getpid()

    def __init__(self, event):
        self._event = event

    def begin(self, number):
        """Nothing to do."""

    def event(self, _limit_s):
        """The answer."""
        return self._event


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Does one trial on a clock of this kind and returns its trace."""

    def run(clock, event="done"):
        """Stands in for the real `run`."""
        head = TraceHead("accelbench.trace/1", clock, "measured", (0, 10))
        write_trace(Trace(head, {}), tmp_path / TRACE)
        probe = SimpleNamespace(watch=lambda _pid: nullcontext(Watch()))
        monkeypatch.setattr(registry, "adapter", lambda _choice: SimpleNamespace(clock=clock))
        monkeypatch.setattr(registry, "probe", lambda _choice: probe)
        cell = SimpleNamespace(
            adapter=None,
            probe=SimpleNamespace(name="nvml"),
            rules=SimpleNamespace(time_limit_s=1.0),
        )
        trial = SimpleNamespace(cell="c", folder=str(tmp_path))
        job = SimpleNamespace(cells={"c": cell}, trials=[trial])
        memory = MemoryWatch(os.getpid())
        _watched_trial(job, 0, Worker({"event": event}), (), memory, lambda _: None)
        return read_trace(tmp_path / TRACE)

    return run


def test_a_trial_on_the_wall_clock_is_watched(watched):
    """Counters of the machine, readings of the probe, and what the probe says of itself."""
    trace = watched("wall")
    rows = trace.table("counters").to_pylist()
    assert {"clock.step", "cpu.engine_time", "memory.resident"} <= {row["name"] for row in rows}
    assert all(row["at_ns"] > 0 and row["unit"] and row["scope"] for row in rows)
    assert trace.table("samples").to_pylist()[0]["probe"] == "nvml"
    assert trace.head.meters == {"nvml": METER}


def test_nothing_is_watched_on_a_simulated_clock(watched):
    """This machine's load is no fact about a simulated one."""
    trace = watched("simulated")
    assert trace.num_rows("counters") == trace.num_rows("samples") == 0
    assert trace.head.meters == {}


def test_a_trial_that_failed_keeps_its_trace_as_it_is(watched):
    """Nothing is added to what will not be read."""
    assert watched("wall", event="closed").num_rows("counters") == 0
