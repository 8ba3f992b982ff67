"""What a record is, as far as it decides which items are asked of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from accelbench.harness.judge.checklist.conditions import decide
from accelbench.harness.judge.checklist.declared import declared
from accelbench.harness.judge.checklist.facts import (
    devices,
    family,
    generates,
    is_training,
)
from accelbench.harness.judge.checklist.items import Item
from accelbench.harness.judge.checklist.pointer import Documents, value_at

_OF_MODEL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "mlp": ("mlp",),
        "cnn": ("cnn",),
        "lstm": ("rnn",),
        "gru": ("rnn",),
        "gnn": ("gnn",),
        "encoder": ("enc", "attn"),
        "vit": ("enc", "attn"),
        "encoder-decoder": ("encdec", "attn"),
        "decoder": ("attn",),
        "long context": ("attn", "longctx"),
        "moe": ("attn", "moe"),
        "lora": ("attn",),
        "rlhf": ("attn",),
        "spiking": ("snn",),
    }
)
"""Kinds that follow from the workload's family alone; diffusion and fakes have none."""

_EARLY_EXIT = "early exit"
_OF_LAYERS: Mapping[str, str] = MappingProxyType({"attention": "attn", "convolutions": "cnn"})
"""Kinds of a network that may leave early, by what its geometry tells: any network may."""

KERNEL = "kernel"
"""The family of microbenchmarks and their kind: one operator, of no model and for no user."""

_OF_MODELS = ("GEN-06", "GEN-07", "GEN-23", "GEN-24", "UTIL-14")
"""Items about settings and about the quality of answers, which an operator alone has not."""

_GENERATES = ("decoder", "long context", "moe", "early exit", "lora", "rlhf")

_OF_MACHINE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gpu": ("gpu",),
        "tpu": ("tpu",),
        "npu": ("npu",),
        "asic": ("asic",),
        "wafer": ("asic", "tpu"),
        "fpga": ("fpga",),
        "lpu": ("lpu",),
        "pim": ("pim",),
        "analog": ("ana",),
        "neuromorphic": ("neu",),
    }
)
"""By family of the sheet, or by name of a simulating adapter; a CPU has no items of its own."""

_EVIDENCE = MappingProxyType({"measured": "M", "emulated": "E", "simulated": "S", "datasheet": "S"})

_TOLD: Mapping[str, str] = MappingProxyType(
    {
        KERNEL: "microbenchmarks of one operator",
        "inf": "inference",
        "serve": "token generation",
        "rt": "interactive inference",
        "edge": "inference at the edge",
        "train": "training",
        "peft": "parameter-efficient tuning",
        "rlhf": "training from human feedback",
        "attn": "models with attention",
        "mlp": "MLPs",
        "cnn": "CNNs",
        "rnn": "recurrent networks",
        "gnn": "graph networks",
        "enc": "encoders",
        "encdec": "encoder-decoders",
        "longctx": "long contexts",
        "moe": "mixtures of experts",
        "snn": "spiking networks",
        "gpu": "GPUs",
        "tpu": "TPUs",
        "npu": "NPUs",
        "asic": "ASICs",
        "fpga": "FPGAs",
        "lpu": "LPUs",
        "pim": "digital in-memory machines",
        "ana": "analog in-memory machines",
        "neu": "neuromorphic machines",
        "multi": "several devices",
        "M": "measured results",
        "E": "emulated results",
        "S": "simulated results",
    }
)


@dataclass(frozen=True)
class Subject:
    """What a record is.

    Attributes:
        kinds: Kinds of run it belongs to, such as "inf" and "cnn".
        families: Families of machine, such as "gpu"; none for a CPU.
        evidence: M measured, E emulated, S simulated or from a data sheet.
    """

    kinds: frozenset[str]
    families: frozenset[str]
    evidence: str


def subject_of(documents: Documents) -> Subject:
    """What a record is, from its cell and what it reports of itself."""
    letter = _EVIDENCE.get(str(value_at(documents, "record:/evidence")), "M")
    return Subject(frozenset(_kinds(documents)), frozenset(_families(documents)), letter)


def why_not_asked(item: Item, subject: Subject, documents: Documents) -> str:
    """Why an item does not apply to a record; empty if it does."""
    if item.id in _OF_MODELS and KERNEL in subject.kinds:
        return f"asked of models; this is {_TOLD[KERNEL]}"
    machine = f"{value_at(documents, 'cell:/platform/family')} ({devices(documents)} of it)"
    asked = (
        (("inf",) if item.group == "INF" else ("any",), subject.kinds, ""),
        (item.kind, subject.kinds, ""),
        (item.family, subject.families, machine),
        (item.evidence, frozenset(subject.evidence), ""),
    )
    for wanted, there, told in asked:
        if "any" not in wanted and not there.intersection(wanted):
            seen = told or ", ".join(_TOLD[name] for name in sorted(there))
            return f"asked of {', '.join(_TOLD[name] for name in wanted)}; this is {seen}"
    if item.condition:
        verdict = decide(item.condition, documents)
        return "" if verdict.holds else f"asked if: {item.condition}; {verdict.why}"
    return ""


def _kinds(documents: Documents) -> Iterator[str]:
    model = family(documents)
    yield from _OF_MODEL.get(model, ())
    if model == _EARLY_EXIT:
        told: Any = value_at(documents, "record:/engine/geometry") or {}
        yield from (kind for layers, kind in _OF_LAYERS.items() if layers in told)
    if model == KERNEL:
        yield KERNEL
        return
    if is_training(documents):
        yield "train"
        if model in ("lora", "rlhf"):
            yield {"lora": "peft", "rlhf": "rlhf"}[model]
        return
    yield "inf"
    if generates(documents, otherwise=model in _GENERATES):
        yield "serve"
    interactive = value_at(documents, "cell:/scenario/kind") not in ("offline", None)
    if interactive or value_at(documents, "head:/slo") is not None:
        yield "rt"
    settings = (value_at(documents, "cell:/category"), declared(documents, "setting"))
    if value_at(documents, "cell:/platform/family") == "npu" or "edge" in str(settings):
        yield "edge"


def _families(documents: Documents) -> Iterator[str]:
    for pointer in ("cell:/platform/family", "cell:/adapter/name"):
        yield from _OF_MACHINE.get(str(value_at(documents, pointer)), ())
    if devices(documents) > 1:
        yield "multi"
