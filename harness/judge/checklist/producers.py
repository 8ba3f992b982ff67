"""What can answer an item: the harness, a sheet, the user, or a capability still to come."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias, cast, get_args

from accelbench.harness.judge.checklist.items import Item, items
from accelbench.harness.judge.checklist.table import rows

How: TypeAlias = Literal["observed", "computed", "sheet", "declared", "pending"]


@dataclass(frozen=True)
class Producer:
    """One way to answer an item.

    Attributes:
        how: Observed by the harness, computed from what it observed, from the sheet of the
            platform, declared by the user, or pending until the program can do it.
        what: For observed, computed and sheet: pointers such as `record:/engine/device`, with a
            space between them; every one must have a value. For declared: the key under
            `declare`. For pending: the capability.
        reason: Why it is answered so, e.g. why nothing can observe it.
    """

    how: How
    what: str
    reason: str = ""


@cache
def producers() -> Mapping[str, tuple[Producer, ...]]:
    """What can answer each item, by id, the best first.

    A declared producer without a key is that of the item's own field.

    Raises:
        ValueError: The table names an item or a kind of producer that does not exist,
            or says nothing of what it is.
    """
    found: dict[str, list[Producer]] = {}
    for row in rows("producers.csv", ("id", "how", "what", "reason")):
        if row["id"] not in items() or row["how"] not in get_args(How):
            raise ValueError(f"producers.csv: no such item or way: {row['id']}, {row['how']}")
        own = items()[row["id"]].field if row["how"] == "declared" else ""
        producer = Producer(cast("How", row["how"]), row["what"] or own, row["reason"])
        if not producer.what:
            raise ValueError(f"producers.csv: {row['id']} is {row['how']} by nothing")
        found.setdefault(row["id"], []).append(producer)
    return MappingProxyType({name: tuple(listed) for name, listed in found.items()})


def producers_of(item: Item) -> tuple[Producer, ...]:
    """What can answer an item: its own producers, then those of the items it points at."""
    seen = (producer for name in item.see for producer in producers_of(items()[name]))
    return tuple(dict.fromkeys((*producers().get(item.id, ()), *seen)))
