"""What the survey asks a result to report, its gating rules, and what it forgot to ask."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from accelbench.harness.judge.checklist.table import rows

Force: TypeAlias = Literal["R", "C", "P"]
Level: TypeAlias = Literal["reject", "warn", "split"]


@dataclass(frozen=True)
class Item:
    """One thing to report.

    Attributes:
        number: Running number, from 1.
        id: E.g. "GEN-01".
        field: Key under `declare` that answers it, e.g. "evidence.class"; unique.
        report: What is to be reported.
        kind: Kinds of run it is asked of; "any" for all.
        family: Families of machine it is asked of; "any" for all, "multi" for several devices.
        evidence: M measured, E emulated, S simulated; "any" for all.
        condition: What else must hold; empty for nothing.
        type: Type and unit of the answer, in words.
        force: R the survey asks for it, C results change with it, P the survey prefers it.
        see: Items that hold the same datum.
        section: Where the survey asks for it.
    """

    number: int
    id: str
    field: str
    report: str
    kind: tuple[str, ...]
    family: tuple[str, ...]
    evidence: tuple[str, ...]
    condition: str
    type: str
    force: Force
    see: tuple[str, ...]
    section: str

    @property
    def group(self) -> str:
        """The group it belongs to, e.g. "GEN"."""
        return self.id.partition("-")[0]


@dataclass(frozen=True)
class Gap:
    """One thing the survey does not ask for, though its equations need it.

    Attributes:
        id: E.g. "GAP-01".
        missing: What is missing.
        why: Where the survey stops.
        origin: Always "harness", so that the survey's own list stays apart.
    """

    id: str
    missing: str
    why: str
    origin: Literal["harness"]


@dataclass(frozen=True)
class RuleText:
    """One rule that a result must keep before it is shown or compared.

    Attributes:
        id: E.g. "RULE-01".
        trigger: What breaks it.
        level: Reject what breaks it, warn of it, or split the series.
        section: Where the survey demands it.
    """

    id: str
    trigger: str
    level: Level
    section: str


@cache
def items() -> Mapping[str, Item]:
    """All 325 items by id, in the survey's order."""
    columns = "number id field report kind family evidence condition type force see section"
    found = (
        Item(
            number=int(row["number"]),
            id=row["id"],
            field=row["field"],
            report=row["report"],
            kind=_words(row["kind"]),
            family=_words(row["family"]),
            evidence=_words(row["evidence"]),
            condition=row["condition"],
            type=row["type"],
            force=cast("Force", row["force"]),
            see=_words(row["see"]),
            section=row["section"],
        )
        for row in rows("items.csv", columns.split())
    )
    return MappingProxyType({item.id: item for item in found})


@cache
def gaps() -> Mapping[str, Gap]:
    """The 20 gaps by id."""
    found = (
        Gap(row["id"], row["missing"], row["why"], cast('Literal["harness"]', row["origin"]))
        for row in rows("gaps.csv", ("id", "missing", "why", "origin"))
    )
    return MappingProxyType({gap.id: gap for gap in found})


@cache
def rule_texts() -> Mapping[str, RuleText]:
    """The 28 gating rules by id."""
    found = (
        RuleText(row["id"], row["trigger"], cast("Level", row["level"]), row["section"])
        for row in rows("rules.csv", ("id", "trigger", "level", "section"))
    )
    return MappingProxyType({rule.id: rule for rule in found})


def _words(cell: str) -> tuple[str, ...]:
    return tuple(cell.split(",")) if cell else ()
