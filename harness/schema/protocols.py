"""What adapters, probes, trackers and executors promise the harness.

Every implementation is a frozen dataclass found by entry point; its fields are its options.
Importing its module must not import the engine behind it: that waits until `open`, `model`
or `start` is called, so that a plan can be checked on a machine that has no engine.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, TypeAlias

from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import ClockName, Evidence, Record
from accelbench.harness.schema.recorder import Clock, Recorder
from accelbench.harness.schema.rules import Rules
from accelbench.harness.schema.scenario import Scenario
from accelbench.harness.schema.trace import Meter


@dataclass(frozen=True)
class Readiness:
    """Whether a part can be used on this machine.

    Attributes:
        status: Ready, not installed, no permission, or not on this machine.
        detail: What was found.
        remedy: What brings it; empty only when ready.
    """

    status: Literal["ready", "missing", "denied", "absent"]
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Task:
    """What a session is opened for.

    Attributes:
        builder: The workload.
        platform: The sheet of the machine.
        weights: A weights file of an earlier cell, or None.
        seed: Seed of whatever the session initialises.
    """

    builder: WorkloadBuilder
    platform: Platform
    weights: Path | None
    seed: int


@dataclass(frozen=True)
class Work:
    """One trial as the session sees it.

    Attributes:
        scenario: How work arrives.
        rules: Warm-up and the like.
        seed: Seed of whatever the trial draws.
        artifacts: Folder for files worth keeping, such as trained weights.
        tell: Takes news of the trial while it runs, plain data for people.
    """

    scenario: Scenario
    rules: Rules
    seed: int
    artifacts: Path
    tell: Callable[[Mapping[str, Plain]], None] = lambda _: None


class Session(Protocol):
    """A loaded engine."""

    clock: Clock
    precision: str

    def facts(self) -> Mapping[str, Plain]:
        """Device, threads, weights, coverage, fallback, assumptions."""

    def execute(self, work: Work, recorder: Recorder) -> None:
        """Does the work and reports its events; opens and closes the recorder's window."""


class Adapter(Protocol):
    """An engine or simulator. Reports events, never metrics."""

    evidence: ClassVar[Evidence]
    clock: ClassVar[ClockName]

    def readiness(self) -> Readiness:
        """Whether it can be used here; must be quick and import no engine."""

    def supports(self, builder: WorkloadBuilder, scenario: Scenario) -> str | None:
        """None if it can do this; otherwise what it lacks, in words."""

    def open(self, task: Task) -> AbstractContextManager[Session]:
        """A session; leaving it frees everything."""


@dataclass(frozen=True)
class Reading:
    """One reading of a probe.

    Attributes:
        channel: E.g. "package-0".
        kind: What it is.
        at_ns: When, on the wall clock.
        value: In `unit`.
        unit: E.g. "W".
        scope: The boundary.
    """

    channel: str
    kind: Literal["power", "energy_counter", "temperature", "clock", "load"]
    at_ns: int
    value: float
    unit: str
    scope: str


class Probe(Protocol):
    """Watches a quantity from outside the workload's process."""

    def readiness(self) -> Readiness:
        """Whether it can be used here."""

    def watch(self, pid: int) -> "AbstractContextManager[Watch]":
        """Begins to watch; `pid` is the session's process. Leaving ends the watch."""


class Watch(Protocol):
    """A running probe."""

    def meter(self) -> Meter | None:
        """What the figures are; None for a probe that watches nothing."""

    def readings(self) -> Sequence[Reading]:
        """All readings so far, in time order."""


@dataclass(frozen=True)
class MirrorItem:
    """A finished record on its way to a tracker.

    Attributes:
        record: The record.
        folder: Its folder in the bundle.
        digest: Sha256 of record.json; the tag it is found again by.
    """

    record: Record
    folder: Path
    digest: str


@dataclass(frozen=True)
class CampaignFacts:
    """What a tracker tells about the campaign.

    Attributes:
        id: Unique id of the campaign.
        suite: Name of the suite.
        argv: The command line.
        cells: The resolved cells by name.
        git: Commit, branch and dirty state of the harness and of the working directory.
    """

    id: str
    suite: str
    argv: tuple[str, ...]
    cells: Mapping[str, Cell]
    git: Mapping[str, Plain]


class Tracker(Protocol):
    """Mirrors finished records; the bundle stays the truth."""

    def mirror(self, campaign: CampaignFacts, items: Sequence[MirrorItem]) -> str | None:
        """Sends records, each once however often it is called; returns where they are now.

        Raises:
            ForeignError: The server could not be reached in time.
        """


SessionEvent: TypeAlias = Mapping[str, Plain]


class Executor(Protocol):
    """Runs the sessions of a campaign somewhere."""

    def run(self, job: Mapping[str, Plain], listen: Callable[[SessionEvent], None]) -> None:
        """Runs one session job to its end, by `accelbench.harness.run.session.supervise`.

        Args:
            job: A plain `SessionJob`.
            listen: Called with each event of the session, in order.
        """
