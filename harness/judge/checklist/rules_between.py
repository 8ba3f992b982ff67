"""Gating rules that two results break when they are put side by side.

Each takes a pair and says what breaks it in words, or nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations
from types import MappingProxyType
from typing import Any

from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.result import (
    ENERGIES,
    PER_ENERGY,
    RATES,
    SPEEDUPS,
    Result,
    fits,
    words,
)

_SOFTWARE = ("GEN-12", "GEN-13", "GEN-14", "GEN-15", "GEN-16", "GEN-17", "GEN-18")
_NOT_THERE = "(not recorded)"
_MOST_TOLD = 3


@dataclass(frozen=True)
class Pair:
    """Two results side by side.

    Attributes:
        a: A result.
        b: Another one; in a series, the later one.
        labelled: Whether the reader of both is told the evidence class of each.
        subject: Pointers to what is meant to differ, with all that lies under each. Entries of a
            list that have a name are known by it, as in `packages:/packages/numpy/version`.
        metric: The one measurement that they are compared in; None for all they share.
    """

    a: Result
    b: Result
    labelled: bool = True
    subject: frozenset[str] = frozenset()
    metric: str | None = None

    def shared(self, *patterns: str) -> list[str]:
        """What is compared: measurements of both with a value that fit one of these patterns."""
        if self.metric is None:
            return [name for name in self.a.offers(*patterns) if name in self.b.measurements]
        both = self.metric in self.a.measurements and self.metric in self.b.measurements
        return [self.metric] if both and fits(self.metric, patterns) else []

    def lacking(self, *idents: str) -> list[str]:
        """Which of these items one of the two lacks."""
        return [name for name in idents if self.a.lacking(name) or self.b.lacking(name)]


def other_boundary(pair: Pair) -> str | None:
    """RULE-03: energies of different boundaries, by scope, cover and idle baseline."""
    for name in pair.shared(*ENERGIES):
        one, other = (_boundary(side.measurements[name]) for side in (pair.a, pair.b))
        if one != other:
            return f"{name} within {one} beside {other}: {_named('ENERGY-04')}"
    return None


def no_wall_power(pair: Pair) -> str | None:
    """RULE-04: a memory-bound ASIC beside a GPU without wall power on both sides."""
    both = all(side.offers(*ENERGIES) for side in (pair.a, pair.b))
    metered = all(side.answered("ENERGY-09") for side in (pair.a, pair.b))
    for asic, other in permutations((pair.a, pair.b)):
        if (
            both
            and not _compute_bound(asic)
            and not metered
            and asic.is_of("asic")
            and other.is_of("gpu")
        ):
            return f"energy of an ASIC beside that of a GPU without {_named('ENERGY-09')} of both"
    return None


def other_precision(pair: Pair) -> str | None:
    """RULE-05: rates at different precisions without the accuracy of both."""
    shared = pair.shared(*RATES, *PER_ENERGY)
    one, other = _precision(pair.a), _precision(pair.b)
    if one == other:
        one, other = (f"{one} ({_quantisation(side)})" for side in (pair.a, pair.b))
    if not shared or one == other or (_accuracy_known(pair.a) and _accuracy_known(pair.b)):
        return None
    return f"{shared[0]} at {one} beside {other} without {_named('GEN-24')} of both"


def unexplained_speedup(pair: Pair) -> str | None:
    """RULE-06: speed-ups over devices without strategy and overlap of both."""
    shared, missing = pair.shared(*SPEEDUPS), pair.lacking("SCALE-04", "SCALE-05")
    return f"{shared[0]} without {_named(*missing)} of both" if shared and missing else None


def other_evidence(pair: Pair) -> str | None:
    """RULE-10: different classes of evidence side by side where no label tells them apart."""
    one, other = pair.a.evidence, pair.b.evidence
    if pair.labelled or one == other:
        return None
    return f"{one} beside {other} numbers with no label that tells which is which (GEN-01)"


def weak_baseline(pair: Pair) -> str | None:
    """RULE-17: a neuromorphic machine beside a CPU or GPU that is not known to be optimised."""
    for spiking, baseline in permutations((pair.a, pair.b)):
        if spiking.is_of("neu") and baseline.at("cell:/platform/family") in ("cpu", "gpu"):
            told = spiking.told("GEN-50")
            if not told or "unoptimi" in told or "optimised false" in told:
                return f"a neuromorphic result without an optimised {_named('GEN-50')}"
    return None


def other_software(pair: Pair) -> str | None:
    """RULE-21: software, firmware or flags differ that are not meant to."""
    changed = [
        change
        for ident in _SOFTWARE
        for change in _changes(_software(pair.a, ident), _software(pair.b, ident))
        if not any(change == known or change.startswith(f"{known}/") for known in pair.subject)
    ]
    named = list(dict.fromkeys(changed))
    if not named:
        return None
    more = f" and {len(named) - _MOST_TOLD} more" if len(named) > _MOST_TOLD else ""
    return f"changed in between: {', '.join(named[:_MOST_TOLD])}{more}"


def unknown_cache(pair: Pair) -> str | None:
    """RULE-22: serving systems side by side without size, paging and compression of the cache."""
    both = pair.a.serves and pair.b.serves
    missing = pair.lacking("INF-28", "INF-29", "INF-30") if both else []
    return f"serving systems side by side without {_named(*missing)}" if missing else None


BETWEEN: Mapping[str, Callable[[Pair], str | None]] = MappingProxyType(
    {
        "RULE-03": other_boundary,
        "RULE-04": no_wall_power,
        "RULE-05": other_precision,
        "RULE-06": unexplained_speedup,
        "RULE-10": other_evidence,
        "RULE-17": weak_baseline,
        "RULE-21": other_software,
        "RULE-22": unknown_cache,
    }
)
"""What looks for a breach of each rule, by its id."""


def _compute_bound(result: Result) -> bool:
    """Whether compute is what binds it, or binds it for most of the time."""
    found = next(iter(result.values("GEN-53").values()), None)
    if isinstance(found, Mapping):
        return bool(found) and str(max(found, key=lambda name: found[name])) == "compute"
    return words(found).startswith("compute")


def _boundary(measured: Mapping[str, Any]) -> str:
    note = measured.get("energy")
    if not note:
        return "unknown"
    covers = ", ".join(sorted(set(note["covers"]))) or "nothing named"
    return f"'{note['scope']}' ({covers}{'; net of idle' if note['net_of_idle'] else ''})"


def _precision(result: Result) -> str:
    return str(result.at("head:/precision") or result.told("GEN-25") or "unknown precision")


def _quantisation(result: Result) -> str:
    return result.told("GEN-26") or "not quantised"


def _accuracy_known(result: Result) -> bool:
    return result.answered("GEN-24") or bool(result.offers("quality.*"))


def _named(*idents: str) -> str:
    return ", ".join(f"{items()[ident].field} ({ident})" for ident in idents)


def _software(result: Result, ident: str) -> dict[str, Any]:
    """What answers an item, every leaf by its pointer."""
    return {
        leaf: value
        for pointer, data in result.values(ident).items()
        for leaf, value in _leaves(pointer, data)
    }


def _leaves(pointer: str, data: Any) -> Iterator[tuple[str, Any]]:
    """Every leaf of plain data by its pointer."""
    if isinstance(data, Mapping):
        for key, inner in data.items():
            yield from _leaves(f"{pointer}/{key}", inner)
    elif isinstance(data, (list, tuple)):
        for place, inner in enumerate(data):
            name = inner.get("name", place) if isinstance(inner, Mapping) else place
            yield from _leaves(f"{pointer}/{name}", inner)
    else:
        yield pointer, words(data)


def _changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Pointers of the leaves that differ."""
    return sorted(
        pointer
        for pointer in a.keys() | b.keys()
        if a.get(pointer, _NOT_THERE) != b.get(pointer, _NOT_THERE)
    )
