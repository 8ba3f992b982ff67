"""Finds implementations by their entry-point name, and makes them of their options.

A name is stable where an import path is not, and no configuration can name code to run. From
bare sources that were never installed, the entry points are read from pyproject.toml.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from accelbench.harness.errors import ConfigError, UnknownName
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.cell import Choice, Workload
from accelbench.harness.schema.decode import decode, encode, nearest
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Adapter, Executor, Probe, Tracker

GROUPS = ("adapters", "workloads", "probes", "trackers", "executors")


@cache
def names(group: str) -> Mapping[str, EntryPoint]:
    """All installed implementations of a group, by name, sorted.

    Args:
        group: One of `GROUPS`, or "assets", whose entries are no classes but assets.
    """
    found = {point.name: point for point in entry_points(group=f"accelbench.{group}")}
    if not found:
        found = {point.name: point for point in _from_sources(group)}
    return MappingProxyType(dict(sorted(found.items())))


def load(group: str, name: str, where: str = "") -> type[Any]:
    """The class behind a name.

    Raises:
        UnknownName: Nothing installed has this name.
        ForeignError: Its module cannot be imported.
    """
    known = names(group)
    if name not in known:
        raise UnknownName(
            f"no {group.removesuffix('s')} named {name!r} is installed",
            where=where,
            remedy=nearest(name, list(known)),
        )
    with foreign(f"loading {group.removesuffix('s')} {name!r}", where=known[name].value):
        return cast("type[Any]", known[name].load())


def create(group: str, choice: Choice, where: str = "") -> Any:
    """An implementation with its options.

    Raises:
        UnknownName: Nothing installed has this name.
        ConfigError: An option is unknown, missing or of the wrong type.
    """
    kind = load(group, choice.name, where)
    if not dataclasses.is_dataclass(kind):
        raise ConfigError(f"{choice.name!r} is no dataclass, so it has no options", where=where)
    return decode(kind, choice.options, where or f"{group} {choice.name}")


def adapter(choice: Choice) -> Adapter:
    """The adapter of a cell; raises as `create`."""
    return cast("Adapter", create("adapters", choice, "adapter"))


def builder(workload: Workload) -> WorkloadBuilder:
    """The builder of a workload; raises as `create`."""
    chosen = Choice(workload.builder, workload.options)
    return cast("WorkloadBuilder", create("workloads", chosen, "workload"))


def probe(choice: Choice) -> Probe:
    """The probe of a cell; raises as `create`."""
    return cast("Probe", create("probes", choice, "probe"))


def tracker(choice: Choice) -> Tracker:
    """The tracker of a cell; raises as `create`."""
    return cast("Tracker", create("trackers", choice, "tracker"))


def executor(choice: Choice) -> Executor:
    """The executor of a cell; raises as `create`."""
    return cast("Executor", create("executors", choice, "executor"))


def complete(group: str, choice: Choice, where: str = "") -> Choice:
    """The same choice with every option written out, defaults included.

    Raises:
        UnknownName, ConfigError: As `create`.
    """
    options = encode(create(group, choice, where))
    return Choice(choice.name, cast("Mapping[str, Plain]", options))


def _from_sources(group: str) -> list[EntryPoint]:
    path = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if not path.is_file():
        return []
    table = tomllib.loads(path.read_text())["project"]["entry-points"]
    full = f"accelbench.{group}"
    return [EntryPoint(name, value, full) for name, value in table.get(full, {}).items()]
