"""Where the survey's rules keep a figure or a ranking out of a report, and what is said instead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from accelbench.harness.judge.checklist.rules import BrokenRule, barred
from accelbench.reports.shown import Shown


@dataclass(frozen=True)
class Ranking:
    """Cells sorted by whether they may stand on one axis.

    Attributes:
        groups: By metric; cells of one group may be ranked, cells of different groups may not.
        said: Which cells are withheld, why groups stand apart, and by which rules; may be empty.
    """

    groups: Mapping[str, Sequence[Sequence[Shown]]]
    said: str

    @property
    def cells(self) -> list[Shown]:
        """All cells that stand in a group."""
        return [one for groups in self.groups.values() for group in groups for one in group]


def rejected(one: Shown, *metrics: str) -> tuple[BrokenRule, ...]:
    """The rules that withhold one of these measurements of a cell."""
    return tuple(rule for rule in one.checklist.rules if any(map(rule.rejects, metrics)))


def admitted(shown: Sequence[Shown], *metrics: str) -> list[Shown]:
    """The cells of which no rule withholds one of these measurements."""
    return [one for one in shown if not rejected(one, *metrics)]


def withheld(shown: Sequence[Shown], *metrics: str) -> str:
    """Which cells are withheld and by which rules, as a sentence; empty if none is."""
    return _withheld([(one, rule) for one in shown for rule in rejected(one, *metrics)])


def ranking(
    shown: Sequence[Shown], metrics: Iterable[str], metric_of: Callable[[Shown], str]
) -> Ranking:
    """Puts cells that may be ranked in a metric together, and the others apart.

    Args:
        shown: The cells, in order.
        metrics: Names of the measurements, in order.
        metric_of: The one of them that a cell is ranked in.
    """
    groups: dict[str, list[list[Shown]]] = {}
    said = []
    for metric in metrics:
        own = [one for one in shown if metric_of(one) == metric]
        groups[metric], apart = _grouped(admitted(own, metric), metric)
        said += [withheld(own, metric), apart]
    return Ranking(groups, " ".join(part for part in said if part))


def rules_once(shown: Sequence[Shown]) -> list[tuple[BrokenRule, str]]:
    """Every broken rule once with the cells that break it; what rejects comes first."""
    seen: dict[BrokenRule, list[str]] = {}
    for one in shown:
        for rule in one.checklist.rules:
            seen.setdefault(rule, []).append(one.label)
    ordered = sorted(seen, key=lambda rule: (rule.level != "reject", rule.id))
    return [(rule, ", ".join(seen[rule])) for rule in ordered]


def _grouped(shown: Sequence[Shown], metric: str) -> tuple[list[list[Shown]], str]:
    """Groups of cells of which no two are barred, and why there are several."""
    groups: list[list[Shown]] = []
    apart: dict[str, str] = {}
    for one in shown:
        for group in groups:
            rules = [rule for other in group for rule in barred(other.result, one.result, metric)]
            if not rules:
                group.append(one)
                break
            apart = {rule.id: rule.detail for rule in rules} | apart
        else:
            groups.append([one])
    told = "; ".join(f"{ident}: {detail}" for ident, detail in sorted(apart.items()))
    said = f"Panels of {metric} stand apart and must not be ranked against each other: {told}."
    return groups, said if len(groups) > 1 else ""


def _withheld(found: Sequence[tuple[Shown, BrokenRule]]) -> str:
    seen: dict[BrokenRule, list[str]] = {}
    for one, rule in found:
        seen.setdefault(rule, []).append(one.label)
    told = "; ".join(
        f"{', '.join(dict.fromkeys(labels))} ({rule.id}: {rule.detail})"
        for rule, labels in seen.items()
    )
    return f"Withheld: {told}." if told else ""
