"""The survey's 28 gating rules: which of them one result breaks, and which two side by side.

A rule rejects, warns, or splits a series. What it rejects are the figures it concerns: a report
leaves them out of figures and rankings, and a comparison calls them incomparable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from accelbench.harness.judge.checklist.evaluate import Answer
from accelbench.harness.judge.checklist.items import Level, rule_texts
from accelbench.harness.judge.checklist.pointer import Documents
from accelbench.harness.judge.checklist.result import (
    DELAYS,
    EFFICIENCIES,
    ENERGIES,
    OPERATIONS,
    PEAKS,
    PER_ENERGY,
    RATES,
    SPEEDUPS,
    TOKEN_RATES,
    Result,
    fits,
)
from accelbench.harness.judge.checklist.rules_between import BETWEEN, Pair
from accelbench.harness.judge.checklist.rules_single import SINGLE, array_speedup

CONCERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "RULE-01": PEAKS,
        "RULE-02": PER_ENERGY,
        "RULE-03": ENERGIES,
        "RULE-04": ENERGIES,
        "RULE-05": (*RATES, *PER_ENERGY),
        "RULE-06": SPEEDUPS,
        "RULE-07": TOKEN_RATES,
        "RULE-08": TOKEN_RATES,
        "RULE-09": DELAYS,
        "RULE-11": RATES,
        "RULE-14": OPERATIONS,
        "RULE-15": SPEEDUPS,
        "RULE-16": PER_ENERGY,
        "RULE-19": EFFICIENCIES,
        "RULE-25": ("area.w_per_mm2",),
        "RULE-28": ("e2e.*.p[0-9]*",),
    }
)
"""Names of the measurements that a rule is about; the other rules are about every one."""

_EVERY = ("*",)
_COMPARED_SPEED = (*RATES, *DELAYS, *SPEEDUPS)


@dataclass(frozen=True)
class BrokenRule:
    """A rule that a result breaks, or two results side by side.

    Attributes:
        id: E.g. "RULE-02".
        level: Whether it rejects the figures it is about, warns of them, or splits a series.
        detail: What breaks it and what is missing, with the survey's section; one line.
        about: Names of the measurements it is about; `*` stands for any text.
    """

    id: str
    level: Level
    detail: str
    about: tuple[str, ...] = _EVERY

    def rejects(self, metric: str) -> bool:
        """Whether it keeps this measurement out of figures and rankings."""
        return self.level == "reject" and fits(metric, self.about)


@dataclass(frozen=True)
class Gate:
    """Whether two results may be compared in one metric.

    Attributes:
        verdict: Incomparable if a rule rejects the comparison.
        reason: The rules that reject it, in one line; empty for a comparable pair.
    """

    verdict: Literal["comparable", "incomparable"]
    reason: str = ""


def broken(documents: Documents, answers: Sequence[Answer]) -> tuple[BrokenRule, ...]:
    """The rules that one result breaks by itself, in order of their ids.

    A result that offers no figure breaks none.

    Args:
        documents: The documents of its record.
        answers: Its answers to the checklist.
    """
    result = Result(documents, answers)
    if not result.measurements:
        return ()
    return _told({ident: look(result) for ident, look in SINGLE.items()})


def broken_between(
    a: Documents,
    answers_a: Sequence[Answer],
    b: Documents,
    answers_b: Sequence[Answer],
    *,
    labelled: bool = True,
    subject: frozenset[str] = frozenset(),
) -> tuple[BrokenRule, ...]:
    """The rules that two results break when they are put side by side, in order of their ids.

    Beside another machine an array claims a speed-up, so RULE-15 is asked here too.

    Args:
        a: The documents of one record.
        answers_a: Its answers to the checklist.
        b: The documents of the other; in a series, of the later one.
        answers_b: Its answers.
        labelled: Whether the reader of both is told the evidence class of each.
        subject: Pointers to the facts that are meant to differ, see `Pair`.
    """
    pair = Pair(Result(a, answers_a), Result(b, answers_b), labelled, subject)
    if not pair.a.measurements or not pair.b.measurements:
        return ()
    found = {ident: look(pair) for ident, look in BETWEEN.items()}
    return tuple(sorted(_told(found) + _claimed_speedup(pair), key=lambda rule: rule.id))


def barred(a: Result, b: Result, metric: str) -> tuple[BrokenRule, ...]:
    """The rules that keep two results from being ranked in one metric.

    Only those that two results break; what one breaks by itself, `broken` tells.

    Args:
        a: A result.
        b: Another one; their classes of evidence are labelled.
        metric: Name of the measurement.
    """
    pair = Pair(a, b, metric=metric)
    asked = {
        ident: look
        for ident, look in BETWEEN.items()
        if rule_texts()[ident].level == "reject" and fits(metric, CONCERNS.get(ident, _EVERY))
    }
    found = _told({ident: look(pair) for ident, look in asked.items()})
    return found + tuple(rule for rule in _claimed_speedup(pair) if rule.rejects(metric))


def gate_comparison(
    a: Documents,
    answers_a: Sequence[Answer],
    b: Documents,
    answers_b: Sequence[Answer],
    metric: str,
) -> Gate:
    """Whether two results may be compared in one metric, by the rules alone.

    Args:
        a: The documents of one record.
        answers_a: Its answers to the checklist.
        b: The documents of the other.
        answers_b: Its answers.
        metric: Name of the measurement.
    """
    between = barred(Result(a, answers_a), Result(b, answers_b), metric)
    rules = (*broken(a, answers_a), *broken(b, answers_b), *between)
    reasons = dict.fromkeys(f"{rule.id}: {rule.detail}" for rule in rules if rule.rejects(metric))
    return Gate("incomparable", "; ".join(reasons)) if reasons else Gate("comparable")


def _claimed_speedup(pair: Pair) -> tuple[BrokenRule, ...]:
    if pair.a.at("cell:/platform/name") == pair.b.at("cell:/platform/name"):
        return ()
    found = [array_speedup(side, compared=True) for side in (pair.a, pair.b)]
    rules = _told({"RULE-15": next((detail for detail in found if detail), None)})
    return tuple(replace(rule, about=_COMPARED_SPEED) for rule in rules)


def _told(found: Mapping[str, str | None]) -> tuple[BrokenRule, ...]:
    """What was found, with level and section of each rule."""
    return tuple(
        BrokenRule(
            ident,
            rule_texts()[ident].level,
            f"{detail}; {rule_texts()[ident].section}",
            CONCERNS.get(ident, _EVERY),
        )
        for ident, detail in found.items()
        if detail is not None
    )
