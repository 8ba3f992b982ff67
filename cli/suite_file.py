"""Suites: which there are, and the cells that one asks for before anything is composed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import product
from pathlib import Path

import yaml

from accelbench.harness.errors import ConfigError, UnknownName
from accelbench.harness.schema.decode import decode, nearest
from accelbench.harness.schema.plain import Plain


@dataclass(frozen=True)
class CellEntry:
    """One entry of `cells`.

    Attributes:
        choose: A preset for each group that this cell sets.
        set: Values by dotted key.
        sweep: Lists of values by dotted key or group; every combination is a cell.
        weights_from: The cell whose trained weights it uses.
        only_with: By group, the presets with which it makes sense; with others it is left out.
        beside: The cell that works all the while as its neighbour; of a swept one the full name.
    """

    choose: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Plain] = field(default_factory=dict)
    sweep: Mapping[str, tuple[Plain, ...]] = field(default_factory=dict)
    weights_from: str | None = None
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: str | None = None


@dataclass(frozen=True)
class Suite:
    """A suite as its file says.

    Attributes:
        summary: One line for a reader.
        cells: The entries by name.
        choose: Choices for all cells; a cell's own come first.
        set: Values for all cells; a cell's own come first.
    """

    summary: str
    cells: Mapping[str, CellEntry]
    choose: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Plain] = field(default_factory=dict)


@dataclass(frozen=True)
class WantedCell:
    """One cell of a suite, its sweep resolved.

    Attributes:
        name: Its name, which tells the swept values.
        choose: A preset for each group that is set.
        set: Values by dotted key.
        weights_from: As in the entry.
        only_with: As in the entry.
        beside: As in the entry.
    """

    name: str
    choose: Mapping[str, str]
    set: Mapping[str, Plain]
    weights_from: str | None
    only_with: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beside: str | None = None


def suite_names() -> list[str]:
    """Names of the suites that ship with accelbench."""
    found = files("accelbench.suites").iterdir()
    return sorted(item.name.removesuffix(".yaml") for item in found if item.name.endswith(".yaml"))


def read_suite(name: str) -> Suite:
    """A suite that ships with accelbench, or one of the user's own by its path.

    Args:
        name: A name, or the path of a YAML file.

    Raises:
        UnknownName: There is no such suite.
        ConfigError: The file is wrong.
    """
    if name.endswith((".yaml", ".yml")):
        text = _own_file(Path(name))
    elif name in suite_names():
        text = files("accelbench.suites").joinpath(f"{name}.yaml").read_text()
    else:
        raise UnknownName(f"no suite named {name!r}", remedy=nearest(name, suite_names()))
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"no YAML: {error}", where=f"suite {name}") from error
    return decode(Suite, plain, f"suite {name}")


def wanted_cells(suite: Suite) -> Iterator[WantedCell]:
    """Every cell of a suite, in order, each combination of a sweep on its own."""
    for name, entry in suite.cells.items():
        for values in product(*entry.sweep.values()):
            swept = dict(zip(entry.sweep, values, strict=True))
            groups = {key: str(value) for key, value in swept.items() if "." not in key}
            keys = {key: value for key, value in swept.items() if "." in key}
            yield WantedCell(
                name="-".join([name, *(_label(key, value) for key, value in swept.items())]),
                choose={**suite.choose, **entry.choose, **groups},
                set={**suite.set, **entry.set, **keys},
                weights_from=entry.weights_from,
                only_with=entry.only_with,
                beside=entry.beside,
            )


def _label(key: str, value: Plain) -> str:
    text = str(value).lower()
    return text if "." not in key else f"{key.rsplit('.', 1)[-1]}={text}"


def _own_file(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the suite: {error}", where=str(path), remedy="name a readable YAML file"
        ) from error
