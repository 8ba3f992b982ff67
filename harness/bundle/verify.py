"""Checks a bundle: every hash, every record's place, and every number from the raw traces."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelbench.harness.bundle.layout import (
    ARTIFACTS,
    CAMPAIGN,
    MANIFEST,
    RECORD,
    RECORDS,
    TRACE,
    record_folder,
)
from accelbench.harness.bundle.manifest import (
    Manifest,
    bundle_id,
    entry,
    read_manifest,
)
from accelbench.harness.bundle.seal import derived_documents
from accelbench.harness.bundle.summary import Bundle, read_bundle
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.errors import AccelbenchError, BundleError
from accelbench.harness.foreign import foreign
from accelbench.harness.judge.assess import assess
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import canonical, pretty
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import Sustainable


@dataclass(frozen=True)
class Problem:
    """Something wrong.

    Attributes:
        path: The file, relative to the bundle.
        what: What is wrong with it.
    """

    path: str
    what: str


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What was checked.
        ok: Whether it holds, or "not_recomputed" where it could not be told.
        detail: What was looked at, or why it could not be.
    """

    name: str
    ok: bool | Literal["not_recomputed"]
    detail: str


@dataclass(frozen=True)
class Verification:
    """The answer.

    Attributes:
        checks: Every check, in order.
        problems: Everything that is wrong.
    """

    checks: tuple[Check, ...]
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(path: Path) -> Verification:
    """Checks a bundle without any engine.

    Raises:
        BundleError: There is no manifest to read.
    """
    manifest = read_manifest(path)
    checks: list[Check] = []
    problems: list[Problem] = []

    def add(name: str, detail: str, found: Iterator[Problem]) -> None:
        wrong = list(found)
        problems.extend(wrong)
        checks.append(Check(name, not wrong, f"{len(wrong)} wrong" if wrong else detail))

    add("manifest", "canonical bytes, id holds", _manifest_problems(path, manifest))
    add("files", f"{len(manifest.files)} files", _file_problems(path, manifest))
    try:
        bundle = read_bundle(path)
    except BundleError as error:
        add("schema", "", iter([Problem(CAMPAIGN, str(error))]))
        return Verification(tuple(checks), tuple(problems))
    add("schema", f"{len(bundle.records)} records", _schema_problems(bundle))
    recomputed = _Recomputed(bundle)
    add("metrics", "recomputed from the traces", recomputed.problems())
    checks.extend(recomputed.not_recomputed())
    add("derived", "recomputed from the records", _derived_problems(bundle))
    return Verification(tuple(checks), tuple(problems))


def _manifest_problems(path: Path, manifest: Manifest) -> Iterator[Problem]:
    if (path / MANIFEST).read_bytes() != canonical(encode(manifest)):
        yield Problem(MANIFEST, "not in canonical bytes: edited by hand")
    if manifest.id != bundle_id(manifest.files):
        yield Problem(MANIFEST, "the id does not follow from the files")


def _file_problems(path: Path, manifest: Manifest) -> Iterator[Problem]:
    there = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()}
    there.discard(MANIFEST)
    for name in sorted(there - manifest.files.keys()):
        yield Problem(name, "not in the manifest: added")
    for name, stored in manifest.files.items():
        if name not in there:
            yield Problem(name, "missing")
            continue
        if (path / name).is_symlink():
            yield Problem(name, "a link, not a file")
            continue
        found = entry(path, name)
        if found.size != stored.size:
            yield Problem(name, f"has {found.size} bytes instead of {stored.size}")
        elif found.sha256 != stored.sha256:
            yield Problem(name, "its bytes are not those that were sealed")


def _schema_problems(bundle: Bundle) -> Iterator[Problem]:
    campaign = bundle.campaign
    for name, cell in campaign.cells.items():
        if name != cell.name or campaign.cell_hashes.get(name) != cell.hash:
            yield Problem(CAMPAIGN, f"the hash of cell {name!r} does not follow from it")
    places = {
        folder.relative_to(bundle.path / RECORDS).as_posix()
        for folder in (bundle.path / RECORDS).glob("*/*")
        if folder.name.isdigit()
    }
    for record in bundle.records:
        where = f"{RECORDS}/{record.id}/{RECORD}"
        if record.id not in places:
            yield Problem(where, "does not lie in the folder of its cell and repeat")
        elif record.cell_hash != campaign.cell_hashes.get(record.cell):
            yield Problem(where, "belongs to another cell hash than the campaign's")
    for name, cell in campaign.cells.items():
        for repeat in range(_trials(cell, places)):
            if f"{name}/{repeat}" not in places:
                yield Problem(f"{RECORDS}/{name}/{repeat}", "a trial of the campaign is missing")


def _trials(cell: Cell, places: Collection[str]) -> int:
    """How many trials a cell must have at least; a search has as many as it took, without a gap."""
    if not isinstance(cell.scenario, Sustainable):
        return cell.rules.trials
    found = (place.rpartition("/") for place in places)
    return 1 + max((int(repeat) for name, _, repeat in found if name == cell.name), default=0)


class _Recomputed:
    """Every record held against what its trace says."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._unknown: list[str] = []

    def problems(self) -> Iterator[Problem]:
        """What the traces contradict."""
        for record in self._bundle.records:
            folder = record_folder(self._bundle.path, record.cell, record.repeat)
            for part, stored in (
                (TRACE, record.trace_sha256),
                (ARTIFACTS, record.artifacts_sha256),
            ):
                yield from _digest_problems(self._bundle.path, folder / part, stored)
            if record.status != "failed":
                yield from self._record(record, folder)

    def not_recomputed(self) -> Iterator[Check]:
        """Metrics whose stored version this program does not know."""
        for name in sorted(set(self._unknown)):
            yield Check(name, "not_recomputed", "this program knows another version of the metric")

    def _record(self, record: Record, folder: Path) -> Iterator[Problem]:
        where = f"{RECORDS}/{record.id}/{RECORD}"
        cell = self._bundle.campaign.cells[record.cell]
        try:
            with foreign("recomputing"):
                assessed = assess(read_trace(folder / TRACE), cell)
        except AccelbenchError as error:
            yield Problem(where, str(error))
            return
        for name in sorted(assessed.measurements.keys() | record.measurements.keys()):
            stored, found = record.measurements.get(name), assessed.measurements.get(name)
            if stored and found and stored.version != found.version:
                self._unknown.append(f"{name} of {record.id}")
            elif stored != found:
                yield Problem(where, f"{name} is {_told(stored)}; the trace gives {_told(found)}")
        if (record.status, record.reasons) != (assessed.status, assessed.reasons):
            yield Problem(where, f"is called {record.status}; the trace makes it {assessed.status}")
        if record.steady_state not in (None, assessed.steady_state):
            told = f"is called {record.steady_state}; the trace makes it {assessed.steady_state}"
            yield Problem(where, told)


def _digest_problems(bundle: Path, folder: Path, stored: Mapping[str, str]) -> Iterator[Problem]:
    there = {path.name for path in folder.glob("*")}
    for name in sorted(there ^ stored.keys()):
        yield Problem((folder / name).relative_to(bundle).as_posix(), "not what the record lists")
    for name in sorted(there & stored.keys()):
        if entry(folder, name).sha256 != stored[name]:
            relative = (folder / name).relative_to(bundle).as_posix()
            yield Problem(relative, "its bytes are not those that the record names")


def _derived_problems(bundle: Bundle) -> Iterator[Problem]:
    for name, document in derived_documents(bundle).items():
        path = bundle.path / name
        if not path.is_file():
            yield Problem(name, "missing")
        elif path.read_bytes() != pretty(document):
            yield Problem(name, "does not follow from the records")


def _told(measurement: Measurement | None) -> str:
    return "not there" if measurement is None else json.dumps(encode(measurement), sort_keys=True)
