"""From an outcome to a record: measure, judge, write, rename."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from accelbench.harness.bundle.layout import ARTIFACTS, LOG, TRACE, record_folder
from accelbench.harness.bundle.record_file import write_record
from accelbench.harness.bundle.storage import settle, storing
from accelbench.harness.bundle.trace_files import read_trace
from accelbench.harness.judge.assess import Assessment, assess
from accelbench.harness.metrics.conventions import CONVENTIONS
from accelbench.harness.run import registry
from accelbench.harness.run.job import Outcome
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.harness.schema.record import Reason, Record

_TAIL_LINES = 40


def finish(bundle: Path, cell: Cell, outcome: Outcome) -> Record:
    """Makes the record of a trial and puts its folder in place; from then on it is done.

    Raises:
        StorageError: The disk refused; the trial counts as not done.
        BundleError: The trace cannot be read back.
    """
    folder = Path(outcome.trial.folder)
    if outcome.done:
        found = assess(read_trace(folder / TRACE), cell)
    else:
        found = Assessment({}, (Reason(outcome.code, outcome.detail, "failed"),), "failed", None)
    adapter = registry.adapter(cell.adapter)
    with storing(folder):
        record = Record(
            schema="accelbench.record/1",
            cell=cell.name,
            cell_hash=cell.hash,
            repeat=outcome.trial.repeat,
            round=outcome.round,
            session=outcome.session,
            workload=cell.workload.name,
            scenario=cell.scenario.kind,
            adapter=cell.adapter.name,
            platform=cell.platform.name,
            evidence=adapter.evidence,
            clock=adapter.clock,
            status=found.status,
            reasons=found.reasons,
            measurements=found.measurements,
            engine=cast("Mapping[str, Plain]", outcome.facts),
            started_utc=outcome.started_utc,
            finished_utc=outcome.finished_utc,
            trace_sha256=_digests(folder / TRACE) if outcome.done else {},
            artifacts_sha256=_digests(folder / ARTIFACTS),
            weights=outcome.weights,
            steady_state=found.steady_state,
            conventions=CONVENTIONS,
            rate_per_s=outcome.trial.rate_per_s,
            log_tail=() if outcome.done else _tail(folder / LOG),
        )
    write_record(folder, record)
    settle(folder, record_folder(bundle, cell.name, outcome.trial.repeat))
    return record


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: file_digest(path) for path in sorted(folder.glob("*"))}


def _tail(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
