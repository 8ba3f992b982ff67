"""The one strict decoder: plain containers in, frozen types out.

Unknown keys, missing keys, wrong types and unknown kinds are each one clear line that names
the key by its dotted path. Nothing is converted silently, but an integer may stand for a
float. Unions of dataclasses are told apart by their literal field `kind`.
"""

import dataclasses
import difflib
import math
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.plain import Plain

T = TypeVar("T")


def decode(kind: type[T], data: object, where: str = "") -> T:
    """Makes a frozen type of plain data.

    Args:
        kind: A dataclass, or any type a field of one may have.
        data: Plain containers.
        where: The dotted path of `data`, for the error message.

    Raises:
        ConfigError: A key or a value is wrong; the message names it and what was expected.
    """
    return cast("T", _decode(kind, data, where))


def encode(value: object) -> Plain:
    """The plain containers of a frozen type; the inverse of `decode`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return cast("Plain", value)


def nearest(name: str, known: Sequence[str]) -> str:
    """A remedy for a misspelled name: the nearest known one, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(sorted(known)) or 'none'}"


@cache
def hints(kind: Any) -> Mapping[str, Any]:
    """The resolved type hints of a dataclass, by field."""
    return get_type_hints(kind)


def _decode(kind: Any, data: object, where: str) -> object:
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return _plain(data, where)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), data, where)
    if origin is Literal:
        return _literal(get_args(kind), data, where)
    if origin is tuple:
        return _tuple(get_args(kind)[0], data, where)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(get_args(kind)[1], data, where)
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast("type", kind), data, where)
    return _scalar(kind, data, where)


def _wrong(expected: str, data: object, where: str) -> ConfigError:
    told = "nothing" if data is None else f"{data!r} ({type(data).__name__})"
    return ConfigError(f"expected {expected}, got {told}", where=where)


def _scalar(kind: Any, data: object, where: str) -> object:
    if kind is type(None):
        if data is None:
            return None
    elif kind is float:
        if isinstance(data, (int, float)) and not isinstance(data, bool) and math.isfinite(data):
            return float(data)
    elif type(data) is kind:
        return data
    name = {float: "a finite number", int: "an integer", str: "text", bool: "true or false"}
    raise _wrong(name.get(kind, getattr(kind, "__name__", str(kind))), data, where)


def _literal(choices: tuple[object, ...], data: object, where: str) -> object:
    if any(data == choice and type(data) is type(choice) for choice in choices):
        return data
    raise _wrong(f"one of {', '.join(map(str, choices))}", data, where)


def _tuple(kind: Any, data: object, where: str) -> tuple[object, ...]:
    if not isinstance(data, (list, tuple)):
        raise _wrong("a list", data, where)
    return tuple(_decode(kind, item, f"{where}[{n}]") for n, item in enumerate(data))


def _mapping(kind: Any, data: object, where: str) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise _wrong("a mapping", data, where)
    return {str(key): _decode(kind, item, _join(where, str(key))) for key, item in data.items()}


def _union(kinds: tuple[Any, ...], data: object, where: str) -> object:
    if data is None and type(None) in kinds:
        return None
    members = [kind for kind in kinds if kind is not type(None)]
    if len(members) > 1 and all(dataclasses.is_dataclass(kind) for kind in members):
        return _decode(_tagged(members, data, where), data, where)
    errors = []
    for kind in members:
        try:
            return _decode(kind, data, where)
        except ConfigError as error:
            errors.append(error)
    raise errors[0]


def _tagged(members: list[Any], data: object, where: str) -> Any:
    tags = {get_args(hints(kind)["kind"])[0]: kind for kind in members}
    if not isinstance(data, Mapping):
        raise _wrong("a mapping", data, where)
    if data.get("kind") not in tags:
        raise _wrong(f"one of {', '.join(sorted(tags))}", data.get("kind"), _join(where, "kind"))
    return tags[data["kind"]]


def _dataclass(kind: type, data: object, where: str) -> object:
    if not isinstance(data, Mapping):
        raise _wrong("a mapping", data, where)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for key in data:
        if key not in fields:
            raise ConfigError(
                f"unknown key {key!r}", where=where, remedy=nearest(str(key), list(fields))
            )
    values = {}
    for name, field in fields.items():
        if name in data:
            values[name] = _decode(hints(kind)[name], data[name], _join(where, name))
        elif field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"key {name!r} is missing", where=where, remedy="add it")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(str(error), where=where) from error


def _plain(data: object, where: str) -> Plain:
    if isinstance(data, Mapping):
        return {str(key): _plain(item, _join(where, str(key))) for key, item in data.items()}
    if isinstance(data, (list, tuple)):
        return [_plain(item, f"{where}[{n}]") for n, item in enumerate(data)]
    if data is None or isinstance(data, (str, bool, int)):
        return data
    if isinstance(data, float) and math.isfinite(data):
        return data
    raise _wrong("plain finite data", data, where)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
