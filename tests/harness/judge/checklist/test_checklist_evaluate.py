"""What counts as an answer."""

import pytest

from accelbench.harness.judge.checklist import evaluate as module
from accelbench.harness.judge.checklist.declared import declared, declared_at, unasked
from accelbench.harness.judge.checklist.evaluate import Answer, evaluate, score
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.producers import Producer

WAYS = {
    "GEN-01": (Producer("observed", "record:/evidence"),),
    "GEN-09": (Producer("observed", "environment:/facts/memory.total_bytes"),),
    "GEN-10": (
        Producer("observed", "environment:/facts/cpu.model environment:/facts/cpu.link"),
        Producer("declared", "hw.host"),
    ),
    "GEN-16": (Producer("declared", "hw.firmware"),),
    "GEN-24": (Producer("computed", "record:/measurements/quality.*"),),
    "GEN-52": (Producer("sheet", "cell:/platform/peak/*/value"),),
    "GEN-53": (Producer("pending", "a profiler"),),
    "INF-06": (Producer("computed", "record:/measurements/e2e.p50 record:/measurements/e2e.p99"),),
    "INF-36": (Producer("observed", "record:/engine/attention"),),
    "GEN-36": (Producer("observed", "cell:/rules/warmup"),),
    "GEN-37": (Producer("observed", "record:/engine/compile_s"),),
}


@pytest.fixture(autouse=True)
def ways(monkeypatch):
    """A few producers, so that the rules show whatever the real table says."""
    monkeypatch.setattr(module, "producers", lambda: WAYS)


def documents(declare=None, engine=None, **more):
    """A valid measured record of a decoder on a CPU, unless told otherwise."""
    return {
        "record": {
            "evidence": "measured",
            "status": "valid",
            "engine": engine or {},
            "measurements": {
                "e2e.p50": {"value": 0.1, "reason": None},
                "e2e.p99": {"value": None, "reason": "too few requests"},
                "quality.accuracy": {"value": 0.9, "reason": None},
            },
            **more.pop("record", {}),
        },
        "cell": {
            "workload": {"family": "decoder"},
            "scenario": {"kind": "single_stream"},
            "platform": {"family": more.pop("platform", "cpu"), "peak": {}},
            "rules": {"warmup": 3},
            "declare": declare or {},
        },
        "environment": {"facts": {"cpu.model": {"value": "x"}, "memory.total_bytes": {"value": 8}}},
        "where": {"record": "records/a/0/record.json#", "cell": "campaign.json#/cells/a"},
    }


def answers(**told):
    """The answers by id."""
    return {answer.id: answer for answer in evaluate(documents(**told))}


def test_every_item_gets_one_answer_in_the_surveys_order():
    """Whatever the record, none is left out."""
    assert [answer.id for answer in evaluate(documents())] == list(items())
    assert [answer.id for answer in evaluate({})] == list(items())


def test_an_answer_keeps_the_place_of_its_evidence():
    """A file of the bundle, and a pointer into it."""
    assert answers()["GEN-01"] == Answer(
        "GEN-01", "answered", "records/a/0/record.json#/evidence", ("record:/evidence",)
    )
    quality = answers()["GEN-24"]
    assert quality.evidence == "records/a/0/record.json#/measurements/quality.accuracy"


def test_every_pointer_of_a_producer_must_have_a_value():
    """Two of three percentiles are no answer; the reason is that of the one that lacks."""
    found = answers()["INF-06"]
    assert (found.status, found.evidence, found.reason) == (
        "missing",
        "",
        "e2e.p99: too few requests",
    )


def test_a_declaration_answers_where_nothing_better_does_and_is_marked():
    """It is taken only where a producer allows it."""
    assert answers()["GEN-10"].reason == "nothing at environment:/facts/cpu.link"
    found = answers(declare={"hw": {"host": "a host"}})["GEN-10"]
    assert found.status == "answered"
    assert found.declared
    assert found.evidence == "campaign.json#/cells/a/declare/hw/host"
    refused = answers(declare={"hw": {"memory_interconnect": "x"}, "bound.class": "compute"})
    assert not refused["GEN-09"].declared
    assert refused["GEN-53"].status == "missing"
    assert refused["GEN-53"].reason == "declare.bound.class does not count: it must be observed"


def test_a_producer_may_name_another_key_than_the_items_own():
    """And the missing key is told."""
    assert answers()["GEN-16"].reason == "declare.hw.firmware is not given"
    assert answers(declare={"hw.firmware": "1.2"})["GEN-16"].declared


def test_what_no_capability_brings_yet_is_missing_and_says_so():
    """Pending producers never answer."""
    assert answers()["GEN-53"].reason == "pending: a profiler"
    assert answers()["GEN-50"].status == "not_applicable"
    assert answers()["GEN-19"].reason == "nothing answers it"


def test_an_item_is_answered_through_the_items_it_points_at():
    """All of them, but for those that do not apply to the record."""
    found = answers(platform="gpu", engine={"attention": "paged", "compile_s": 2.0})
    assert found["GPU-01"].evidence == found["INF-36"].evidence
    assert found["GPU-07"].reason == "as is GEN-40, which holds the same datum"
    simulated = {"evidence": "simulated"}
    found = answers(platform="tpu", engine={"compile_s": 2.0}, record=simulated)
    assert found["TPU-01"].reason == "as is GEN-14, GEN-15, which holds the same datum"


def test_the_environment_answers_nothing_of_a_simulated_machine():
    """It tells of the machine that the simulator ran on."""
    assert answers()["GEN-09"].status == "answered"
    found = answers(record={"evidence": "simulated"})["GEN-09"]
    assert found.status == "missing"
    assert "not the simulated machine" in found.reason


def test_a_failed_record_shows_nothing():
    """What applies to it is missing for that reason; the rest still does not apply."""
    found = answers(record={"status": "failed"})
    assert {answer.status for answer in found.values()} == {"missing", "not_applicable"}
    assert found["GEN-01"].reason == "the trial failed, so it shows nothing"


def test_the_score_counts_every_item_of_a_group_once():
    """Over all groups there are 325."""
    found = score(evaluate(documents()))
    assert list(found) == list(dict.fromkeys(item.group for item in items().values()))
    assert sum(sum(vars(group).values()) for group in found.values()) == 325
    assert found["GEN"].answered == 4
    assert found["FPGA"].not_applicable == 14


@pytest.mark.parametrize(
    "declare",
    [{"hw.host": "x"}, {"hw": {"host": "x"}}, {"hw": {"host": None}, "hw.host": "x"}],
)
def test_dotted_keys_may_be_nested_or_flat(declare):
    """As an override nests them, or as a suite writes them."""
    assert declared(documents(declare=declare), "hw.host") == "x"


def test_a_longer_field_is_no_part_of_a_shorter_one():
    """`goodput.both` does not answer `goodput`."""
    assert declared_at(documents(declare={"goodput": {"both": True}}), "goodput") is None
    assert declared_at(documents(declare={"goodput": {"tokens": 3}}), "goodput")
    nested = documents(declare={"goodput": {"both": True}})
    assert declared_at(nested, "goodput.both") == "cell:/declare/goodput/both"


def test_declared_keys_that_no_item_asks_for_are_found():
    """A misspelled key answers nothing, and its user should know."""
    told = {"hw": {"hots": "x", "host": {"cpu": "y"}}, "conditions": {"cloud": True}}
    assert unasked(documents(declare=told)) == ("hw.hots",)
    assert unasked({}) == ()
