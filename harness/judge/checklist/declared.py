"""The user's own answers: `declare` of a cell, with dotted keys nested or written flat."""

from collections.abc import Iterator, Mapping

from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.pointer import Documents, has_value, join
from accelbench.harness.schema.plain import Plain

CONDITIONS = "conditions"
"""The key under which a user decides a condition that nobody can tell."""

PRICE = "price"
"""The key under which a user tells what the machine costs (see `metrics.cost`)."""


def declared_at(documents: Documents, field: str) -> str | None:
    """The pointer to what the user declared of a field, or None.

    Args:
        documents: The documents of a record.
        field: The dotted field, e.g. "hw.host".
    """
    for keys, value in _read(_declare(documents), tuple(field.split("."))):
        if has_value(_without_longer(value, field)):
            return join("cell", ("declare", *keys))
    return None


def declared(documents: Documents, field: str) -> Plain:
    """What the user declared of a field, or None."""
    values = (value for _, value in _read(_declare(documents), tuple(field.split("."))))
    return next((value for value in values if has_value(value)), None)


def unasked(documents: Documents) -> tuple[str, ...]:
    """Declared keys that no item asks for, such as misspelled ones."""
    fields = {item.field for item in items().values()}
    return tuple(
        key
        for key in _leaves(_declare(documents), "")
        if key
        and key.partition(".")[0] not in (CONDITIONS, PRICE)
        and not any(key == field or key.startswith(f"{field}.") for field in fields)
    )


def _declare(documents: Documents) -> Plain:
    cell = documents.get("cell")
    return cell.get("declare") if isinstance(cell, Mapping) else None


def _read(data: Plain, parts: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Plain]]:
    """Every way to read a dotted key, the flattest first."""
    if not parts:
        yield (), data
    elif isinstance(data, Mapping):
        for length in range(len(parts), 0, -1):
            key = ".".join(parts[:length])
            if key in data:
                for keys, value in _read(data[key], parts[length:]):
                    yield (key, *keys), value


def _without_longer(value: Plain, field: str) -> Plain:
    """The value less what belongs to a longer field: `goodput.both` is no part of `goodput`."""
    if not isinstance(value, Mapping):
        return value
    longer = {item.field for item in items().values() if item.field.startswith(f"{field}.")}
    return {key: inner for key, inner in value.items() if f"{field}.{key}" not in longer}


def _leaves(data: Plain, prefix: str) -> Iterator[str]:
    if not isinstance(data, Mapping):
        yield prefix
        return
    for key, inner in data.items():
        yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
