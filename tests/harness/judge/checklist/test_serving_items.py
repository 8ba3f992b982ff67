"""What a record of a serving load answers of the survey's checklist."""

import pytest

from accelbench.harness.judge.checklist.evaluate import evaluate
from accelbench.harness.judge.checklist.producers import producers
from accelbench.harness.judge.checklist.rules import CONCERNS, fits

PERCENTILES = [
    f"{quantity}.{p}"
    for quantity in ("ttft.response", "itl.gap", "e2e.response")
    for p in ("p50", "p95", "p99")
]
LOAD = {"load.offered": 4.0, "load.in_flight.mean": 2.5, "tp.system": 100.0, "e2e.response.p99": 1}
CURVE = {
    "curve.from_a": [
        f"curve.{name}.{load}" for name in ("tp.system", *PERCENTILES) for load in "24"
    ]
}
SERVER = {
    "kv_cache": {"policy": "paged", "block_size": 16, "compressed": False, "recomputed": False,
                 "offloaded": False},
    "scheduler": "mixed prefill and decode", "tokens": {"input": {"8": 4}, "output": {"8": 4}},
    "attention": {"implementation": "flash", "library": "a library"},
    "speculative": {"method": "ngram"}, "counting": {"source": "usage"},
}  # fmt: skip
BURSTS = {"kind": "bursts", "on_rate_per_s": 16.0, "off_rate_per_s": 1.0, "on_s": 2, "off_s": 6}


def measured(values):
    """Measurements with these values."""
    return {
        name: {"value": value, "reason": None if value is not None else "no"}
        for name, value in values.items()
    }


def answers(measurements=(), *, engine=None, head=None, derived=None, arrivals=None):
    """The answers of a valid record of a decoder in an open loop, by item."""
    documents = {
        "record": {
            "evidence": "measured",
            "status": "valid",
            "engine": engine or {},
            "measurements": measured(dict(measurements)),
        },
        "head": head or {},
        "cell": {
            "workload": {"family": "decoder"},
            "scenario": {"kind": "open_loop", "arrivals": arrivals},
            "platform": {"family": "gpu", "peak": {}},
        },
        "derived": {
            name: {"measurements": measured(dict.fromkeys(names, 1.0))}
            for name, names in (derived or {}).items()
        },
        "where": {},
    }
    return {answer.id: answer for answer in evaluate(documents)}


def test_load_and_concurrency_are_measured():
    """The rate that was offered, or what was in flight, whatever facts the load tells."""
    for name in ("load.offered", "load.in_flight.mean"):
        assert answers({name: 2.0})["INF-01"].status == "answered"
    assert answers()["INF-01"].status == "missing"
    assert answers(LOAD)["INF-16"].status == "answered"


def test_bursts_tell_their_parameters_and_their_tail():
    """The process with its parameters, and the p99 under it; other processes have no burst."""
    found = answers(LOAD, head={"arrivals": {"process": "bursts"}}, arrivals=BURSTS)
    assert found["INF-04"].pointers == ("head:/arrivals/process", "cell:/scenario/arrivals")
    assert found["INF-40"].status == "answered"
    poisson = {"kind": "poisson", "rate_per_s": 4.0}
    assert answers(LOAD, arrivals=poisson)["INF-40"].status == "missing"


def test_a_server_answers_by_its_configuration():
    """Scheduler, paging, compression, attention, speculation and counting."""
    found = answers({"speculation.acceptance": 0.5}, engine=SERVER)
    for item in ("INF-02", "INF-03", "INF-27", "INF-29", "INF-35", "INF-36", "INF-37", "GPU-01"):
        assert found[item].status == "answered", item
    assert "record:/engine/kv_cache/block_size" in found["INF-28"].pointers


@pytest.mark.parametrize(
    ("item", "measurements"),
    [
        ("INF-31", {"requests.running.mean": 3.0}),
        ("INF-32", {"kv.usage.peak": 0.9, "kv.waste.rounding": 0.1}),
        ("INF-34", {"prefix_cache.hit_rate": 0.5}),
        ("INF-19", {"goodput.requests": 1.0}),
        ("INF-20", {"tp.requests": 2.0, "goodput.requests": 1.0}),
    ],
)
def test_an_engine_answers_by_its_counters(item, measurements):
    """All of them, or none."""
    assert answers(measurements)[item].status == "answered"
    assert answers(dict.fromkeys(measurements))[item].status == "missing"


def test_a_curve_answers_for_each_of_its_cells():
    """A GPU's item asks for what can be sustained too."""
    found = answers(derived=CURVE)
    assert (found["INF-22"].status, found["GPU-08"].status) == ("answered", "missing")
    for name in ("sustainable.load", "sustainable.concurrency"):
        both = answers(derived=CURVE | {"s": [name]})
        assert (both["INF-21"].status, both["GPU-08"].status) == ("answered", "answered")
    assert answers(LOAD)["INF-22"].status == "missing"


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("GEN-21", "the suite mix"),
        ("GEN-40", "the suite soak"),
        ("GEN-48", "the suite neighbours"),
        ("GEN-51", "MLPerf's rules"),
        ("INF-43", "the suite mix"),
        ("FPGA-08", "the suite neighbours"),
    ],
)
def test_what_is_still_to_come_is_named(item, word):
    """In the words of what will bring it."""
    (waits,) = [one for one in producers()[item] if one.how == "pending"]
    assert waits.reason.startswith(word)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("RULE-07", "curve.tp.system.8"),
        ("RULE-08", "sustainable.tokens"),
        ("RULE-09", "curve.ttft.response.p99.0.5"),
        ("RULE-11", "curve.goodput.requests.8"),
        ("RULE-02", "curve.energy.per_output_token.8"),
    ],
)
def test_a_rule_about_a_metric_is_about_its_curve(rule, name):
    """A rate that may not stand alone may not stand at eight loads."""
    assert fits(name, CONCERNS[rule])
