"""What a record of a serving load answers of the survey's checklist."""

import pytest

from accelbench.harness.judge.checklist.evaluate import evaluate
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.producers import producers
from accelbench.harness.judge.checklist.rules import CONCERNS, fits
from accelbench.harness.load.http.server_facts import served_facts
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.requests.served import Served

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


def answers(measurements=(), *, engine=None, head=None, derived=None, arrivals=None, declare=None):
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
            "workload": {"name": "m", "family": "decoder"},
            "scenario": {"kind": "open_loop", "arrivals": arrivals},
            "platform": {"family": "gpu", "peak": {}},
            "declare": declare or {},
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


def test_memory_runs_out_where_a_budget_is_told():
    """A device's peak with what fits; the process's where the processor is the device."""
    fits, here = {"kv.capacity.sequences": 30.0}, {"transfers": {"why": "shared memory"}}
    assert answers({"memory.device_peak": 9.0, **fits})["INF-33"].status == "answered"
    for peak in ("memory.peak", "memory.resident.max"):
        assert answers({peak: 9.0, **fits}, engine=here)["INF-33"].status == "answered"
    assert answers({"memory.peak": 9.0, **fits})["INF-33"].status == "missing"
    alone = answers({"memory.peak": 9.0, "kv.capacity.sequences": None}, engine=here)["INF-33"]
    assert (alone.status, alone.reason) == ("missing", "kv.capacity.sequences: no")


@pytest.mark.torch
def test_a_model_that_only_its_server_knows_is_missing_with_the_reason():
    """A server that we start is given a model whose geometry is told; of others only the name is."""
    pytest.importorskip("torch")
    ours = served_facts(Decoder(32, 1, 2, 1, 64, output_tokens=3, prompt_tokens=8))
    assert answers(engine=ours)["GEN-19"].status == "answered"
    theirs = answers(engine=served_facts(Served("m")))["GEN-19"]
    assert (theirs.status, theirs.pointers) == ("missing", ())
    assert "only the server knows" in theirs.reason


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


def test_a_mix_answers_by_its_classes_and_by_the_load_that_brings_them():
    """Shares that were asked and those of the window, and whether either changes over it."""
    asked = {"classes": {"chat": {"share": 1.0}}, "stationary": True}
    load = {"mix": {"chat": {"requests": 9, "share": 1.0}}, "stationary": False}
    assert answers(engine={"data": {"mix": asked}, "load": load})["GEN-21"].status == "answered"
    del load["stationary"]
    assert answers(engine={"data": {"mix": asked}, "load": load})["GEN-21"].status == "missing"


def test_switching_is_told_of_several_models_alone():
    """The same figure of classes of one model is no cost of switching models."""
    switch = {"class.switch.ttft": 0.2}
    classes = {"data": {"mix": {"classes": {"chat": {"share": 1.0}}}}}
    assert answers(switch, engine=classes)["INF-43"].status == "not_applicable"
    models = {"data": {"mix": {"models": ["a", "b"]}}}
    assert answers(switch, engine=models)["INF-43"].status == "answered"
    assert answers({"class.switch.ttft": None}, engine=models)["INF-43"].status == "missing"


def test_a_stated_neighbour_answers_for_co_tenants():
    """With what it did; of a machine shared with strangers their share is the answer."""
    beside = {"beside": {"cell": "batch", "scenario": "offline"}}
    found = answers({"neighbour.rate": 2.0, "cpu.foreign_share": 0.1}, engine=beside)["GEN-48"]
    assert found.pointers == ("record:/engine/beside", "record:/measurements/neighbour.rate")
    declared = {"conditions": {"shared": True}}
    shared = answers({"cpu.foreign_share": 0.1}, declare=declared)["GEN-48"]
    assert shared.pointers == ("record:/measurements/cpu.foreign_share",)
    assert answers(declare=declared)["GEN-48"].status == "missing"
    assert answers({"cpu.foreign_share": 0.1})["GEN-48"].status == "not_applicable"


def test_co_tenants_of_an_fpga_are_told_with_its_batching():
    """The item holds what two others do."""
    assert items()["FPGA-08"].see == ("GEN-48", "INF-26")
    own = {pointer for one in producers()["FPGA-08"] for pointer in one.what.split()}
    theirs = [one for item in ("GEN-48", "INF-26") for one in producers()[item]]
    assert own <= {pointer for one in theirs for pointer in one.what.split()}


def test_a_long_run_is_told_by_its_drift_and_the_growth_of_memory():
    """Both, or the user's word; a GPU's item follows."""
    both = {"throughput.drift": -1.0, "memory.growth": 10.0}
    warm = {"warmup": {"included": True, "iterations": 3}, "compilation": "none"}
    found = answers(both, engine=warm)
    assert (found["GEN-40"].status, found["GPU-07"].status) == ("answered", "answered")
    for name in both:
        assert answers({name: 1.0}, engine=warm)["GEN-40"].status == "missing"


def test_a_curve_answers_for_each_of_its_cells():
    """A GPU's item asks for what can be sustained too."""
    found = answers(derived=CURVE)
    assert (found["INF-22"].status, found["GPU-08"].status) == ("answered", "missing")
    for name in ("sustainable.load", "sustainable.concurrency"):
        both = answers(derived=CURVE | {"s": [name]})
        assert (both["INF-21"].status, both["GPU-08"].status) == ("answered", "answered")
    assert answers(LOAD)["INF-22"].status == "missing"


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
