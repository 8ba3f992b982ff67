"""`accelbench checklist BUNDLE`: what a bundle answers of the survey's reporting checklist."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from accelbench.cli.document import print_document
from accelbench.harness.bundle.checklist import Checklist, checklist_of
from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.judge.checklist.declared import unasked
from accelbench.harness.judge.checklist.evaluate import Answer, Score
from accelbench.harness.judge.checklist.items import Force, items
from accelbench.harness.judge.checklist.producers import Producer, producers_of

_FORCES: Mapping[Force, str] = {
    "R": "missing, and the survey asks for it (R)",
    "C": "missing, and results change with it (C)",
    "P": "missing, and the survey prefers it (P)",
}


def command(args: argparse.Namespace) -> int:
    """Tells; it does not judge."""
    found = checklist_of(read_bundle(Path(args.bundle)))
    if args.json:
        print_document("checklist", _document(found))
        return 0
    for line in _lines(found):
        print(line)
    return 0


def _document(found: Checklist) -> dict[str, Any]:
    return {
        "groups": {group: vars(score) for group, score in found.groups.items()},
        "items": [
            {
                "id": worst.id,
                "status": worst.status,
                "declared": worst.declared,
                "cells": {
                    cell.cell: {
                        "status": cell.answer(worst.id).status,
                        "evidence": cell.answer(worst.id).evidence or None,
                        "reason": cell.answer(worst.id).reason or None,
                    }
                    for cell in found.cells
                },
            }
            for worst in found.worst
        ],
        "rules": [
            {"id": rule.id, "level": rule.level, "cell": cell.cell, "detail": rule.detail}
            for cell in found.cells
            for rule in cell.rules
        ],
    }


def _lines(found: Checklist) -> Iterator[str]:
    yield from _table(found.groups)
    declared = [answer.id for answer in found.worst if answer.declared]
    if declared:
        yield f"\non the user's word alone ({len(declared)}): {', '.join(declared)}"
    for force, title in _FORCES.items():
        lacking = [
            answer
            for answer in found.worst
            if answer.status == "missing" and items()[answer.id].force == force
        ]
        if lacking:
            yield f"\n{title}: {len(lacking)}"
        for answer in lacking:
            yield from _lacking(answer, found)
    yield from _broken(found)
    for key in sorted({key for cell in found.cells for key in unasked(cell.documents)}):
        yield f"declare.{key} answers nothing: no item has such a field (see `list checklist`)"


def _table(groups: Mapping[str, Score]) -> Iterator[str]:
    yield f"{'group':<8}{'answered':>10}{'not applicable':>16}{'missing':>9}"
    total = Score(
        *(sum(column) for column in zip(*(vars(s).values() for s in groups.values()), strict=True))
    )
    for name, score in {**groups, "all": total}.items():
        yield f"{name:<8}{score.answered:>10}{score.not_applicable:>16}{score.missing:>9}"


def _lacking(answer: Answer, found: Checklist) -> Iterator[str]:
    item = items()[answer.id]
    cells = [cell.cell for cell in found.cells if cell.answer(item.id).status == "missing"]
    told = "" if len(cells) == len(found.cells) else f" [{', '.join(cells)}]"
    yield f"  {item.id}  {item.report}{told}"
    yield f"      why: {answer.reason}"
    ways = "; or ".join(dict.fromkeys(map(_in_words, producers_of(item))))
    yield f"      answered by: {ways or 'nothing yet'}"


def _in_words(producer: Producer) -> str:
    if producer.how == "declared":
        return f"declare.{producer.what}=..."
    told = {
        "observed": "observed at",
        "computed": "computed at",
        "sheet": "the platform's sheet at",
    }
    return f"{told.get(producer.how, 'pending:')} {producer.what}"


def _broken(found: Checklist) -> Iterator[str]:
    broken = [(cell.cell, rule) for cell in found.cells for rule in cell.rules]
    if broken:
        yield f"\nrules broken: {len(broken)}"
    for cell, rule in broken:
        yield f"  {rule.level}  {rule.id}  {cell}: {rule.detail}"
