"""One trial, immutable: what was done, what it showed, and whether it counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import Plain

RECORD_SCHEMA = "accelbench.record/1"

Evidence: TypeAlias = Literal["measured", "emulated", "simulated", "datasheet"]
ClockName: TypeAlias = Literal["wall", "simulated"]
Status: TypeAlias = Literal["valid", "invalid", "failed"]


@dataclass(frozen=True)
class Reason:
    """Why a record is invalid or failed, or what it warns of.

    Attributes:
        code: A validity code, or "failed", "crashed", "timeout", "neighbour", "failed_attempt".
        detail: The figure seen, the limit, and what to do.
        level: Whether it fails or invalidates the record, or only warns.
    """

    code: str
    detail: str
    level: Literal["failed", "invalid", "warning"]


@dataclass(frozen=True)
class WeightsSource:
    """The trained weights a trial used.

    Attributes:
        cell: The cell that trained them.
        record: Id of that cell's record.
        sha256: Digest of the weights file.
    """

    cell: str
    record: str
    sha256: str


@dataclass(frozen=True)
class Record:
    """One trial.

    Attributes:
        schema: `RECORD_SCHEMA`.
        cell: Name of the cell.
        cell_hash: Hash of the cell's identity.
        repeat: Number of the trial in its cell, from 0.
        round: Round of the campaign it ran in.
        session: Id of the session (the process) it ran in.
        workload: Name of the workload.
        scenario: Kind of the scenario.
        adapter: Name of the adapter.
        platform: Name of the platform sheet.
        evidence: How the numbers were obtained.
        clock: The clock the trace is on.
        status: Valid, invalid or failed.
        reasons: Why it is not valid, and what it warns of.
        measurements: By name.
        engine: Facts the session reported: device, threads, weights, coverage, assumptions.
        started_utc: ISO 8601.
        finished_utc: ISO 8601.
        trace_sha256: Digest of each file of the trace, by file name.
        artifacts_sha256: Digest of each artifact, by file name.
        weights: Where its weights came from, if from another cell.
        log_tail: Last lines of the session's log, for a failed trial.
        steady_state: The class of its service times: flat, warm-up, slow-down, no steady state,
            or too short to tell; None where it has none.
        conventions: How what the survey leaves open was counted, by gap of its checklist.
        rate_per_s: The rate of this trial of a search, requests a second; None for other cells,
            whose trials are alike.
    """

    schema: Literal["accelbench.record/1"]
    cell: str
    cell_hash: str
    repeat: int
    round: int
    session: str
    workload: str
    scenario: str
    adapter: str
    platform: str
    evidence: Evidence
    clock: ClockName
    status: Status
    reasons: tuple[Reason, ...]
    measurements: Mapping[str, Measurement]
    engine: Mapping[str, Plain]
    started_utc: str
    finished_utc: str
    trace_sha256: Mapping[str, str] = field(default_factory=dict)
    artifacts_sha256: Mapping[str, str] = field(default_factory=dict)
    weights: WeightsSource | None = None
    log_tail: tuple[str, ...] = ()
    steady_state: str | None = None
    conventions: Mapping[str, str] = field(default_factory=dict)
    rate_per_s: float | None = None

    @property
    def id(self) -> str:
        """`<cell>/<repeat>`, unique in its bundle."""
        return f"{self.cell}/{self.repeat}"
