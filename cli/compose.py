"""Hydra composes each cell once; from then on it is plain data and frozen types.

Choices come from the conf groups of accelbench and of installed third parties (their package
`conf`); the user's overrides come last and apply to every cell that has their key.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, cast

from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from accelbench.cli.host import with_measured
from accelbench.cli.suite_file import WantedCell, read_suite, wanted_cells
from accelbench.harness.errors import ConfigError, UnknownName
from accelbench.harness.run.registry import GROUPS, names
from accelbench.harness.schema.cell import Cell, Choice, Workload
from accelbench.harness.schema.decode import decode, hints, nearest

_CONF_GROUPS = (
    "workload",
    "scenario",
    "rules",
    "adapter",
    "platform",
    "probe",
    "tracker",
    "executor",
)


@dataclass(frozen=True)
class _UserOverride:
    """One override as the user wrote it."""

    text: str
    key: str
    value: Any

    @property
    def is_choice(self) -> bool:
        """Whether it chooses a preset of a group."""
        return self.key in _CONF_GROUPS


def compose_suite(name: str, overrides: Sequence[str]) -> list[Cell]:
    """All cells of a suite under the user's overrides.

    Args:
        name: Name of a suite, or the path of a YAML file.
        overrides: `key=value` or `group=preset`, as on the command line.

    Raises:
        UnknownName: No such suite or preset.
        ConfigError: A key, value or type is wrong, or no cell has an overridden key.
    """
    return compose_cells(f"suite {name!r}", list(wanted_cells(read_suite(name))), overrides)


def compose_cells(name: str, wanted: Sequence[WantedCell], overrides: Sequence[str]) -> list[Cell]:
    """These cells under the user's overrides.

    Args:
        name: What asks for them, for error messages.
        wanted: The cells.
        overrides: As for `compose_suite`.

    Raises:
        UnknownName, ConfigError: As `compose_suite`.
    """
    asked = [_parse(text) for text in overrides]
    used: set[str] = set()
    cells = []
    with initialize_config_module("accelbench.conf", job_name="accelbench", version_base="1.3"):
        for cell in wanted:
            if not _makes_sense(cell, asked):
                continue
            config, applied = _composed(cell, asked)
            used |= applied
            cells.append(cell_of(cell, config))
    for override in asked:
        if override.text not in used:
            raise ConfigError(
                f"no cell of {name} has the key {override.key!r}",
                where=override.text,
                remedy=nearest(override.key, sorted(_keys(cells))),
            )
    return cells


def _makes_sense(cell: WantedCell, asked: Sequence[_UserOverride]) -> bool:
    """Whether the presets that are chosen are among those that the cell is for."""
    chosen = {**cell.choose, **{o.key: str(o.value) for o in asked if o.is_choice}}
    return all(chosen.get(group) in presets for group, presets in cell.only_with.items())


def presets(group: str) -> list[str]:
    """Names of the presets of a conf group, own and third parties'."""
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415  (only this needs it)
    from hydra.core.object_type import ObjectType  # noqa: PLC0415  (only this needs it)

    with initialize_config_module("accelbench.conf", job_name="accelbench", version_base="1.3"):
        _with_third_parties()
        loader = GlobalHydra.instance().config_loader()
        return sorted(loader.get_group_options(group, ObjectType.CONFIG))


def preset(group: str, name: str) -> Mapping[str, Any]:
    """One preset of a group as plain data.

    Raises:
        UnknownName: There is no such preset.
    """
    with initialize_config_module("accelbench.conf", job_name="accelbench", version_base="1.3"):
        config = _hydra("", [f"+{group}={name}"], config_name=None)
    plain = OmegaConf.to_container(config[group], resolve=True)
    found = cast("Mapping[str, Any]", plain)
    return with_measured(found) if group == "platform" else found


def cell_of(wanted: WantedCell, config: Mapping[str, Any]) -> Cell:
    """The frozen cell of a composed configuration.

    In a configuration the options of a chosen part stand beside its name, so that a user can
    write `adapter.threads=2`; in the cell they are kept apart.

    Raises:
        ConfigError: A key, value or type is wrong.
    """
    name, plain = wanted.name, dict(config)
    for group in ("adapter", "probe", "tracker", "executor"):
        plain[group] = _apart(Choice, plain[group], f"{name}.{group}")
    plain["workload"] = _apart(Workload, plain["workload"], f"{name}.workload")
    beside = {"cell": wanted.beside} if wanted.beside else None
    told = {"name": name, "weights_from": wanted.weights_from, "beside": beside}
    return decode(Cell, {**told, **plain}, name)


def _apart(kind: Hashable, flat: Any, where: str) -> dict[str, Any]:
    if not isinstance(flat, Mapping):
        raise ConfigError(f"expected a mapping, got {flat!r}", where=where)
    own = {key: flat[key] for key in flat if key in hints(kind) and key != "options"}
    return {**own, "options": {key: flat[key] for key in flat if key not in own}}


def _composed(
    cell: WantedCell, asked: Sequence[_UserOverride]
) -> tuple[Mapping[str, Any], set[str]]:
    """The configuration of a cell, and which of the user's overrides it took."""
    choices = {**cell.choose, **{o.key: str(o.value) for o in asked if o.is_choice}}
    applied = {o.text for o in asked if o.is_choice}
    config = _hydra(cell.name, [f"{group}={preset}" for group, preset in choices.items()])
    config.platform = with_measured(config.platform, _device(config, cell, asked))
    for key, value in cell.set.items():
        if not _set(config, key, value):
            raise ConfigError(f"the cell has no key {key!r}", where=cell.name)
    for override in asked:
        if not override.is_choice and _set(config, override.key, override.value):
            applied.add(override.text)
    try:
        plain = OmegaConf.to_container(config, resolve=True)
    except InterpolationResolutionError as error:
        raise ConfigError(
            str(error).splitlines()[0],
            where=f"{cell.name}.{error.full_key}",
            remedy=f"set {error.full_key}",
        ) from error
    return cast("Mapping[str, Any]", plain), applied


def _device(config: DictConfig, cell: WantedCell, asked: Sequence[_UserOverride]) -> str:
    """Where the engine of a cell works, as far as it can be chosen; the user's word comes last."""
    told = config.adapter.get("device", "cpu")
    told = cell.set.get("adapter.device", told)
    return str(next((one.value for one in asked if one.key == "adapter.device"), told))


def _hydra(where: str, overrides: list[str], config_name: str | None = "cell") -> DictConfig:
    try:
        _with_third_parties()
        return compose(config_name, overrides=overrides)
    except HydraException as error:
        raise _explained(error, where, overrides) from error


def _explained(error: Exception, where: str, overrides: list[str]) -> Exception:
    """Hydra's many lines as one of ours; a preset that is not there is the usual one."""
    for override in overrides:
        group, _, name = override.lstrip("+").partition("=")
        if group in _CONF_GROUPS and f"'{group}/{name}'" in str(error):
            known = _known_presets(group)
            return UnknownName(
                f"no {group} preset named {name!r}", where=where, remedy=nearest(name, known)
            )
    return ConfigError(str(error).splitlines()[0], where=where)


def _known_presets(group: str) -> list[str]:
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415  (only an error needs it)

    return sorted(GlobalHydra.instance().config_loader().get_group_options(group))


def _set(config: DictConfig, key: str, value: object) -> bool:
    """Sets a value if the configuration has its key; keys under `declare` are the user's own.

    A mapping is merged into what is there, unless it says which of several kinds it is, or nothing
    is there.
    """
    parent, _, leaf = key.rpartition(".")
    try:
        around = OmegaConf.select(config, parent) if parent else config
        known = key.startswith("declare.") or (leaf in (around or ()) and key not in _CONF_GROUPS)
        if known:
            refers = leaf in (around or ()) and OmegaConf.is_interpolation(around, leaf)
            there = None if refers else OmegaConf.select(config, key)
            whole = isinstance(value, Mapping) and ("kind" in value or not there)
            OmegaConf.update(
                config,
                key,
                value,
                merge=not whole,
                force_add=key.startswith("declare."),
            )
    except (OmegaConfBaseException, TypeError) as error:
        raise ConfigError(str(error).splitlines()[0], where=key) from error
    return known


def _parse(text: str) -> _UserOverride:
    try:
        override: Override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise ConfigError(
            "not of the form key=value", where=text, remedy="quote values with odd characters"
        ) from error
    if override.is_delete() or override.is_add() or override.is_force_add():
        raise ConfigError("keys cannot be added or removed", where=text, remedy="use key=value")
    if override.is_sweep_override():
        raise ConfigError(
            "an override has one value", where=text, remedy="put sweeps into a suite of your own"
        )
    return _UserOverride(text, override.key_or_group, override.value())


def _keys(cells: Sequence[Cell]) -> set[str]:
    found: set[str] = {*_CONF_GROUPS, "category"}
    for cell in cells:
        for part in ("workload", "adapter", "probe", "tracker", "executor"):
            found |= {f"{part}.{key}" for key in getattr(cell, part).options}
        for part in ("scenario", "rules"):
            found |= {f"{part}.{key}" for key in vars(getattr(cell, part))}
    return found


@cache
def _third_party_modules() -> tuple[str, ...]:
    tops = {
        point.value.partition(".")[0].partition(":")[0]
        for group in GROUPS
        for point in names(group).values()
    }
    return tuple(f"{top}.conf" for top in sorted(tops - {"accelbench"}) if find_spec(f"{top}.conf"))


def _with_third_parties() -> None:
    """Puts the conf packages of third parties on Hydra's search path."""
    from hydra.core.global_hydra import GlobalHydra  # noqa: PLC0415  (see `presets`)

    path = GlobalHydra.instance().config_loader().get_search_path()
    for module in _third_party_modules():
        if not any(item.path == f"pkg://{module}" for item in path.get_path()):
            path.append(provider=module, path=f"pkg://{module}")
