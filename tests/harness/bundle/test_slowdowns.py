"""A load's latencies are held against those of one request at a time."""

from dataclasses import replace

import pytest

from accelbench.harness.bundle.slowdowns import slowdowns
from accelbench.harness.judge.checklist.evaluate import evaluate
from accelbench.harness.metrics.catalogue import definition
from accelbench.harness.schema.arrivals import Poisson, Replay
from accelbench.harness.schema.cell import Cell, Choice, Neighbour, Workload
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    Offline,
    OpenLoop,
    SingleStream,
    Sustainable,
)
from accelbench.harness.schema.trace import ServiceLevel

LEVEL = ServiceLevel(ttft_s=0.5)
POISSON = Poisson("poisson", 4.0)
SINGLE = SingleStream("single_stream", 50)
USERS = ClosedLoop("closed_loop", 4, 50, LEVEL)
RATE = OpenLoop("open_loop", POISSON, 50)
REPLAY = OpenLoop("open_loop", Replay("replay", "a.csv", "azure_llm"), None)
OFFLINE = Offline("offline", 8, 64)
SEARCH = Sustainable("sustainable", POISSON, 50, LEVEL)
HERE = Platform("here", "a machine", "cpu", {}, (), None, None, (), ("a test",))


def cell(name, scenario, **more):
    """A cell of one workload, adapter and platform."""
    parts = {
        "workload": Workload("lm", "lm", "decoder", "a model", {}),
        "rules": Rules("quick", "three trials", 3, 0, "shared", 60.0, 7, Limits(), (), ()),
        "adapter": Choice("engine", {}),
        "platform": HERE,
        "probe": Choice("none"),
        "tracker": Choice("none"),
        "executor": Choice("local"),
    }
    return Cell(name=name, scenario=scenario, **{**parts, **more})


def trials(of, latency, status="valid", change=(0.9, 1.0, 1.1)):
    """Three trials with this latency, a little apart."""
    names = ("e2e.response.p99", "e2e.service.mean", "tpot.p50", "tp.system")
    return [
        Record(
            schema="accelbench.record/1", cell=of.name, cell_hash=of.hash, repeat=repeat,
            round=repeat, session="s", workload="lm", scenario=of.scenario.kind,
            adapter="engine", platform="here", evidence="measured", clock="wall", status=status,
            reasons=(), engine={}, started_utc="", finished_utc="",
            measurements={name: Measurement(latency * by, "s", 9) for name in names},
        )
        for repeat, by in enumerate(change)
    ]  # fmt: skip


def found(*groups):
    """What is derived of these cells and their trials."""
    records = [record for _, own in groups for record in own]
    return slowdowns({one.name: one for one, _ in groups}, records)


def group(name, scenario, latency, status="valid", **more):
    """A cell and its trials."""
    one = cell(name, scenario, **more)
    return one, trials(one, latency, status)


ALONE = group("single", SINGLE, 0.2)


def test_each_load_is_held_against_the_single_stream_of_the_same_work():
    """Means over trials, with an interval; rates are no latencies."""
    (item,) = found(ALONE, group("users", USERS, 0.5), group("rate", RATE, 0.3))
    assert item.name == "slowdown.over_single"
    told = item.measurements
    assert told["unloaded.e2e.service.mean"].value == pytest.approx(0.2)
    assert told["unloaded.e2e.service.mean"].interval.over == "trials"
    assert told["load.slowdown.e2e.response.p99.users"].value == pytest.approx(2.5)
    assert told["load.slowdown.tpot.p50.rate"].value == pytest.approx(1.5)
    between = told["load.slowdown.tpot.p50.rate"].interval
    assert between.low < 1.5 < between.high
    assert not any("tp.system" in name or "ttft" in name for name in told)
    assert len(item.inputs) == 9
    for name, one in told.items():
        assert definition(name).unit == one.unit


@pytest.mark.parametrize(
    "other",
    [
        {"workload": Workload("lm", "lm", "decoder", "a model", {"prompt_tokens": 9})},
        {"adapter": Choice("engine", {"threads": 2})},
        {"platform": replace(HERE, name="there")},
        {"beside": Neighbour("batch", "b" * 64)},
        {"weights_from": "train"},
    ],
)
def test_other_work_is_not_compared(other):
    """The cells differ in more than name and scenario."""
    assert found(ALONE, group("users", USERS, 0.5, **other)) == ()


def test_a_replay_has_lengths_of_its_own():
    """It is neither compared nor told of the single stream."""
    assert found(ALONE, group("replay", REPLAY, 0.5)) == ()
    (item,) = found(ALONE, group("users", USERS, 0.5), group("replay", REPLAY, 0.5))
    assert not any(name.startswith("replay/") for name in item.inputs)


def test_work_due_at_the_start_and_searches_are_told_without_a_ratio():
    """Their latency is that of a queue of our own making, or of many loads."""
    assert found(ALONE, group("offline", OFFLINE, 5.0)) == ()
    (item,) = found(
        ALONE,
        group("users", USERS, 0.5),
        group("offline", OFFLINE, 5.0),
        group("search", SEARCH, 1.0),
    )
    assert {name.partition("/")[0] for name in item.inputs} == {
        "single", "users", "offline", "search",
    }  # fmt: skip
    loads = {name.rpartition(".")[2] for name in item.measurements if "slowdown" in name}
    assert loads == {"users"}


def test_trials_that_are_not_valid_say_nothing():
    """Without a valid single stream there is no ratio and no latency to tell."""
    users = group("users", USERS, 0.5)
    (item,) = found(group("single", SINGLE, 0.2, status="invalid"), users)
    assert item.measurements == {}
    (item,) = found(ALONE, group("users", USERS, 0.5, status="failed"))
    assert not any("slowdown" in name for name in item.measurements)


def test_a_load_answers_for_the_unloaded_latency_by_its_single_stream():
    """INF-07 is answered from what is derived, and by nothing where there is no single stream."""
    users = group("users", USERS, 0.5)
    (item,) = found(ALONE, users)
    documents = {"record": encode(users[1][0]), "cell": encode(users[0]), "where": {}}
    answer = {one.id: one for one in evaluate({**documents, "derived": {item.name: encode(item)}})}
    assert answer["INF-07"].status == "answered"
    assert answer["INF-07"].pointers == (
        "derived:/slowdown.over_single/measurements/unloaded.e2e.service.mean",
    )
    bare = {one.id: one for one in evaluate({**documents, "derived": {}})}
    assert bare["INF-07"].status == "missing"
