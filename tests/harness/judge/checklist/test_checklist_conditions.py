"""The conditions of the items, each told by the documents, by the user, or by its default."""

import pytest

from accelbench.harness.judge.checklist.conditions import CONDITIONS_BY_TEXT, decide
from accelbench.harness.judge.checklist.items import items

NOTHING = {"cell": {"workload": {"family": "cnn"}}, "record": {}}


def documents(engine=None, declare=None, family="cnn", **more):
    """Documents of a record with such facts."""
    record = {"engine": engine or {}, **more.pop("record", {})}
    return {
        "cell": {
            "workload": {"family": family},
            "scenario": {"kind": "offline"},
            "declare": declare or {},
            **more.pop("cell", {}),
        },
        "record": record,
        **more,
    }


def test_every_condition_of_the_items_is_known_and_no_other():
    """A condition that nobody decides cannot slip into the table."""
    assert {item.condition for item in items().values()} - {""} == CONDITIONS_BY_TEXT.keys()
    assert len({condition.name for condition in CONDITIONS_BY_TEXT.values()}) == len(
        CONDITIONS_BY_TEXT
    )


@pytest.mark.parametrize("text", CONDITIONS_BY_TEXT)
def test_a_condition_that_nothing_tells_has_a_default_with_its_reason(text):
    """Only an unknown coverage is taken for a partial one."""
    verdict = decide(text, NOTHING)
    assert verdict.holds == (text == "operator coverage below 1")
    assert verdict.why


HOLDS = {
    "the compile path is tuned": {"engine": {"autotune": "max"}},
    "a number format is quantised": {
        "engine": {"dtype": "fp32", "quantization": {"method": "awq"}}
    },
    "the sparsity pattern is not none": {"engine": {"sparsity": {"pattern": "2:4"}}},
    "the model is compressed": {"declare": {"compression.method": "pruned by half"}},
    "sparsity or compression is used": {"engine": {"compression": "pruned"}},
    "dynamic shapes": {"family": "decoder"},
    "dynamic shapes or control flow": {"family": "early exit"},
    "irregular workload": {"family": "gnn"},
    "conditional execution": {"family": "moe"},
    "mixture of experts": {"declare": {"moe": {"config": {"experts": 8}}}},
    "operator coverage below 1": {"engine": {"coverage": {"flops": 1.0, "operators": 0.9}}},
    "shared deployment": {"record": {"reasons": [{"code": "foreign_load"}]}},
    "cloud deployment": {"declare": {"energy": {"amortization": 0.5}}},
    "multi-model serving": {"declare": {"model": {"switching": 2.0}}},
    "speculative decoding is on": {"engine": {"speculative": {"draft": "small", "length": 4}}},
    "n>1": {"engine": {"devices": 2}},
    "pipeline degree>1": {"engine": {"devices": 2, "parallel": {"pipeline": 2}}},
    "the model is compiled": {"engine": {"compile_path": "inductor"}},
    "activation checkpointing is used": {
        "engine": {"training": {"memory": {"activation_checkpointing": "every layer"}}}
    },
    "a peak figure is published": {"cell": {"platform": {"peak": {"fp8": {"value": 1e15}}}}},
    "power density above 1 W/mm^2": {
        "record": {"measurements": {"area.w_per_mm2": {"value": 1.2}}}
    },
    "a comparison is claimed": {"declare": {"baseline": "the same model on a CPU"}},
    "a gain is claimed": {"declare": {"npu": {"attribution": "a matched subgraph"}}},
    "compared with a dense accelerator": {"declare": {"neu.equivalence": "same targets"}},
    "precision differs across compared systems": {"declare": {"pareto.accuracy": [[1, 2]]}},
    "accuracy differs across compared systems": {"declare": {"iso_accuracy": 1.0}},
    "converted from a dense network": {"engine": {"converted": True}},
    "a cost is claimed": {"declare": {"perf_per_dollar": 3.0}},
}


@pytest.mark.parametrize("text", CONDITIONS_BY_TEXT)
def test_each_condition_holds_of_a_record_that_tells_so(text):
    """By a fact of the record, the sheet or the user's answer."""
    verdict = decide(text, documents(**HOLDS[text]))
    assert verdict.holds, verdict.why


@pytest.mark.parametrize("precision", ["fp8", "fp4", "int8", "q4_k"])
def test_narrow_formats_are_quantised(precision):
    """Half precision is not."""
    assert decide("a number format is quantised", documents(head={"precision": precision})).holds


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the model is compiled", {"engine": {"compile_path": "eager"}}),
        ("a number format is quantised", {"engine": {"dtype": "bf16"}}),
        ("a number format is quantised", {"head": {"precision": "fp16"}}),
        ("operator coverage below 1", {"engine": {"coverage": {"flops": 1.0, "operators": 1}}}),
        ("operator coverage below 1", {"engine": {"device": "cpu"}}),
        (
            "operator coverage below 1",
            {"record": {"measurements": {"coverage.operators": {"value": 1.0}}}},
        ),
        ("conditional execution", {"engine": {"geometry": {"execution": "dense"}}}),
        ("conditional execution", {"engine": {"geometry": {"execution": "sparse over edges"}}}),
        (
            "converted from a dense network",
            {"engine": {"geometry": {"snn": {"conversion": "none: trained as one"}}}},
        ),
        ("the compile path is tuned", {"engine": {"autotune": "none"}}),
        ("the sparsity pattern is not none", {"declare": {"sparsity": {"pattern": "none"}}}),
        ("sparsity or compression is used", {"engine": {"sparsity": "none", "compression": "no"}}),
        ("power density above 1 W/mm^2", {"record": {"measurements": {"area.w_per_mm2": 0.4}}}),
        ("pipeline degree>1", {"engine": {"devices": 4, "parallel": {"pipeline": 1}}}),
        ("activation checkpointing is used", {"declare": {"memory.optimizations": ["ZeRO 1"]}}),
    ],
)
def test_a_fact_can_deny_a_condition(text, told):
    """And what the record tells is not overruled by the user."""
    name = CONDITIONS_BY_TEXT[text].name
    told = {**told, "declare": {**told.get("declare", {}), "conditions": {name: True}}}
    assert not decide(text, documents(**told)).holds


def test_a_stated_neighbour_shares_the_machine():
    """By the fact that it was there."""
    verdict = decide("shared deployment", documents(engine={"beside": {"cell": "batch"}}))
    assert (verdict.holds, verdict.why) == (True, "the record tells of a neighbour")


def test_a_virtual_machine_counts_as_shared():
    """Its host may run anything beside it."""
    facts = {"cpu.hypervisor_flag": {"value": True}}
    assert decide("shared deployment", documents(environment={"facts": facts})).holds


@pytest.mark.parametrize(("said", "holds"), [(True, True), ("yes", True), (False, False)])
def test_the_user_decides_what_the_record_does_not_tell(said, holds):
    """`declare.conditions.<name>`, and the reason says so."""
    told = documents(declare={"conditions": {"cloud": said}})
    verdict = decide("cloud deployment", told)
    assert verdict.holds == holds
    assert verdict.why == "declare.conditions.cloud says so"
