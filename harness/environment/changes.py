"""What differs between two snapshots of the environment."""

from collections.abc import Mapping

from accelbench.harness.schema.plain import Plain

MOVING = frozenset(
    {
        "cpu.clock_hz",
        "memory.available_bytes",
        "memory.swap_free_bytes",
        "os.load_average",
        "pressure.cpu",
        "pressure.io",
        "pressure.memory",
    }
)
"""Facts that move all the time; that they differ says nothing."""

NOT_RECORDED = "(not recorded)"


def changes(before: Mapping[str, Plain], after: Mapping[str, Plain]) -> list[dict[str, Plain]]:
    """The facts that differ, in order of their names; those of `MOVING` are left out.

    Args:
        before: The `facts` of a stored snapshot.
        after: The `facts` of a later one, or of another machine's.

    Returns:
        For each, `fact`, `before` and `after`: the value, or in brackets why there is none.
    """
    return [
        {"fact": name, "before": _told(before.get(name)), "after": _told(after.get(name))}
        for name in sorted((before.keys() | after.keys()) - MOVING)
        if _told(before.get(name)) != _told(after.get(name))
    ]


def _told(fact: Plain) -> Plain:
    if not isinstance(fact, Mapping):
        return NOT_RECORDED
    if fact["status"] != "ok":
        return f"({fact['status']}: {fact['detail']})"
    return fact["value"]
