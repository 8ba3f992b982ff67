"""A cell of a suite: one workload, one scenario, one machine, measured by one set of rules."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Literal, TypeAlias, get_args

from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain, digest
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.quality import check_asked
from accelbench.harness.schema.rules import Rules
from accelbench.harness.schema.scenario import Scenario, TrainToTarget

_NAME = re.compile(r"[a-z0-9][a-z0-9_.=-]{0,80}")
_NOT_IDENTITY = ("tracker", "executor", "category")
_ADDED = ("beside",)
"""Fields of a cell that came later; parts of a cell need no such list."""

Category: TypeAlias = Literal[
    "pretrain", "finetune", "peft", "batch_inf", "realtime_inf", "edge_inf"
]
"""The six kinds of workload of the survey's Table 2."""

_TRAINING = ("pretrain", "finetune", "peft")


@dataclass(frozen=True)
class Choice:
    """An implementation chosen by its entry-point name.

    Attributes:
        name: Name in the entry-point group.
        options: Values for the fields of the implementation's own dataclass.
    """

    name: str
    options: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class Gate:
    """The quality a model must show on the test split.

    Attributes:
        metric: Name of the quality metric, e.g. "accuracy".
        value: The least that is accepted; of a loss or a perplexity, the most.
    """

    metric: str
    value: float

    def __post_init__(self) -> None:
        check_asked(self.metric)


@dataclass(frozen=True)
class Workload:
    """What is to be done, the same on every target; pure data.

    Attributes:
        name: Name of the preset, e.g. "tiny_llama".
        builder: Entry-point name of the builder that knows the model, data and requests.
        family: The family's short name, e.g. "cnn", "decoder".
        summary: One line for a reader.
        options: Values for the fields of the builder's own dataclass.
        gate: The quality that a run on real hardware must show, or None.
    """

    name: str
    builder: str
    family: str
    summary: str
    options: Mapping[str, Plain]
    gate: Gate | None = None


@dataclass(frozen=True)
class Neighbour:
    """A cell that does its work over and over while another is measured.

    Attributes:
        cell: A cell of the same campaign, which is measured by itself too.
        hash: That cell's hash. The harness writes it where it is empty, and refuses another cell.
    """

    cell: str
    hash: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell, fully resolved.

    Attributes:
        name: Unique in the campaign; the name of its folder.
        workload: What is done.
        scenario: How work arrives.
        rules: How it is measured.
        adapter: The engine or simulator that does it.
        platform: The sheet of the machine it runs on.
        probe: What watches energy.
        tracker: Where finished records are mirrored to.
        executor: Where sessions run.
        weights_from: A cell of the same campaign whose trained weights this one uses.
        declare: The user's own answers to checklist items.
        beside: The co-tenant that works all the while, or None where nothing is meant to.
        category: Which kind of workload of the survey's Table 2 it stands for, as its suite says;
            None where it says nothing. What is measured is the same with any.
    """

    name: str
    workload: Workload
    scenario: Scenario
    rules: Rules
    adapter: Choice
    platform: Platform
    probe: Choice
    tracker: Choice
    executor: Choice
    weights_from: str | None = None
    declare: Mapping[str, Plain] = field(default_factory=dict)
    beside: Neighbour | None = None
    category: Category | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} is no cell name: use a-z, 0-9, '_', '.', '=' and '-'")
        trains = isinstance(self.scenario, TrainToTarget)
        fitting = [one for one in get_args(Category) if (one in _TRAINING) == trains]
        if self.category is not None and self.category not in fitting:
            kind = "training" if trains else "inference"
            raise ValueError(f"{self.category} is no {kind}: use one of {', '.join(fitting)}")

    @property
    def hash(self) -> str:
        """Sha256 of what is measured: the cell without tracker, executor and paths.

        A field that holds its default is left out, so that a field added later leaves the hash
        of older cells as it was; a default, once published, never changes.
        """
        told = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _NOT_IDENTITY
            and not (field.name in _ADDED and getattr(self, field.name) == _default(field))
        }
        return digest(_without_paths({key: _told(item) for key, item in told.items()}))


def _told(value: Any) -> Plain:
    """Plain containers of a value, without the fields that hold their default."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _told(getattr(value, field.name))
            for field in fields(value)
            if getattr(value, field.name) != _default(field)
        }
    if isinstance(value, Mapping):
        return {str(key): _told(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_told(item) for item in value]
    return encode(value)


def _default(field: "Field[Any]") -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


def _without_paths(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_paths(item) for key, item in data.items() if key != "path"}
    return data
