"""Which items are asked of which record."""

import pytest

from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.subject import subject_of, why_not_asked


def documents(family="cnn", scenario="offline", platform="cpu", evidence="measured", **more):
    """A record of such a workload, scenario and machine."""
    return {
        "cell": {
            "workload": {"family": family, "options": more.pop("options", {})},
            "scenario": {"kind": scenario},
            "platform": {"family": platform},
            "adapter": {"name": more.pop("adapter", "torch"), "options": {}},
            "declare": more.pop("declare", {}),
        },
        "head": {"slo": more.pop("slo", None)},
        "record": {"evidence": evidence, "engine": more},
    }


@pytest.mark.parametrize(
    ("told", "kinds"),
    [
        ({"family": "cnn"}, {"inf", "cnn"}),
        ({"family": "cnn", "scenario": "train_to_target"}, {"train", "cnn"}),
        ({"family": "gru", "scenario": "single_stream"}, {"inf", "rnn", "rt"}),
        ({"family": "lstm", "slo": {"e2e_s": 0.1}}, {"inf", "rnn", "rt"}),
        ({"family": "mlp", "slo": {"e2e_s": None}}, {"inf", "mlp"}),
        ({"family": "vit"}, {"inf", "enc", "attn"}),
        ({"family": "encoder-decoder"}, {"inf", "encdec", "attn"}),
        ({"family": "decoder"}, {"inf", "serve", "attn"}),
        ({"family": "decoder", "scenario": "single_stream"}, {"inf", "serve", "attn", "rt"}),
        ({"family": "long context"}, {"inf", "serve", "attn", "longctx"}),
        ({"family": "moe"}, {"inf", "serve", "attn", "moe"}),
        ({"family": "lora", "scenario": "train_to_target"}, {"train", "peft", "attn"}),
        ({"family": "diffusion"}, {"inf"}),
        ({"family": "kernel"}, {"kernel"}),
        ({"family": "early exit", "geometry": {"convolutions": [1]}}, {"inf", "serve", "cnn"}),
        ({"family": "spiking", "platform": "neuromorphic"}, {"inf", "snn"}),
        ({"family": "fake", "regime": "inference: prefill and decode"}, {"inf", "serve"}),
        ({"family": "decoder", "regime": "inference"}, {"inf", "attn"}),
        ({"family": "cnn", "platform": "npu"}, {"inf", "cnn", "edge"}),
        ({"family": "cnn", "declare": {"setting": "online, edge"}}, {"inf", "cnn", "edge"}),
    ],
)
def test_kinds_follow_from_the_family_and_the_scenario(told, kinds):
    """Token generation is serving; one request at a time, or a service level, is interactive."""
    assert subject_of(documents(**told)).kinds == kinds


@pytest.mark.parametrize(
    ("told", "families"),
    [
        ({"platform": "cpu"}, set()),
        ({"platform": "reference"}, set()),
        ({"platform": "gpu"}, {"gpu"}),
        ({"platform": "neuromorphic"}, {"neu"}),
        ({"platform": "wafer"}, {"asic", "tpu"}),
        ({"platform": "pim", "adapter": "analog"}, {"pim", "ana"}),
        ({"platform": "gpu", "devices": 4}, {"gpu", "multi"}),
        ({"platform": "tpu", "devices": ["a", "b"]}, {"tpu", "multi"}),
        ({"platform": "tpu", "devices": ["a"]}, {"tpu"}),
    ],
)
def test_families_follow_from_the_sheet_the_adapter_and_the_number_of_devices(told, families):
    """A CPU has no items of its own."""
    assert subject_of(documents(**told)).families == families


def asked(**told):
    """Ids of the items that are asked of such a record."""
    found = documents(**told)
    subject = subject_of(found)
    return {item.id for item in items().values() if not why_not_asked(item, subject, found)}


def test_a_cnn_on_a_cpu_is_asked_for_no_tokens_no_simulator_and_no_other_machine():
    """What is asked of every run is asked of it."""
    ids = asked()
    assert {"GEN-01", "GEN-16", "INF-05", "INF-44", "WL-02", "ENERGY-01"} <= ids
    assert not ids & {"INF-09", "INF-18", "WL-09", "TRN-01", "SCALE-01", "AREA-01", "COST-01"}
    assert not {name for name in ids if name.startswith(("GPU", "TPU", "ASIC", "SIM", "NEU"))}


def test_training_is_asked_for_training_and_not_for_inference():
    """A trained cnn has no energy per inference, though it is a cnn."""
    ids = asked(scenario="train_to_target")
    assert {"TRN-01", "TRN-03", "WL-02"} <= ids
    assert not {name for name in ids if name.startswith("INF")}


def test_a_simulated_record_is_asked_for_its_simulator_and_not_for_firmware():
    """Every item asked of silicon alone does not apply to it."""
    ids = asked(platform="tpu", evidence="simulated")
    assert {"SIM-01", "SIM-05", "SIM-07", "TPU-01", "GEN-14"} <= ids
    assert not ids & {
        *("GEN-12", "GEN-13", "GEN-16", "GEN-17", "GEN-40", "GEN-48", "GEN-49", "ENERGY-09"),
        *("SIM-08", "SIM-11"),
    }


def test_an_emulated_record_keeps_its_software_and_has_a_clock_to_scale():
    """An FPGA prototype or a stand-in runs software of some version."""
    ids = asked(platform="npu", evidence="emulated")
    assert {"GEN-12", "SIM-01", "SIM-11", "NPU-01"} <= ids
    assert not ids & {"GEN-16", "SIM-05", "NPU-03"}


def test_several_devices_are_asked_how_they_scale():
    """And one is not."""
    assert {"SCALE-01", "SCALE-07", "GPU-12"} <= asked(platform="gpu", devices=2)
    assert not asked(platform="gpu") & {"SCALE-01", "SCALE-07", "GPU-12"}


def test_the_reason_tells_of_whom_an_item_is_asked_and_what_this_record_is():
    """A reader need not know the columns."""
    found = documents()
    why = {
        name: why_not_asked(items()[name], subject_of(found), found)
        for name in ("GPU-07", "INF-09", "SIM-01", "SCALE-01", "GEN-30")
    }
    assert why["GPU-07"] == "asked of GPUs; this is cpu (1 of it)"
    assert why["INF-09"] == "asked of token generation; this is CNNs, inference"
    assert why["SIM-01"] == "asked of simulated results, emulated results; this is measured results"
    assert why["SCALE-01"] == "asked of several devices; this is cpu (1 of it)"
    assert why["GEN-30"] == "asked if: the sparsity pattern is not none; no sparsity is told"
