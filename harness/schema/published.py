"""The JSON Schemas of the files that others read, made of the frozen types themselves."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from accelbench.harness.schema.decode import hints

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def json_schema(kind: type, name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) that accepts what the strict decoder accepts.

    Args:
        kind: The frozen type at the root.
        name: Name and version of the schema, e.g. "accelbench.record/1".
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        **_schema(kind),
    }


def _schema(kind: Any) -> dict[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return {}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(member) for member in args]}
    if origin is Literal:
        return {"enum": list(args)}
    if origin is tuple:
        return {"type": "array", "items": _schema(args[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(args[1])}
    if dataclasses.is_dataclass(kind):
        return _object(kind)
    return {"type": _SCALARS[kind]}


def _object(kind: Any) -> dict[str, Any]:
    fields = dataclasses.fields(kind)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().splitlines()[0],
        "properties": {field.name: _schema(hints(kind)[field.name]) for field in fields},
        "required": [
            field.name
            for field in fields
            if field.default is field.default_factory is dataclasses.MISSING
        ],
        "additionalProperties": False,
    }
