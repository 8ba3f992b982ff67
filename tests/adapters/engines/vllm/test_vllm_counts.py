"""What vLLM's engine tells at each step becomes counters of the window."""

from types import SimpleNamespace

import pytest

from accelbench.adapters.engines.vllm import counts as module
from accelbench.adapters.engines.vllm.counts import Counts
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.recorder import Recorder, VirtualClock


def _scheduler(usage=0.0, running=0, queries=0, hits=0, drafted=None):
    drafts = drafted and SimpleNamespace(num_draft_tokens=drafted, num_accepted_tokens=1)
    return SimpleNamespace(
        kv_cache_usage=usage,
        num_running_reqs=running,
        num_waiting_reqs=1,
        num_skipped_waiting_reqs=1,
        prefix_cache_stats=SimpleNamespace(queries=queries, hits=hits),
        spec_decoding_stats=drafts,
    )


@pytest.fixture
def told(monkeypatch):
    """Notes steps at given instants and returns the counters of a window."""

    def tell(steps, window, caching=True):
        counts, recorder = Counts(), Recorder(VirtualClock())
        for at_ns, scheduler, preempted in steps:
            monkeypatch.setattr(module, "perf_counter_ns", lambda at_ns=at_ns: at_ns)
            counts.record(scheduler, SimpleNamespace(num_preempted_reqs=preempted))
        counts.record(None, None)
        counts.tell(window, recorder, caching=caching)
        recorder.window(*window)
        return recorder.freeze("measured").tables["counters"].to_pylist()

    return tell


def _value(rows, name):
    return [row["value"] for row in rows if row["name"] == name]


def test_totals_are_of_the_steps_in_the_window(told):
    """A step counts when it ended in the window, ends included."""
    steps = [(t, _scheduler(queries=10, hits=4, drafted=3), 1) for t in (5, 10, 15, 20, 25)]
    rows = told(steps, (10, 20))
    assert _value(rows, "prefix_cache.queried") == [30]
    assert _value(rows, "prefix_cache.hit") == [12]
    assert _value(rows, "preemptions") == [3]
    assert _value(rows, "speculation.drafted") == [9]
    assert _value(rows, "speculation.accepted") == [3]
    assert all(COUNTERS[row["name"]][0] == row["unit"] for row in rows)


def test_gauges_are_recorded_where_they_change(told):
    """A gauge that stands still is one row."""
    steps = [(t, _scheduler(usage, 2), 0) for t, usage in ((1, 0.5), (2, 0.5), (3, 0.25))]
    rows = told(steps, (1, 3))
    assert [(r["at_ns"], r["value"]) for r in rows if r["name"] == "kv.usage"] == [
        (1, 0.5),
        (3, 0.25),
    ]
    assert _value(rows, "requests.running") == [2]
    assert _value(rows, "requests.waiting") == [2]


def test_what_is_not_there_has_no_total(told):
    """Without speculation nothing is drafted, and without a cache nothing is looked up."""
    names = {row["name"] for row in told([(1, _scheduler(), 0)], (0, 2), caching=False)}
    assert "preemptions" in names
    assert not any(name.startswith(("speculation", "prefix_cache")) for name in names)


def test_a_trial_does_not_see_the_one_before(told):
    """What is cleared is forgotten."""
    counts, recorder = Counts(), Recorder(VirtualClock())
    counts.record(_scheduler(), SimpleNamespace(num_preempted_reqs=1))
    counts.clear()
    counts.tell((0, 1), recorder, caching=True)
    recorder.window(0, 1)
    assert "counters" not in recorder.freeze("measured").tables
