"""A campaign: rounds of sessions until every cell has its trials, then a sealed bundle."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.layout import (
    ARTIFACTS,
    CALIBRATION,
    ENVIRONMENT,
    LOG,
    partial_folder,
    record_folder,
)
from accelbench.harness.bundle.seal import finish_bundle
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.environment.changes import changes
from accelbench.harness.environment.clock import clock_document
from accelbench.harness.environment.facts import snapshot
from accelbench.harness.environment.git import git_document
from accelbench.harness.environment.identity import code_digest, harness_version, machine_id
from accelbench.harness.environment.packages import packages_document
from accelbench.harness.errors import StorageError
from accelbench.harness.load.training import WEIGHTS_FILE
from accelbench.harness.run import registry
from accelbench.harness.run.folder import begin, check_space, claimed, clear, close
from accelbench.harness.run.job import Outcome, Trial
from accelbench.harness.run.mirror import Mirror
from accelbench.harness.run.planner import (
    Slot,
    missing_slots,
    plan_round,
    sources,
    wanted_trials,
)
from accelbench.harness.run.search import next_rate
from accelbench.harness.run.trial import finish
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import Plain, digest, pretty
from accelbench.harness.schema.protocols import SessionEvent
from accelbench.harness.schema.record import Record, WeightsSource
from accelbench.harness.schema.scenario import Sustainable

Tell = Callable[[Mapping[str, Any]], None]

_FREE_BYTES = 50_000_000


@dataclass
class _Running:
    """What a running campaign knows; it changes as trials end."""

    folder: Path
    campaign: Campaign
    tell: Tell
    mirror: Mirror
    refuse: Callable[[], str]
    records: dict[Slot, Record] = field(default_factory=dict)

    @property
    def cells(self) -> Mapping[str, Cell]:
        """All cells."""
        return self.campaign.cells


def ask(
    suite: str, cells: Mapping[str, Cell], overrides: Sequence[str], argv: Sequence[str]
) -> Campaign:
    """The campaign that a request asks for, on this machine, with this code.

    Args:
        suite: Name of the suite.
        cells: The resolved cells.
        overrides: The user's overrides.
        argv: The command line.
    """
    started = _now()
    hashes = {name: cell.hash for name, cell in cells.items()}
    return Campaign(
        schema="accelbench.campaign/1",
        id=digest([suite, hashes, started, os.getpid()])[:12],
        suite=suite,
        overrides=tuple(overrides),
        argv=tuple(argv),
        cells=cells,
        cell_names=tuple(cells),
        cell_hashes=hashes,
        harness_version=harness_version(),
        code_sha256=code_digest(),
        git=git_document(Path.cwd()),
        machine=machine_id(),
        started_utc=started,
    )


def run(
    asked: Campaign, folder: Path, tell: Tell, refuse: Callable[[], str] = lambda: ""
) -> str | None:
    """Runs a campaign, or goes on with it, to a sealed bundle.

    Args:
        asked: The campaign.
        folder: Its folder: new, empty, or holding the same campaign unfinished.
        tell: Takes events for people: "begun", "trial_started", "load", "trial_finished",
            "more", "searching", "warning".
        refuse: Asked before each session: why its trials are not to begin any more, as after a
            deadline, so that they are recorded as failed for that reason; empty to begin them.

    Returns:
        Where a tracker holds the records, or None.

    Raises:
        OutputRefused: The folder is not ours to write.
        StorageError: The disk refused; what was finished is kept.
        KeyboardInterrupt: The user stopped it; what was finished is kept.
    """
    with claimed(folder):
        check_space(folder, _FREE_BYTES)
        campaign = begin(folder, asked)
        kept = clear(folder)
        records = {(record.cell, record.repeat): record for record in kept}
        running = _Running(folder, campaign, tell, Mirror(folder, campaign), refuse, records)
        _environment(folder, "before")
        tell({"event": "begun", "trials": len(_missing(running)), "kept": len(kept)})
        running.mirror.add(kept)
        _rounds(running)
        running.mirror.send(tell)
        _environment(folder, "after")
        close(folder, campaign, _now())
        finish_bundle(folder)
        return running.mirror.place


def _rounds(running: _Running) -> None:
    """All rounds: cells that train for others first, then those that use their weights.

    One that uses weights may train for others again. What a cell's pilot asks for joins the rounds
    that follow.
    """
    number = 0
    while number <= max((repeat for _, repeat in _missing(running)), default=-1):
        while ready := _ready(running, number):
            _sessions(running, ready, number)
            if set(ready) <= set(_missing(running)):  # no session told of an end
                break
        number += 1
    for slot in sorted(_missing(running)):
        lacking = [source for source in _sources(running, slot) if source not in _weights(running)]
        _never_begun(running, slot, f"cell {lacking[0]!r} has no valid trial to take weights from")


def _ready(running: _Running, number: int) -> list[Slot]:
    """What can be done now of the rounds so far; that which needs no weights first."""
    found = [
        slot
        for slot in _missing(running)
        if slot[1] <= number and _weights_are_there(running, slot)
    ]
    return [slot for slot in found if not _uses_weights(running, slot)] or found


def _missing(running: _Running) -> list[Slot]:
    return missing_slots(running.cells, running.records)


def _uses_weights(running: _Running, slot: Slot) -> bool:
    return bool(_sources(running, slot))


def _weights_are_there(running: _Running, slot: Slot) -> bool:
    return {*_sources(running, slot)} <= _weights(running).keys()


def _sources(running: _Running, slot: Slot) -> list[str]:
    return sources(running.cells[slot[0]], running.cells)


def _weights(running: _Running) -> dict[str, tuple[Path, WeightsSource]]:
    """The weights of the first valid trial of each cell that trained some."""
    found: dict[str, tuple[Path, WeightsSource]] = {}
    for (cell, repeat), record in sorted(running.records.items()):
        sha256 = record.artifacts_sha256.get(WEIGHTS_FILE)
        if cell not in found and sha256 is not None and record.status == "valid":
            path = record_folder(running.folder, cell, repeat) / ARTIFACTS / WEIGHTS_FILE
            found[cell] = path, WeightsSource(cell, record.id, sha256)
    return found


def _sessions(running: _Running, slots: Sequence[Slot], number: int) -> None:
    weights = _weights(running)
    for job in plan_round(running.cells, running.records, slots, number, weights, running.folder):
        why = running.refuse()
        if why:
            for trial in job.trials:
                _never_begun(running, (trial.cell, trial.repeat), why)
            continue
        executor = registry.executor(job.first.executor)
        plain = cast("Mapping[str, Plain]", encode(job))
        executor.run(plain, lambda event: _heard(running, event))
        running.mirror.send(running.tell)


def _heard(running: _Running, event: SessionEvent) -> None:
    if event["event"] != "trial_finished":
        running.tell(event)
        return
    outcome = decode(Outcome, event["outcome"])
    if outcome.code == "storage":
        raise StorageError(outcome.detail)
    _finished(running, outcome)


def _finished(running: _Running, outcome: Outcome) -> None:
    record = finish(running.folder, running.cells[outcome.trial.cell], outcome)
    running.records[record.cell, record.repeat] = record
    running.mirror.add([record])
    running.tell({"event": "trial_finished", "record": record})
    _tell_of_more(running, running.cells[record.cell])


def _tell_of_more(running: _Running, cell: Cell) -> None:
    """Tells how many trials a precision takes once its pilot is done, or how a search goes on."""
    if isinstance(cell.scenario, Sustainable):
        _tell_of_search(running, cell, cell.scenario)
        return
    precision = cell.rules.precision
    done = sum(name == cell.name for name, _ in running.records)
    wanted = wanted_trials(cell, running.records)
    if precision is not None and done == cell.rules.trials and wanted > done:
        running.tell({"event": "more", "cell": cell.name, "trials": wanted, "added": wanted - done})


def _tell_of_search(running: _Running, cell: Cell, search: Sustainable) -> None:
    done = [running.records[slot] for slot in sorted(running.records) if slot[0] == cell.name]
    rate = next_rate(search, done)
    if rate is not None:
        running.tell({"event": "searching", "cell": cell.name, "rate_per_s": rate})


def _never_begun(running: _Running, slot: Slot, why: str) -> None:
    """A failed record for a trial that no session could be opened for."""
    cell, repeat = slot
    folder = partial_folder(running.folder, cell, repeat)
    write_file(folder / LOG, b"")
    now = _now()
    outcome = Outcome(
        session="none",
        round=repeat,
        trial=Trial(cell, repeat, running.cells[cell].rules.seed + repeat, str(folder)),
        done=False,
        code="failed",
        detail=why,
        facts={},
        started_utc=now,
        finished_utc=now,
    )
    _finished(running, outcome)


def _environment(folder: Path, moment: str) -> None:
    """Keeps the machine's facts; a resumed campaign keeps those of its first begin."""
    place = folder / ENVIRONMENT
    facts = snapshot()
    before = place / "before.json"
    if moment == "before" and before.exists():
        number = len(list(place.glob("resumed-*.json"))) + 1
        write_file(place / f"resumed-{number}.json", pretty(facts))
        return
    write_file(place / f"{moment}.json", pretty(facts))
    if moment == "before":
        write_file(place / "packages.json", pretty(packages_document()))
        write_file(folder / CALIBRATION / "clock.json", pretty(clock_document()))
        return
    first = json.loads(before.read_bytes())["facts"]
    moved = changes(first, cast("Mapping[str, Plain]", facts["facts"]))
    document = {"schema": "accelbench.changes/1", "changes": moved}
    write_file(place / "changes.json", pretty(document))


def _now() -> str:
    return datetime.now(UTC).isoformat()
