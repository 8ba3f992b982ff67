"""What a bundle says in all: each cell over its trials, and what is derived from several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from accelbench.harness.bundle.campaign_file import Campaign, read_campaign
from accelbench.harness.bundle.groups import together
from accelbench.harness.bundle.interferences import interferences
from accelbench.harness.bundle.layout import MANIFEST
from accelbench.harness.bundle.load_curves import by_rate, curves, searched
from accelbench.harness.bundle.manifest import read_manifest
from accelbench.harness.bundle.record_file import failed_attempts, read_record, record_folders
from accelbench.harness.bundle.several import (
    at_quality,
    batching,
    costs,
    strong,
    weak,
)
from accelbench.harness.bundle.slowdowns import slowdowns
from accelbench.harness.errors import BundleError
from accelbench.harness.metrics.curve import SUSTAINABLE
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import ClockName, Evidence, Reason, Record, Status
from accelbench.harness.schema.scenario import Sustainable


@dataclass(frozen=True)
class CellSummary:
    """One cell over its trials.

    Attributes:
        cell: Its name.
        workload: Name of the workload.
        family: The workload's.
        scenario: Kind of the scenario.
        adapter: Name of the adapter.
        platform: Name of the platform sheet.
        evidence: How the numbers were obtained.
        clock: The clock they are on.
        status: Failed if a trial failed, else invalid if one is invalid, else valid. Of a search,
            whose trials beyond what can be sustained are meant to break down, those at the rate
            that can be decide, if there is one.
        reasons: Of all its trials, each once.
        trials: How many trials it has.
        measurements: Over the valid trials; over the invalid ones if none is valid. Of a search
            the rate that can be sustained, and what was measured at it.
    """

    cell: str
    workload: str
    family: str
    scenario: str
    adapter: str
    platform: str
    evidence: Evidence
    clock: ClockName
    status: Status
    reasons: tuple[Reason, ...]
    trials: int
    measurements: Mapping[str, Measurement]


@dataclass(frozen=True)
class Bundle:
    """A bundle, read.

    Attributes:
        path: Its folder.
        id: Its id; None while the campaign is unfinished.
        campaign: What was asked for.
        records: Every finished trial, in order of cell and repeat.
    """

    path: Path
    id: str | None
    campaign: Campaign
    records: tuple[Record, ...]

    def summaries(self) -> tuple[CellSummary, ...]:
        """All cells that have a trial, in the suite's order."""
        by_cell: dict[str, list[Record]] = {name: [] for name in self.campaign.cell_names}
        for record in self.records:
            by_cell.setdefault(record.cell, []).append(record)
        return tuple(
            _summary(self.path, self.campaign.cells[name], records)
            for name, records in by_cell.items()
            if records
        )


def read_bundle(path: Path) -> Bundle:
    """Reads a bundle, finished or not.

    Raises:
        BundleError: It cannot be read.
    """
    campaign = read_campaign(path)
    ident = read_manifest(path).id if (path / MANIFEST).exists() else None
    records = tuple(read_record(folder) for folder in record_folders(path))
    for record in records:
        if record.cell not in campaign.cells:
            raise BundleError(f"record of a cell that the campaign lacks: {record.cell!r}")
    return Bundle(path, ident, campaign, records)


def derive(campaign: Campaign, records: Sequence[Record]) -> tuple[Derived, ...]:
    """What rests on several records of a campaign, or on a record and what was declared."""
    kinds = (batching, strong, weak, curves, slowdowns, interferences, at_quality, costs)
    return tuple(found for kind in kinds for found in kind(campaign.cells, records))


def _summary(bundle: Path, cell: Cell, records: Sequence[Record]) -> CellSummary:
    first = records[0]
    decisive, found = _searched(cell, records)
    counted = [r for r in decisive if r.status == "valid"] or [
        r for r in decisive if r.status == "invalid"
    ]
    reasons = dict.fromkeys(reason for record in records for reason in record.reasons)
    again = [
        Reason("failed_attempt", f"an earlier attempt failed; it is kept as {attempt}", "warning")
        for attempt in failed_attempts(bundle, cell.name)
    ]
    return CellSummary(
        cell=cell.name,
        workload=first.workload,
        family=cell.workload.family,
        scenario=first.scenario,
        adapter=first.adapter,
        platform=first.platform,
        evidence=first.evidence,
        clock=first.clock,
        status=_worst(decisive),
        reasons=(*reasons, *again),
        trials=len(records),
        measurements={**found, **together(cell, counted)},
    )


def _searched(
    cell: Cell, records: Sequence[Record]
) -> tuple[Sequence[Record], Mapping[str, Measurement]]:
    """The records that stand for a cell, and what a search found beside them.

    Where no rate can be sustained, trials of different rates say nothing together.
    """
    if not isinstance(cell.scenario, Sustainable):
        return records, {}
    loads = by_rate(records)
    found = searched(cell, loads)
    rate = found[SUSTAINABLE.name].value
    return (loads[rate], found) if rate else (_without_numbers(records), found)


def _without_numbers(records: Sequence[Record]) -> list[Record]:
    return [replace(record, measurements={}) for record in records]


def _worst(records: Sequence[Record]) -> Status:
    statuses = {record.status for record in records}
    order: tuple[Status, ...] = ("failed", "invalid", "valid")
    return next(status for status in order if status in statuses)
