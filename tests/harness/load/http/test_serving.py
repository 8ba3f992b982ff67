"""A whole trial against a server: rows, window, counters, calibration."""

import json

import pytest

from accelbench.harness.load.http import serving
from accelbench.harness.load.http.calibration import Calibration
from accelbench.harness.load.http.null_server import NullServer
from accelbench.harness.load.http.serving import serve
from accelbench.harness.load.http.target import Target
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.arrivals import Poisson
from accelbench.harness.schema.protocols import Work
from accelbench.harness.schema.recorder import Recorder, WallClock
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
)
from accelbench.harness.schema.trace import ServiceLevel
from accelbench.suites.workloads.requests.served import Served
from tests.harness.load.http.misbehaving import misbehaving


class Knowing(Served):
    """A workload that knows the right answers, the last of which the null server does not give."""

    def reference(self, prompts):
        """Half of the last answer is another one."""
        return [" word" * 4] * (len(prompts) - 1) + [" word word else else"]

    def text(self, prompt, tokens):
        """No engine in this process is asked."""
        raise NotImplementedError


RULES = Rules("test", "", 1, 3, "fresh", 60.0, 1, Limits(), (), ())
CALIBRATED = Calibration(75.0, 4, 1, (), 100, (1e-4, 2e-4), (0, 0), (0, 3e-4), (0, 0), 1e-4, 0)


@pytest.fixture
def trial(tmp_path, monkeypatch):
    """Runs a trial; returns its trace and facts. The calibration is a known one."""
    monkeypatch.setattr(serving, "calibrate", lambda *_: CALIBRATED)

    def run(url, scenario, rules=RULES, told=lambda _: None, made=Served, **target):
        recorder = Recorder(WallClock())
        builder = made(model_name="null", prompt_tokens=8, output_tokens=4)
        work = Work(scenario, rules, 1, tmp_path, told)
        facts = serve(Target(url, "null", **target), builder, work, recorder)
        json.dumps(facts, allow_nan=False)
        return recorder.freeze("measured"), facts

    return run


def rows(trace):
    """The requests in the order of the plan."""
    return sorted(trace.table("requests").to_pylist(), key=lambda row: int(row["id"]))


def inside(trace):
    """Ids of the requests that were due in the window."""
    start, end = trace.head.window_ns
    return [int(row["id"]) for row in rows(trace) if start <= row["due_ns"] <= end]


def ended_inside(trace):
    """Ids of the requests that were done in the window."""
    start, end = trace.head.window_ns
    return [int(row["id"]) for row in rows(trace) if start <= row["done_ns"] <= end]


def test_an_open_loop_has_its_schedule_its_window_and_its_service_level(trial):
    """Warm-up and tail lie outside the window; the head tells process, rate and level."""
    slo = ServiceLevel(ttft_s=1.0)
    scenario = OpenLoop("open_loop", Poisson("poisson", 200.0), 20, slo, tail=4)
    with NullServer() as server:
        trace, facts = trial(server.url, scenario)
    assert inside(trace) == list(range(3, 23))
    assert len(rows(trace)) == 27
    assert trace.head.slo == slo
    assert trace.head.arrivals.rate_per_s == 200.0
    assert facts["load"]["requests"] == 20
    values = measure(trace, None)
    assert values["slo.attainment"].value == 1.0
    assert values["e2e.response.p50"].value >= values["e2e.service.p50"].value


@pytest.mark.parametrize(
    ("scenario", "counted"),
    [
        (SingleStream("single_stream", 9), 9),
        (ClosedLoop("closed_loop", 1, 9), 9),
        (MultiStream("multi_stream", 3, 4), 12),
    ],
)
def test_an_end_at_an_edge_of_the_window_counts_on_one_side_alone(trial, scenario, counted):
    """Of users without pause as many requests are done in the window as were due in it."""
    with NullServer() as server:
        trace, _ = trial(server.url, scenario)
    assert len(inside(trace)) == counted
    assert ended_inside(trace) == inside(trace)


def test_samples_of_a_query_share_its_name(trial):
    """Each query of a multi-stream load has its own."""
    with NullServer() as server:
        trace, _ = trial(server.url, MultiStream("multi_stream", 3, 2))
    assert [row["query"] for row in rows(trace)][-6:] == ["3"] * 3 + ["4"] * 3


def test_offline_work_is_due_when_the_window_opens(trial):
    """All of it, and the window closes with the last answer."""
    with NullServer() as server:
        trace, _ = trial(server.url, Offline("offline", 4, 10))
    start, end = trace.head.window_ns
    due = [row["due_ns"] for row in rows(trace)]
    assert due[12:] == [start] * 12  # after three batches of four
    assert max(row["done_ns"] for row in rows(trace)) == end


def test_the_generator_tells_of_itself_and_of_its_calibration(trial, tmp_path):
    """Counters with its time, its lag and its error; the calibration lies with the artifacts."""
    with NullServer() as server:
        trace, facts = trial(server.url, ClosedLoop("closed_loop", 2, 20), processes=2)
    counters = trace.table("counters").to_pylist()
    value = {(row["name"], row["scope"]): row["value"] for row in counters}
    assert value["generator.processes", "process"] == 2
    assert value["generator.cpu_time", "0"] > 0
    assert value["generator.cpu_time", "1"] > 0
    assert value["generator.error", "process"] == pytest.approx(3e-4)
    assert json.loads((tmp_path / "generator.json").read_text())["rate_per_s"] == 75.0
    assert facts["counting"]["spread"] == facts["counting"]["uncounted"] == 0
    assert facts["tokens"]["output"] == {"4": 20}


def test_what_the_time_limit_left_unsent_is_a_record_that_counts_as_failed(trial):
    """A server that hangs leaves every planned request in the trace."""
    rules = Rules("test", "", 1, 0, "fresh", 1.5, 1, Limits(), (), ())
    with misbehaving("hang") as url:
        trace, _ = trial(url, ClosedLoop("closed_loop", 2, 10), rules)
    status = [row["status"] for row in rows(trace)]
    assert status == ["timeout"] * 2 + ["unsent"] * 10
    assert inside(trace) == list(range(12))


def test_a_server_without_usage_leaves_tokens_uncounted(trial):
    """Nobody told how many there were, so nobody guesses."""
    with misbehaving("no_usage") as url:
        trace, facts = trial(url, SingleStream("single_stream", 3))
    assert facts["counting"]["uncounted"] == 3
    assert trace.table("tokens")["count"].null_count > 0


def test_a_tokenizer_counts_what_the_server_does_not(trial, monkeypatch):
    """Over the whole text of an answer, laid on its arrivals."""
    monkeypatch.setattr(Served, "count", lambda _self, text: len(text.split()) + 1)
    with misbehaving("no_usage") as url:
        trace, facts = trial(url, SingleStream("single_stream", 3))
    assert facts["counting"]["uncounted"] == 0
    assert facts["counting"]["by_tokenizer"] == 3
    assert [row["output_tokens"] for row in rows(trace)][3:] == [5] * 3
    counts = [row["count"] for row in trace.table("tokens").to_pylist() if row["id"] == "4"]
    assert counts == [1, 1, 1, 2]


def test_news_of_a_running_load_is_told(trial):
    """What was planned, sent and ended, while it runs."""
    told = []
    with NullServer(first_s=0.02) as server:
        trial(server.url, SingleStream("single_stream", 40), told=told.append)
    assert told[-1]["event"] == "load"
    assert told[-1]["planned"] == 43
    assert told[-1]["sent"] >= told[-1]["ended"]


def test_answers_are_held_against_the_reference_where_the_rules_ask_for_it(trial):
    """In a window of two answers one is right and one is half right; the warm-up does not count."""
    whole = Rules("test", "", 1, 3, "fresh", 60.0, 1, Limits(), (), (), accuracy="all")
    with NullServer() as server:
        trace, _ = trial(server.url, SingleStream("single_stream", 2), whole, made=Knowing)
        unasked, _ = trial(server.url, SingleStream("single_stream", 2), made=Knowing)
    (found,) = trace.table("evals").to_pylist()
    assert (found["metric"], found["n"]) == ("agreement", 2)
    assert found["value"] == pytest.approx((1 + 11 / 20) / 2)
    assert unasked.num_rows("evals") == 0
