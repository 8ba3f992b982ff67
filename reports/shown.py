"""The cells of a report, with a label each and a way to their raw traces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_uppercase

from accelbench.harness.bundle.checklist import CellChecklist, checklist_of
from accelbench.harness.bundle.layout import TRACE, record_folder
from accelbench.harness.bundle.summary import Bundle, CellSummary, derive
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.judge.checklist.result import Result
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Record
from accelbench.reports.wording import verdict


@dataclass(frozen=True)
class Shown:
    """A cell in a report.

    Attributes:
        label: Its name, with the mark of its bundle where there are several.
        bundle: The bundle it is from.
        cell: What its trials say.
        checklist: What it answers of the survey's checklist, and the rules it breaks.
    """

    label: str
    bundle: Bundle
    cell: CellSummary
    checklist: CellChecklist

    @cached_property
    def result(self) -> Result:
        """The cell as the rules see it."""
        return Result(self.checklist.documents, self.checklist.answers)

    @property
    def title(self) -> str:
        """Label and evidence class."""
        return f"{self.label} ({self.cell.evidence})"

    @property
    def platform(self) -> Platform:
        """The sheet of its machine."""
        return self.bundle.campaign.cells[self.cell.cell].platform

    def value(self, name: str) -> Measurement | None:
        """A measurement by name, if it has a value."""
        found = self.cell.measurements.get(name)
        return None if found is None or found.value is None else found

    def trials(self) -> tuple[Record, ...]:
        """The records of its trials."""
        return tuple(record for record in self.bundle.records if record.cell == self.cell.cell)

    def observed(self) -> Iterator[tuple[str, Observation]]:
        """Each trial's raw trace, with the trial's name.

        Raises:
            BundleError: A trace cannot be read.
        """
        for record in self.trials():
            folder = record_folder(self.bundle.path, record.cell, record.repeat) / TRACE
            yield f"trial {record.repeat + 1}", Observation(read_trace(folder), self.platform)


def marks(bundles: Sequence[Bundle]) -> list[str]:
    """A short name for each bundle: none for a single one, else A, B, ..., Z, 27, ..."""
    if len(bundles) == 1:
        return [""]
    letters = [*ascii_uppercase, *(str(number) for number in range(27, len(bundles) + 1))]
    return letters[: len(bundles)]


def shown_cells(bundles: Sequence[Bundle]) -> list[Shown]:
    """All cells of all bundles that have a trial.

    Raises:
        BundleError: A file that the checklist is held against cannot be read.
    """
    return [
        Shown(f"{mark}: {cell.cell}" if mark else cell.cell, bundle, cell, checklist)
        for mark, bundle in zip(marks(bundles), bundles, strict=True)
        for cell, checklist in zip(bundle.summaries(), checklist_of(bundle).cells, strict=True)
    ]


def over_cells(shown: Sequence[Shown]) -> list[tuple[list[Shown], Derived]]:
    """What rests on several valid cells, with those cells."""
    bundles = {id(one.bundle): one.bundle for one in shown}.values()
    found = []
    for bundle in bundles:
        own = {one.cell.cell: one for one in shown if one.bundle is bundle}
        for item in derive(bundle.campaign, bundle.records):
            names = dict.fromkeys(record.rpartition("/")[0] for record in item.inputs)
            if names:
                found.append(([own[name] for name in names], item))
    return found


def valid(shown: Sequence[Shown]) -> list[Shown]:
    """The cells that may be drawn: every trial is valid."""
    return [one for one in shown if one.cell.status == "valid"]


def not_drawn(shown: Sequence[Shown]) -> str:
    """Which of these cells are not drawn and why, as a sentence; empty if all are."""
    bad = [f"{one.label} ({verdict(one.cell)})" for one in shown if one.cell.status != "valid"]
    return f"Not drawn: {', '.join(bad)}." if bad else ""
