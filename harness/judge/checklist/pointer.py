"""Pointers into the documents of a record: is there a value, and where does it stand.

A pointer is `<document>:<JSON pointer>`, e.g. `record:/measurements/tp.system`. A part of it may
hold `*`, which stands for any text, e.g. `record:/measurements/quality.*`. Documents:

- `record`, `head`: the record and the head of its trace; `cell`: the resolved cell; `campaign`.
- `environment`, `packages`, `changes`: the environment before the campaign, what was installed,
  and what changed while it ran.
- `derived`: what rests on several records, this one among them, by name.
- `bundle`: facts of the bundle itself.
- `where`: for a document, or `<document>/<first key>`, the file and place it came from.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeAlias
from urllib.parse import quote

from accelbench.harness.schema.plain import Plain

Documents: TypeAlias = Mapping[str, Plain]

_FRAGMENT = "/~=:@!$&'()*+,;?"


@dataclass(frozen=True)
class Found:
    """A value and where it stands.

    Attributes:
        pointer: The pointer that leads to it, without wildcards.
        value: The value; of a measurement, a fact or a figure of a sheet, its `value`.
    """

    pointer: str
    value: Plain


@dataclass(frozen=True)
class Nothing:
    """There is no value.

    Attributes:
        reason: Why not, as the document says, or that nothing is there.
    """

    reason: str


def look(documents: Documents, pointer: str) -> Found | Nothing:
    """The first value that a pointer leads to.

    What is null or empty is no value, nor is a measurement, fact or figure without one.
    """
    name, _, path = pointer.partition(":")
    reason = ""
    for keys, data in _walk(documents.get(name), path.split("/")[1:]):
        if has_value(data):
            inner = data["value"] if isinstance(data, Mapping) and "value" in data else data
            return Found(join(name, keys), inner)
        told = _why(data) if keys else ""
        reason = reason or (f"{keys[-1]}: {told}" if told else "")
    return Nothing(reason or f"nothing at {pointer}")


def value_at(documents: Documents, pointer: str) -> Plain:
    """The value that a pointer leads to, or None."""
    found = look(documents, pointer)
    return found.value if isinstance(found, Found) else None


def has_value(data: Plain) -> bool:
    """Whether data says something: null says nothing, nor does what holds only nothing."""
    if isinstance(data, Mapping):
        return has_value(data["value"]) if "value" in data else any(map(has_value, data.values()))
    if isinstance(data, str):
        return bool(data.strip())
    if isinstance(data, (list, tuple)):
        return any(map(has_value, data))
    return data is not None


def join(name: str, keys: tuple[str, ...]) -> str:
    """The pointer to a place in a document."""
    return f"{name}:" + "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def place(documents: Documents, pointer: str) -> str:
    """A pointer with the file it points into, e.g. `campaign.json#/cells/train/rules`."""
    name, _, path = pointer.partition(":")
    where = documents.get("where")
    files = where if isinstance(where, Mapping) else {}
    first, _, rest = path.lstrip("/").partition("/")
    if isinstance(inner := files.get(f"{name}/{first}"), str):
        return inner + quote(f"/{rest}" if rest else "", safe=_FRAGMENT)
    return f"{files.get(name, f'{name}.json#')}{quote(path, safe=_FRAGMENT)}"


def _walk(data: Plain, path: list[str]) -> Iterator[tuple[tuple[str, ...], Plain]]:
    """Everything a path with wildcards leads to."""
    if not path:
        yield (), data
        return
    part = path[0].replace("~1", "/").replace("~0", "~")
    for key, inner in _children(data):
        if key == part or ("*" in part and fnmatchcase(key, part)):
            for keys, found in _walk(inner, path[1:]):
                yield (key, *keys), found


def _children(data: Plain) -> Iterator[tuple[str, Plain]]:
    if isinstance(data, Mapping):
        yield from data.items()
    elif isinstance(data, (list, tuple)):
        yield from ((str(place), inner) for place, inner in enumerate(data))


def _why(data: Plain) -> str:
    """The reason that a measurement without a value gives, or the detail of a fact."""
    if not isinstance(data, Mapping):
        return ""
    return str(data.get("reason") or data.get("detail") or "")
