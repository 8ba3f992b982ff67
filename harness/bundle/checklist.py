"""The checklist of a whole bundle: every cell held against every item and every rule."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from accelbench.harness.bundle.layout import (
    CAMPAIGN,
    ENVIRONMENT,
    MANIFEST,
    RECORD,
    TRACE,
    record_folder,
)
from accelbench.harness.bundle.seal import DERIVED_FILE
from accelbench.harness.bundle.summary import Bundle, derive
from accelbench.harness.bundle.trace_files import HEAD_FILE
from accelbench.harness.errors import BundleError
from accelbench.harness.judge.checklist.evaluate import Answer, Score, evaluate, score
from accelbench.harness.judge.checklist.items import items
from accelbench.harness.judge.checklist.pointer import Documents
from accelbench.harness.judge.checklist.rules import BrokenRule, broken
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.record import Record

_ENVIRONMENT_FILES = {
    "environment": "before.json",
    "packages": "packages.json",
    "changes": "changes.json",
}
_WORST = ("missing", "answered", "not_applicable")


@dataclass(frozen=True)
class CellChecklist:
    """One cell held against the checklist.

    Attributes:
        cell: Its name.
        documents: The documents of the record that stands for it.
        answers: The answer to each item, in the survey's order.
        rules: The rules it breaks.
    """

    cell: str
    documents: Documents
    answers: tuple[Answer, ...]
    rules: tuple[BrokenRule, ...]

    @cached_property
    def _by_id(self) -> Mapping[str, Answer]:
        return {answer.id: answer for answer in self.answers}

    def answer(self, item: str) -> Answer:
        """The answer to an item, by its id."""
        return self._by_id[item]


@dataclass(frozen=True)
class Checklist:
    """A bundle held against the checklist.

    Attributes:
        cells: Every cell that has a record, in the suite's order.
        worst: For each item its worst answer over the cells.
        groups: How many items of each group stand how, by their worst answers.
    """

    cells: tuple[CellChecklist, ...]
    worst: tuple[Answer, ...]
    groups: Mapping[str, Score]


def checklist_of(bundle: Bundle) -> Checklist:
    """Holds a bundle against the checklist.

    Raises:
        BundleError: A file of the bundle cannot be read.
    """
    shared = _shared_documents(bundle)
    several = derive(bundle.campaign, bundle.records)
    cells = tuple(
        _cell_checklist(name, {**shared, **_own_documents(bundle, record, several)})
        for name, record in _representatives(bundle).items()
    )
    worst = _worst(cells)
    return Checklist(cells, worst, score(worst))


def _shared_documents(bundle: Bundle) -> Documents:
    """The documents that every cell of a bundle has in common."""
    files = {name: bundle.path / ENVIRONMENT / file for name, file in _ENVIRONMENT_FILES.items()}
    return {
        "campaign": encode(bundle.campaign),
        "bundle": {"sealed": bundle.id is not None},
        **{name: _read(path) if path.exists() else None for name, path in files.items()},
    }


def _own_documents(bundle: Bundle, record: Record, several: Sequence[Derived]) -> Documents:
    """The documents of one record, and where all of them lie in the bundle."""
    folder = record_folder(bundle.path, record.cell, record.repeat)
    inside = folder.relative_to(bundle.path).as_posix()
    mine = {
        number: item
        for number, item in enumerate(several)
        if bundle.id is not None and record.id in item.inputs
    }
    return {
        "record": encode(record),
        "head": _head(folder / TRACE / HEAD_FILE),
        "cell": encode(bundle.campaign.cells[record.cell]),
        "derived": {item.name: encode(item) for item in mine.values()},
        "where": {
            "campaign": f"{CAMPAIGN}#",
            "bundle/sealed": f"{MANIFEST}#/id",
            **{name: f"{ENVIRONMENT}/{file}#" for name, file in _ENVIRONMENT_FILES.items()},
            "record": f"{inside}/{RECORD}#",
            "head": f"{inside}/{TRACE}/{HEAD_FILE}#",
            "cell": f"{CAMPAIGN}#/cells/{record.cell}",
            **{f"derived/{item.name}": f"{DERIVED_FILE}#/derived/{n}" for n, item in mine.items()},
        },
    }


def _head(path: Path) -> Plain:
    """The trace's head; a broken one answers nothing, and `verify` names it."""
    try:
        return _read(path)
    except BundleError:
        return None


def _read(path: Path) -> Plain:
    try:
        data: Plain = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    return data


def _representatives(bundle: Bundle) -> Mapping[str, Record]:
    """For each cell its first valid record, or its first."""
    chosen: dict[str, Record] = {}
    for name in bundle.campaign.cell_names:
        records = [record for record in bundle.records if record.cell == name]
        valid = [record for record in records if record.status == "valid"]
        if records:
            chosen[name] = (valid or records)[0]
    return chosen


def _cell_checklist(name: str, documents: Documents) -> CellChecklist:
    answers = evaluate(documents)
    return CellChecklist(name, documents, answers, broken(documents, answers))


def _worst(cells: Sequence[CellChecklist]) -> tuple[Answer, ...]:
    """The worst answer to each item; on the user's word if one of its cells is."""
    return tuple(
        replace(
            min(answers, key=lambda answer: _WORST.index(answer.status)),
            declared=any(answer.declared for answer in answers),
        )
        if (answers := [cell.answer(name) for cell in cells])
        else Answer(name, "missing", reason="no trial is finished")
        for name in items()
    )
