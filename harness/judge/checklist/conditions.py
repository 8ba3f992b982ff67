"""The conditions of the items: whether each holds of a record, and how that is known.

What the documents cannot tell, the user may: `declare.conditions.<name>` is true or false.
What nobody tells is taken as the condition's default, with its reason.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from accelbench.harness.judge.checklist.declared import CONDITIONS, declared
from accelbench.harness.judge.checklist.facts import (
    devices,
    family,
    generates,
    is_training,
    precisions,
)
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.pointer import Documents, Found, look, value_at

_NOT_QUANTISED = ("any", "fp64", "fp32", "tf32", "fp16", "bf16", "float")
_NO = ("", "0", "0.0", "false", "none", "no", "off", "dense", "eager", "{}", "[]")
_UNCONDITIONAL = ("dense", "sparse", "event-driven")
_IRREGULAR = ("gnn", "moe", "early exit", "spiking")
_GROWING = ("decoder", "long context", "moe", "early exit", "lora", "rlhf", "encoder-decoder")


@dataclass(frozen=True)
class Verdict:
    """Whether a condition holds.

    Attributes:
        holds: Whether it does.
        why: How that is known.
    """

    holds: bool
    why: str


Test: TypeAlias = Callable[[Documents], Verdict | None]


@dataclass(frozen=True)
class Condition:
    """A condition of the checklist.

    Attributes:
        name: Key under `declare.conditions` that decides it where the documents cannot.
        test: What the documents say; None where they are silent.
        otherwise: What is taken where nobody tells.
    """

    name: str
    test: Test
    otherwise: Verdict


def decide(text: str, documents: Documents) -> Verdict:
    """Whether a condition holds of a record.

    Args:
        text: The condition, as the items have it.
        documents: The documents of the record.
    """
    condition = CONDITIONS_BY_TEXT[text]
    told = condition.test(documents)
    if told is not None:
        return told
    said = declared(documents, f"{CONDITIONS}.{condition.name}")
    if said is not None:
        return Verdict(_is_something(said), f"declare.{CONDITIONS}.{condition.name} says so")
    return condition.otherwise


def _is_something(value: Any) -> bool:
    return str(value).strip().lower() not in _NO


def _told(*pointers: str, field: str = "") -> Test:
    """True or false by the first of these facts that is there, or by what the user declared."""

    def test(documents: Documents) -> Verdict | None:
        for pointer in pointers:
            found = look(documents, pointer)
            if isinstance(found, Found):
                return Verdict(_is_something(found.value), f"{found.pointer} tells")
        said = declared(documents, field) if field else None
        return None if said is None else Verdict(_is_something(said), f"declare.{field} tells")

    return test


def _any_declared(*fields: str) -> Test:
    def test(documents: Documents) -> Verdict | None:
        for field in fields:
            if declared(documents, field) is not None:
                return Verdict(holds=True, why=f"declare.{field} is given")
        return None

    return test


def _either(*tests: Test) -> Test:
    """True if one is, false if all are, else unknown."""

    def test(documents: Documents) -> Verdict | None:
        verdicts = [inner(documents) for inner in tests]
        for verdict in verdicts:
            if verdict is not None and verdict.holds:
                return verdict
        return verdicts[0] if None not in verdicts else None

    return test


def _of_family(*names: str) -> Test:
    def test(documents: Documents) -> Verdict:
        name = family(documents)
        return Verdict(name in names, f"the workload is of the family {name!r}")

    return test


def _quantised(documents: Documents) -> Verdict | None:
    formats = precisions(documents)
    method = _told("record:/engine/quantization/method")(documents)
    if method is not None and method.holds:
        return method
    if not formats:
        return None
    low = sorted(name for name in formats if not name.startswith(_NOT_QUANTISED))
    return Verdict(bool(low), f"number formats are {', '.join(sorted(formats))}")


def _coverage_below_1(documents: Documents) -> Verdict | None:
    measured = (
        f"record:/measurements/coverage.{share}" for share in ("operators", "flops", "time")
    )
    told = (f"record:/engine/coverage/{share}" for share in ("operators", "flops", "time"))
    seen = [value_at(documents, pointer) for pointer in (*measured, *told)]
    shares = [share for share in seen if isinstance(share, (int, float))]
    if shares:
        return Verdict(min(shares) < 1, f"the least coverage told is {min(shares):g}")
    if value_at(documents, "record:/engine/device") == "cpu":
        return Verdict(holds=False, why="the CPU itself runs every operator")
    return None


def _shared(documents: Documents) -> Verdict | None:
    if value_at(documents, "record:/engine/beside") is not None:
        return Verdict(holds=True, why="the record tells of a neighbour")
    reasons: Any = value_at(documents, "record:/reasons") or ()
    if any(reason["code"] == "foreign_load" for reason in reasons):
        return Verdict(holds=True, why="the record tells of foreign load")
    if value_at(documents, "environment:/facts/cpu.hypervisor_flag") is True:
        return Verdict(holds=True, why="a virtual machine shares its host")
    return None


def _several_devices(documents: Documents) -> Verdict:
    count = devices(documents)
    return Verdict(count > 1, f"{count} {'device' if count == 1 else 'devices'}")


def _pipeline(documents: Documents) -> Verdict | None:
    if devices(documents) == 1:
        return Verdict(holds=False, why="1 device")
    degree = value_at(documents, "record:/engine/parallel/pipeline")
    if isinstance(degree, int):
        return Verdict(degree > 1, f"pipeline degree {degree}")
    return None


def _checkpointing(documents: Documents) -> Verdict | None:
    said = declared(documents, "memory.optimizations")
    if said is None:
        return _told("record:/engine/training/memory/activation_checkpointing")(documents)
    return Verdict("checkpoint" in str(said), "declare.memory.optimizations tells")


def _peak(documents: Documents) -> Verdict:
    found = look(documents, "cell:/platform/peak/*")
    there = isinstance(found, Found)
    return Verdict(there, f"the sheet gives {'a' if there else 'no'} peak")


def _dense_power(documents: Documents) -> Verdict | None:
    found: Any = value_at(documents, "record:/measurements/area.w_per_mm2")
    return None if found is None else Verdict(found > 1, f"area.w_per_mm2 is {found:g}")


def _converted(documents: Documents) -> Verdict | None:
    told = value_at(documents, "record:/engine/geometry/snn/conversion")
    if isinstance(told, str) and told.startswith("none"):
        return Verdict(holds=False, why=told)
    return _told("record:/engine/converted", field="neu.conversion")(documents)


def _growing(documents: Documents) -> Verdict:
    grows = generates(documents, otherwise=family(documents) in _GROWING)
    if grows and not is_training(documents):
        return Verdict(holds=True, why="the context grows with each token")
    return Verdict(holds=False, why="every input has one shape")


def _conditional(documents: Documents) -> Verdict | None:
    told = value_at(documents, "record:/engine/geometry/execution")
    if isinstance(told, str) and told.startswith(_UNCONDITIONAL):
        return Verdict(holds=False, why=f"execution is {told}")
    return _told("record:/engine/geometry/execution", field="conditional.kind")(documents)


def _cost(documents: Documents) -> Verdict | None:
    fields = (item.field for item in items().values() if item.group == "COST")
    return _any_declared(*fields)(documents)


_SPARSE = _told(
    "record:/engine/sparsity/pattern", "record:/engine/sparsity", field="sparsity.pattern"
)
_COMPRESSED = _told(
    "record:/engine/compression", "record:/engine/sparsity/method", field="compression.method"
)
_CONDITIONAL = _either(_of_family("moe", "early exit"), _conditional)
_DYNAMIC = _either(_told("record:/engine/dynamic_shapes"), _growing)


def _no(why: str) -> Verdict:
    return Verdict(holds=False, why=why)


CONDITIONS_BY_TEXT: Mapping[str, Condition] = MappingProxyType(
    {
        "the compile path is tuned": Condition(
            "tuned",
            _told("record:/engine/autotune", field="sw.autotune"),
            _no("no tuning is told"),
        ),
        "a number format is quantised": Condition(
            "quantised", _quantised, _no("no number format is told")
        ),
        "the sparsity pattern is not none": Condition(
            "sparse", _SPARSE, _no("no sparsity is told")
        ),
        "the model is compressed": Condition(
            "compressed", _COMPRESSED, _no("no compression is told")
        ),
        "sparsity or compression is used": Condition(
            "sparse_or_compressed",
            _either(_SPARSE, _COMPRESSED),
            _no("neither sparsity nor compression is told"),
        ),
        "dynamic shapes": Condition("dynamic_shapes", _DYNAMIC, _no("every input has one shape")),
        "dynamic shapes or control flow": Condition(
            "dynamic", _either(_DYNAMIC, _CONDITIONAL), _no("every input takes one path")
        ),
        "irregular workload": Condition(
            "irregular",
            _either(_SPARSE, _of_family(*_IRREGULAR), _growing),
            _no("neither sparsity nor dynamic shapes are told"),
        ),
        "conditional execution": Condition(
            "conditional", _CONDITIONAL, _no("every input takes one path")
        ),
        "mixture of experts": Condition(
            "moe", _either(_of_family("moe"), _told(field="moe.config")), _no("no experts are told")
        ),
        "operator coverage below 1": Condition(
            "partial_coverage",
            _coverage_below_1,
            Verdict(holds=True, why="the coverage is not known"),
        ),
        "shared deployment": Condition("shared", _shared, _no("no other load was seen")),
        "cloud deployment": Condition(
            "cloud", _any_declared("energy.amortization"), _no("no cloud is told")
        ),
        "multi-model serving": Condition(
            "multi_model",
            _told("record:/engine/data/mix/models", field="model.switching"),
            _no("one model is served"),
        ),
        "speculative decoding is on": Condition(
            "speculative",
            _told("record:/engine/speculative", field="spec.decode"),
            _no("no draft model is told"),
        ),
        "n>1": Condition("several_devices", _several_devices, _no("1 device")),
        "pipeline degree>1": Condition("pipeline", _pipeline, _no("no pipeline is told")),
        "the model is compiled": Condition(
            "compiled", _told("record:/engine/compile_path"), _no("no compilation is told")
        ),
        "activation checkpointing is used": Condition(
            "checkpointing", _checkpointing, _no("no checkpointing is told")
        ),
        "a peak figure is published": Condition("peak", _peak, _no("no peak")),
        "power density above 1 W/mm^2": Condition(
            "dense_power", _dense_power, _no("the power density is not known")
        ),
        "a comparison is claimed": Condition(
            "compared", _any_declared("baseline"), _no("the record stands alone")
        ),
        "a gain is claimed": Condition(
            "gain", _any_declared("npu.attribution"), _no("the record stands alone")
        ),
        "compared with a dense accelerator": Condition(
            "compared_with_dense", _any_declared("neu.equivalence"), _no("the record stands alone")
        ),
        "precision differs across compared systems": Condition(
            "precision_differs",
            _any_declared("pareto.accuracy", "fpga.pareto"),
            _no("the record stands alone"),
        ),
        "accuracy differs across compared systems": Condition(
            "accuracy_differs", _any_declared("iso_accuracy"), _no("the record stands alone")
        ),
        "converted from a dense network": Condition(
            "converted",
            _converted,
            _no("no conversion is told"),
        ),
        "a cost is claimed": Condition(
            "cost",
            _cost,
            _no("the record claims no cost"),
        ),
    }
)
