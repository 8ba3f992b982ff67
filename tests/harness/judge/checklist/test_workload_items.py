"""What a record of each family, lever and profile answers of the survey's checklist."""

import pytest

from accelbench.harness.judge.checklist.evaluate import evaluate
from accelbench.harness.judge.checklist.items import items
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.classifiers.early_exit import EarlyExit
from accelbench.suites.workloads.classifiers.gnn import GraphNetwork
from accelbench.suites.workloads.classifiers.mlp import Mlp
from accelbench.suites.workloads.classifiers.rnn import Recurrent
from accelbench.suites.workloads.classifiers.spiking import Spiking
from accelbench.suites.workloads.classifiers.vit import Vit
from accelbench.suites.workloads.kernels import Kernels
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.language.encoder import Encoder
from accelbench.suites.workloads.language.encoder_decoder import EncoderDecoder

KERNELS = {"kernels": {"by_name": {"aten::addmm": {"calls": 2, "seconds": 1e-4}}}}
GENERATES = {"regime": "inference: prefill and decode", "tokens": {"input": {"8": 2}}}
TINY = {"hidden": 32, "layers": 1, "heads": 2, "intermediate": 64}
PROFILED = ("overhead.ratio", "overhead.kernel_time", "kernels.per_request")


def answers(
    family, *, engine=None, measured=(), scenario="offline", platform="cpu", category=None, **cell
):
    """The answers of a valid record of a family, by item."""
    documents = {
        "record": {
            "evidence": "measured",
            "status": "valid",
            "engine": {"device": "cpu", "regime": "inference", **(engine or {})},
            "measurements": {name: {"value": 0.5, "reason": None} for name in measured},
        },
        "head": {"precision": "fp32"},
        "environment": {"facts": {"memory.total_bytes": {"value": 2**30}}},
        "cell": {
            "workload": {"name": "m", "family": family, "gate": None},
            "scenario": {"kind": scenario},
            "platform": platform if isinstance(platform, dict) else {"family": platform},
            "category": category,
            **cell,
        },
        "where": {},
    }
    return {answer.id: answer for answer in evaluate(documents)}


def status(family, *idents, **told):
    """How these items stand."""
    found = answers(family, **told)
    return {found[ident].status for ident in idents}


FAMILIES = {
    "mlp": (Mlp(), ("WL-01",), "linear"),
    "cnn": (Cnn(), ("WL-02",), "convolutions"),
    "lstm": (Recurrent(sequences="digit_columns"), ("WL-04", "WL-05", "WL-06"), "rnn"),
    "gnn": (GraphNetwork(), ("WL-14",), "gnn"),
    "early exit": (EarlyExit(), ("WL-02", "WL-13"), "exits"),
    "vit": (Vit(), ("WL-07", "WL-10"), "sequence"),
    "encoder": (Encoder(), ("WL-07", "WL-10"), "sequence"),
    "encoder-decoder": (EncoderDecoder(), ("WL-07", "WL-08"), "encoder_decoder"),
    "long context": (
        Decoder(**TINY, kv_heads=2, attention="linear"),
        ("WL-10", "WL-11", "INF-30"),
        "context",
    ),
    "moe": (Decoder(**TINY, kv_heads=1, experts=4), ("WL-12", "WL-13"), "experts"),
}
"""A builder of each family, items that its geometry answers, and the key without which one is not."""


@pytest.mark.torch
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_answers_for_its_geometry(family):
    """What its own items ask for, and without the facts nothing."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    builder, idents, key = FAMILIES[family]
    geometry = dict(builder.geometry())
    engine = {**KERNELS, **(GENERATES if family in ("long context", "moe") else {})}
    assert status(family, *idents, engine={**engine, "geometry": geometry}) == {"answered"}
    del geometry[key]
    assert "missing" in status(family, *idents, engine={**engine, "geometry": geometry})


def test_a_spiking_network_tells_encoding_neurons_and_its_dense_equal():
    """Where it runs on a neuromorphic machine; that it was trained as one is no conversion."""
    pytest.importorskip("sklearn")
    engine = {"geometry": Spiking().geometry()}
    gate = {"workload": {"family": "spiking", "gate": {"metric": "accuracy", "value": 0.9}}}
    claims = {**gate, "declare": {"neu.equivalence": "the same layers"}}
    found = answers("spiking", engine=engine, platform="neuromorphic", **claims)
    for ident in ("WL-15", "NEU-01", "NEU-06"):
        assert found[ident].status == "answered", found[ident]
        assert not found[ident].declared
    assert found["NEU-14"].reason.endswith("none: trained as a spiking network")
    bare = answers("spiking", platform="neuromorphic", **claims)
    assert {bare[ident].status for ident in ("WL-15", "NEU-01")} == {"missing"}
    assert bare["NEU-06"].declared
    assert status("spiking", "WL-15", "NEU-01", engine=engine) == {"not_applicable"}


@pytest.mark.parametrize(
    ("family", "execution"),
    [
        ("cnn", "dense"),
        ("gnn", "sparse over edges, dense over features"),
        ("spiking", "event-driven: inputs that are silent are skipped; training is dense"),
    ],
)
def test_every_input_takes_one_path_unless_the_execution_is_conditional(family, execution):
    """Sparse and event-driven work is no early exit, no tool and no retrieval."""
    engine = {"geometry": {"execution": execution}}
    assert status(family, "WL-13", engine=engine) == {"not_applicable"}
    tool = {"geometry": {"execution": "calls tools"}}
    assert status(family, "WL-13", engine=tool) == {"missing"}


@pytest.mark.parametrize(
    ("layers", "asked", "not_asked"),
    [("convolutions", "WL-02", "WL-10"), ("attention", "WL-10", "WL-02")],
)
def test_a_network_that_leaves_early_is_asked_about_the_layers_it_has(layers, asked, not_asked):
    """It may be a cnn or a transformer."""
    found = answers("early exit", engine={"geometry": {layers: ["one"]}})
    assert (found[asked].status, found[not_asked].status) == ("answered", "not_applicable")


def test_a_decoder_that_answers_windows_of_text_is_asked_nothing_about_serving():
    """It gives scores and no tokens: no TTFT, no cache, no tokens a second."""
    found = answers("decoder", engine={"regime": "inference"})
    serving = [item.id for item in items().values() if item.kind == ("serve",)]
    assert "INF-09" in serving
    assert {found[ident].status for ident in serving} == {"not_applicable"}


def test_training_is_asked_nothing_of_inference():
    """No item of the group, whatever the family."""
    for family in ("mlp", "decoder", "moe", "lora"):
        found = answers(family, scenario="train_to_target", engine={"regime": "training"})
        assert {a.status for a in found.values() if a.id.startswith("INF")} == {"not_applicable"}


def test_a_microbenchmark_is_asked_nothing_of_models_and_users():
    """One operator has no accuracy, no setting and no latency for anybody."""
    found = answers("kernel", engine={"geometry": Kernels().geometry()})
    asked_of_models = ("GEN-06", "GEN-07", "GEN-23", "GEN-24", "UTIL-14", "INF-05", "INF-06")
    assert {found[ident].status for ident in asked_of_models} == {"not_applicable"}
    assert found["GEN-24"].reason == "asked of models; this is microbenchmarks of one operator"
    assert found["UTIL-02"].status == "missing"


def test_the_category_of_a_suite_answers_for_the_setting():
    """Batch, real time, edge: by the cell; an edge cell is asked what edge cells are."""
    found = answers("cnn", category="edge_inf", scenario="single_stream")
    assert found["GEN-07"].pointers == ("cell:/category",)
    assert found["GEN-06"].pointers == ("cell:/scenario/kind", "cell:/category")
    assert found["ENERGY-23"].status == "missing"
    assert status("cnn", "GEN-06", "GEN-07") == {"missing"}
    assert status("cnn", "ENERGY-23", category="batch_inf") == {"not_applicable"}
    said = answers("cnn", declare={"workload.category": "edge_inf", "setting": "edge"})
    assert (said["GEN-07"].declared, said["GEN-06"].declared) == (True, True)


def figure(kind):
    """A figure of a sheet."""
    return {"value": 1e11, "source": "somewhere", "kind": kind}


@pytest.mark.parametrize("kind", ["measured", "vendor"])
def test_peaks_are_told_with_how_they_came_about(kind):
    """Measured ones and those of a data sheet are told apart by the evidence itself."""
    sheet = {
        "family": "cpu",
        "peak": {"fp32": figure(kind)},
        "memory": [{"name": "DRAM", "bandwidth": figure(kind)}],
    }
    processor = {
        "accelerator": {"cores": 2, "instruction_set": "AVX2"},
        "host_link": "none: the processor is the device",
    }
    roofline = ("roofline.bound", "roofline.position", "intensity")
    found = answers("cnn", engine=processor, measured=roofline, platform=sheet)
    assert {found[name].status for name in ("GEN-09", "GEN-52", "GEN-53")} == {"answered"}
    assert "cell:/platform/peak/fp32/kind" in found["GEN-52"].pointers
    assert status("cnn", "GEN-09", "GEN-52", "GEN-53", engine=processor) == {"missing"}


LEVERS = {
    "quantisation": (
        {
            "dtype": "int8",
            "quantization": {
                "method": "int8_dynamic",
                "granularity": "a scale for each channel",
                "calibration": "none",
                "conversions": "activations in every call",
            },
        },
        ("GEN-26", "GEN-27"),
        "quantization",
    ),
    "sparsity": (
        {
            "sparsity": {
                "pattern": "2:4",
                "method": "magnitude",
                "nominal_share": 0.5,
                "skipped_share": 0.0,
                "metadata_bytes": 0,
            }
        },
        ("GEN-28", "GEN-29", "GEN-30", "GEN-31"),
        "sparsity",
    ),
    "transfers": ({"transfers": {"bytes": 0, "seconds": 0.0}}, ("GEN-47",), "transfers"),
    "input": (
        {"timing_scope": {"inside": ["kernels"], "outside": ["tokenisation"]}},
        ("GEN-57",),
        "timing_scope",
    ),
    "padding": (
        {"geometry": {"padding": {"policy": "none", "share": 0.0}}},
        ("GEN-35",),
        "geometry",
    ),
}


@pytest.mark.parametrize("lever", LEVERS)
def test_a_lever_tells_what_it_did(lever):
    """Nothing skipped, nothing moved and no index count as answers; what is not told does not."""
    engine, idents, key = LEVERS[lever]
    assert status("mlp", *idents, engine=engine) == {"answered"}
    assert "answered" not in status("mlp", *idents, engine={**engine, key: {}})


def test_nothing_sparse_and_nothing_quantised_is_asked_about_neither():
    """A dense model in fp32."""
    engine = {"dtype": "fp32", "sparsity": {"pattern": "none", "zero_weights": 0.0}}
    asked = ("GEN-26", "GEN-27", "GEN-29", "GEN-30", "GEN-31")
    assert status("mlp", *asked, engine=engine) == {"not_applicable"}


def test_recompilation_is_told_by_number_where_shapes_change():
    """Eager work recompiles nothing, and says so."""
    eager = {**GENERATES, "compilation": {"included": False, "recompiles": 0, "graph_breaks": 0}}
    assert status("decoder", "GEN-41", engine=eager) == {"answered"}
    unknown = {**GENERATES, "compilation": {"included": False}}
    assert status("decoder", "GEN-41", engine=unknown) == {"missing"}
    assert status("mlp", "GEN-41") == {"not_applicable"}


def test_a_profile_answers_for_kernels_and_overhead():
    """Launches, the time between them, and what each kernel took; without one they are missing."""
    engine = {
        **GENERATES,
        **KERNELS,
        "fusion": "none: eager",
        "transfers": {"bytes": 0, "seconds": 0.0},
        "precision_map": {"weights": "float32"},
        "float32_matmul_precision": "highest",
    }
    asked = ("GEN-42", "INF-24", "INF-25", "INF-45", "GPU-10")
    measured = (*PROFILED, "kernels.beyond_products", "padding.waste")
    assert status("decoder", *asked, engine=engine, measured=measured, platform="gpu") == {
        "answered"
    }
    assert status("decoder", *asked, engine=engine, platform="gpu") == {"missing"}
    told = answers("decoder", engine=engine, platform="gpu")["GPU-11"]
    assert "record:/engine/kernels/by_name" in told.pointers
    convolved = {**KERNELS, "fusion": "none: eager"}
    assert status("cnn", "WL-03", engine=convolved) == {"answered"}
    assert status("cnn", "WL-03", engine={"fusion": "none: eager"}) == {"missing"}


@pytest.mark.parametrize(
    ("family", "platform", "idents", "measured"),
    [
        ("moe", "cpu", ("INF-38", "INF-39"), ("experts.balance", "experts.cv")),
        ("moe", "lpu", ("LPU-06",), ("experts.balance", "experts.cv")),
        ("early exit", "cpu", ("INF-39",), ("exit.depth", "exit.share.1")),
        ("moe", "cpu", ("ENERGY-27",), ("energy.per_inference.sd",)),
        (
            "decoder",
            "cpu",
            ("INF-42",),
            tuple(
                f"{what}.{phase}_utilization"
                for what in ("flops", "bandwidth")
                for phase in ("prefill", "decode")
            ),
        ),
        ("spiking", "neuromorphic", ("NEU-02",), ("activity", "activity.sparsity")),
    ],
)
def test_what_depends_on_the_input_is_measured(family, platform, idents, measured):
    """Experts, exits, spikes and phases answer by their measurements, all of them or none."""
    engine = {} if family == "spiking" else GENERATES
    told = {"engine": engine, "platform": platform}
    assert status(family, *idents, measured=measured, **told) == {"answered"}
    assert status(family, *idents, measured=measured[:-1], **told) == {"missing"}


def test_a_gpu_s_clock_is_told_with_how_closely_it_was_tied_to_the_host_s():
    """Where events of the device were the timer; of a processor its own counter is enough."""
    scope = {"boundary": "device", "inside": ["kernels"], "outside": ["loading"]}
    engine = {"timing": "events", "timing_scope": scope, "device_clock": {"tied_within_s": 1e-6}}
    documents = {
        "environment": {"facts": {"clock.counter": {"value": "CLOCK_MONOTONIC"}}},
        "head": {"window_ns": [0, 1]},
        "record": {"evidence": "measured", "status": "valid", "engine": engine},
        "cell": {"workload": {"family": "cnn"}, "scenario": {"kind": "offline"}},
        "where": {},
    }
    found = {answer.id: answer for answer in evaluate(documents)}["GEN-03"]
    assert "record:/engine/device_clock/tied_within_s" in found.pointers
    del engine["device_clock"]
    assert {a.id: a for a in evaluate(documents)}["GEN-03"].status == "answered"
