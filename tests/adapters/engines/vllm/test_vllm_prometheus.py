"""What a server counts is read from its page of metrics."""

import pytest

from accelbench.adapters.engines.vllm.prometheus import (
    GAUGES,
    INFO,
    TOTALS,
    Reading,
    Watch,
    parse,
    record,
)
from accelbench.harness.schema.counters import COUNTERS
from accelbench.harness.schema.recorder import Recorder, VirtualClock

HITS = "vllm:prefix_cache_hits_total"
QUERIES = "vllm:prefix_cache_queries_total"


def _reading(at_ns, **values):
    names = {"hits": HITS, "queries": QUERIES, "usage": "vllm:kv_cache_usage_perc"}
    text = "\n".join(f'{names[key]}{{engine="0"}} {value}' for key, value in values.items())
    return Reading(at_ns - 1, at_ns, parse(text, (*TOTALS, *GAUGES)))


def _recorded(readings, window, caching=True):
    recorder = Recorder(VirtualClock())
    recorder.window(*window)
    record(readings, window, recorder, caching=caching)
    table = recorder.freeze("measured").tables.get("counters")
    return [] if table is None else table.to_pylist()


def test_only_the_series_asked_for_are_read(page):
    """A series whose name begins like a wanted one is another, and comments are none."""
    found = parse(page, ("vllm:num_requests_waiting", "process_open_fds"))
    assert [(one.name, one.value) for one in found] == [
        ("vllm:num_requests_waiting", 1.0),
        ("process_open_fds", 34.0),
    ]
    assert found[0].labels == {"engine": "0", "model_name": "m"}


def test_labels_may_hold_commas_and_quotes(page):
    """The configuration of the cache is in the labels of one line."""
    (info,) = parse(page, (INFO,))
    assert info.labels["block_size"] == "128"
    assert info.labels["num_gpu_blocks"] == "95"
    assert "c" in info.labels["note"]


def test_counters_have_the_units_that_metrics_know():
    """What is recorded is in the harness's list of counters, with its unit."""
    for name, unit in (*TOTALS.values(), *GAUGES.values()):
        assert COUNTERS[name][0] == unit


def test_a_total_is_what_grew_around_the_window():
    """It is the last reading before the window taken from the first one after it."""
    readings = [
        _reading(10, hits=1, queries=10),
        _reading(20, hits=5, queries=50),
        _reading(35, hits=6, queries=70),
        _reading(50, hits=9, queries=110),
        _reading(60, hits=90, queries=900),
    ]
    rows = _recorded(readings, (22, 45))
    assert {row["name"]: row["value"] for row in rows} == {
        "prefix_cache.hit": 4.0,
        "prefix_cache.queried": 60.0,
    }
    assert {row["at_ns"] for row in rows} == {45}


def test_totals_of_several_engines_add_up():
    """Each engine behind a server has a line of its own."""
    text = "".join(f'{HITS}{{engine="{n}"}} {n + 1}.0\n' for n in range(3))
    assert Reading(0, 1, parse(text, (HITS,))).totals() == {HITS: 6.0}


def test_without_a_reading_on_both_sides_there_is_no_total():
    """What cannot be told is left out, and so is a counter that went back."""
    assert _recorded([_reading(30, hits=1)], (22, 45)) == []
    assert _recorded([_reading(10, hits=9), _reading(50, hits=1)], (22, 45)) == []


def test_without_a_prefix_cache_nothing_is_told_of_one():
    """The server has the series all the same."""
    readings = [_reading(10, hits=0), _reading(50, hits=0)]
    assert len(_recorded(readings, (22, 45))) == 1
    assert _recorded(readings, (22, 45), caching=False) == []


def test_gauges_are_recorded_when_they_were_read():
    """Each reading is a row at the time of its answer."""
    rows = _recorded([_reading(10, usage=0.1), _reading(30, usage=0.4)], (22, 45))
    assert [(row["name"], row["at_ns"], row["value"]) for row in rows] == [
        ("kv.usage", 10, 0.1),
        ("kv.usage", 30, 0.4),
    ]


def test_a_watch_reads_at_its_beginning_and_at_its_end(page):
    """Without a period there are two readings, whatever lies between."""
    with Watch(lambda: page, None) as watch:
        assert len(watch.readings) == 1
    assert len(watch.readings) == 2
    assert watch.readings[0].at_ns <= watch.readings[1].asked_ns
    assert watch.mean_cost_s() >= 0


def test_a_watch_goes_on_reading_meanwhile(page):
    """With a period its thread reads until the block is left."""
    import threading

    many = threading.Event()
    answers = []

    def ask():
        answers.append(page)
        if len(answers) > 3:
            many.set()
        return page

    with Watch(ask, 0.001) as watch:
        assert many.wait(10)
    assert len(watch.readings) == len(answers) >= 5


def test_a_server_that_does_not_answer_is_counted():
    """A reading that failed is missed, not made up."""

    def ask():
        raise ConnectionRefusedError

    with Watch(ask, None) as watch:
        pass
    assert (watch.readings, watch.missed, watch.mean_cost_s()) == ([], 2, None)


def test_a_server_may_have_no_such_series():
    """A page without our series makes readings without figures."""
    assert parse("other 1.0\n", (*TOTALS, *GAUGES)) == ()
    assert _recorded([Reading(0, 1, ()), Reading(50, 51, ())], (22, 45)) == []


@pytest.mark.parametrize("text", ["", "vllm:kv_cache_usage_perc", "vllm:kv_cache_usage_perc{"])
def test_broken_lines_are_passed_over(text):
    """A line that is no sample tells nothing."""
    assert parse(text, tuple(GAUGES)) == ()
