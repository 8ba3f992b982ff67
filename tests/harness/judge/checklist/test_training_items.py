"""What a record of training answers of the survey's checklist."""

import pytest

from accelbench.harness.judge.checklist.evaluate import evaluate

ALONE = {
    "regime": "training",
    "devices": 1,
    "parallel": {"data": 1, "tensor": 1, "pipeline": 1, "expert": 1, "sharded_optimizer": 1},
    "precision_map": {
        "activations": "float32",
        "accumulators": "float32",
        "gradients": "float32",
        "optimizer_state": "float32",
    },
    "flops_counting": "analytic",
    "traffic": "compulsory",
    "compile_path": "eager",
    "training": {
        "optimizer": "Adam",
        "loss_scaling": "none",
        "gradient_accumulation": 1,
        "done": {"epochs": 2, "steps": 90},
        "memory": {"activation_checkpointing": "none", "optimizer_sharding": "none"},
    },
}
TOGETHER = {
    **ALONE,
    "devices": 2,
    "parallel": {**ALONE["parallel"], "data": 2},
    "communication": {
        "backend": "gloo",
        "link": "loopback",
        "overlap": False,
        "per_step": {"all_reduce": {"calls": 1.0, "bytes": 64.0}},
    },
}
STAGED = {
    **TOGETHER,
    "parallel": {**ALONE["parallel"], "pipeline": 2},
    "schedule": {"pipeline": "1F1B", "microbatches": 4},
}
MEASURED = (
    "train.time_to_target",
    "train.samples_per_s",
    *(
        f"memory.training.{part}"
        for part in ("weights", "gradients", "optimizer_state", "activations")
    ),
    "memory.adam_low",
    "memory.adam_high",
    "flops.total",
    "flops.achieved",
    "flops.utilization",
    "bandwidth.achieved",
    "bandwidth.utilization",
    "intensity",
    "roofline.bound",
    "roofline.position",
)
SENT = tuple(
    f"communication.{name}"
    for name in ("overlap", "share", "volume", "wait", "bandwidth", "latency")
)
OF_UTILISATION = [f"UTIL-{n:02}" for n in range(1, 9)]
OF_SEVERAL = ["TRN-02", "TRN-11", "TRN-13", *(f"SCALE-{n:02}" for n in (1, 2, 3, 4, 5, 6, 8))]


def answers(engine, names, *, family="cnn", platform="cpu", derived=()):
    """The answers of a valid record of training, by item."""
    documents = {
        "record": {
            "evidence": "measured",
            "status": "valid",
            "engine": engine,
            "measurements": {name: {"value": 1.0, "reason": None} for name in names},
        },
        "head": {"target": {"metric": "accuracy", "split": "test", "value": 0.9}},
        "cell": {
            "workload": {"name": "m", "family": family},
            "scenario": {
                "kind": "train_to_target",
                "metric": "accuracy",
                "target": 0.9,
                "batch_size": 32,
            },
            "platform": {"family": platform, "peak": {"fp32": {"value": 1e12}}},
            "declare": {},
        },
        "derived": {"strong_scaling": {"measurements": {name: {"value": 1.0} for name in derived}}},
    }
    return {one.id: one for one in evaluate(documents)}


def test_training_on_one_device_answers_what_is_asked_of_it():
    """Its memory against the rule, its FLOPs, and its place under the roofline."""
    found = answers(ALONE, MEASURED)
    asked = ["TRN-05", "TRN-06", "TRN-07", "TRN-08", "TRN-09", "TRN-14", "TRN-15", *OF_UTILISATION]
    assert {found[name].status for name in asked} == {"answered"}
    assert not any(found[name].declared for name in asked)


def test_one_device_is_not_asked_about_several():
    """Neither speed-up nor communication is missing of it."""
    found = answers(ALONE, MEASURED)
    asked = [*OF_SEVERAL, "SCALE-07", "TRN-10", "UTIL-11"]
    assert {found[name].status for name in asked} == {"not_applicable"}
    told = {found[name].reason for name in OF_SEVERAL}
    assert told == {"asked if: n>1; 1 device", "asked of several devices; this is cpu (1 of it)"}


def test_several_devices_answer_with_what_they_sent_and_how_they_scale():
    """Overlap that is off is an answer too."""
    curve = ("speedup.2", "parallel_efficiency.2")
    found = answers(TOGETHER, (*MEASURED, *SENT), derived=curve)
    assert {found[name].status for name in [*OF_SEVERAL, "UTIL-11"]} == {"answered"}
    assert found["TRN-10"].status == "not_applicable"
    alone = answers(TOGETHER, (*MEASURED, *SENT))
    assert [alone[f"SCALE-0{n}"].status for n in (1, 2, 3)] == ["missing"] * 3


def test_a_pipeline_tells_its_schedule_and_lacks_what_stages_do_not_know():
    """Which FLOPs and activations are a stage's own is not known, and not made up."""
    known = [
        name
        for name in MEASURED
        if not name.startswith(("flops", "bandwidth", "intensity", "roof"))
    ]
    known.remove("memory.training.activations")
    staged = answers(STAGED, (*known, *SENT, "pipeline.bubble", "pipeline.idle_share"))
    assert staged["TRN-10"].status == "answered"
    lacking = ["TRN-06", "TRN-14", *OF_UTILISATION]
    assert {staged[name].status for name in lacking} == {"missing"}


@pytest.mark.parametrize(
    ("item", "family", "platform", "told", "training"),
    [
        (
            "TRN-16",
            "lora",
            "cpu",
            {"peft": {"method": "lora", "rank": 8, "share": 0.01, "adapter_precision": "float32"}},
            {},
        ),
        ("TRN-18", "moe", "cpu", {}, {"experts": {"cv": 0.2, "busiest_over_mean": 1.3}}),
        ("UTIL-10", "moe", "cpu", {}, {"experts": {"cv": 0.2, "busiest_over_mean": 1.3}}),
        (
            "TRN-20",
            "cnn",
            "cpu",
            {},
            {
                "memory": {"activation_checkpointing": "of each block"},
                "recomputed": {"flops": 10, "samples": 2},
            },
        ),
        ("TRN-22", "spiking", "neuromorphic", {}, {"spiking": "offline; surrogate gradient"}),
        (
            "TRN-19",
            "mlp",
            "cpu",
            {
                "compile_path": "inductor",
                "compilation": {"included": True, "what": "at first call"},
            },
            {},
        ),
    ],
)
def test_what_is_asked_of_some_training_is_answered_by_the_facts_of_it(
    item, family, platform, told, training
):
    """And of training that is not so it is not asked, or missing without the fact."""
    engine = {**ALONE, **told, "training": {**ALONE["training"], **training}}
    found = answers(engine, MEASURED, family=family, platform=platform)
    assert (found[item].status, found[item].declared) == ("answered", False)
    assert answers(ALONE, MEASURED)[item].status == "not_applicable"
