"""What a session is told to do, as plain data that can travel to another machine."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.record import WeightsSource


@dataclass(frozen=True)
class Trial:
    """One trial to be done.

    Attributes:
        cell: Name of its cell.
        repeat: Its number in the cell, from 0.
        seed: Seed of whatever it draws.
        folder: Folder that takes its trace, artifacts and log.
        rate_per_s: The rate at which a search wants it; None for other cells.
    """

    cell: str
    repeat: int
    seed: int
    folder: str
    rate_per_s: float | None = None


@dataclass(frozen=True)
class Beside:
    """A cell that works beside trials.

    Attributes:
        cell: The cell.
        weights: Weights file of an earlier cell, or None.
    """

    cell: Cell
    weights: str | None = None


@dataclass(frozen=True)
class SessionJob:
    """The trials of one process with one loaded engine.

    Attributes:
        id: Unique in the campaign.
        round: The round of the campaign.
        trials: In the order they are done.
        cells: The cells of the trials, by name; they share workload, adapter and platform.
        weights: Weights file of an earlier cell, or None.
        weights_source: Where those weights came from.
        folder: Folder for the session's own files.
        neighbours: The cells that work beside these, by name.
    """

    id: str
    round: int
    trials: tuple[Trial, ...]
    cells: Mapping[str, Cell]
    weights: str | None
    weights_source: WeightsSource | None
    folder: str
    neighbours: Mapping[str, Beside] = field(default_factory=dict)

    @property
    def first(self) -> Cell:
        """The cell of the first trial; it stands for what all of them share."""
        return self.cells[self.trials[0].cell]


@dataclass(frozen=True)
class Outcome:
    """What became of one trial.

    Attributes:
        session: Id of its session.
        round: The round of the campaign.
        trial: The trial.
        done: Whether its trace is complete.
        code: "done", "failed", "crashed", "timeout", "neighbour" or "storage".
        detail: What went wrong, one line; empty when done.
        facts: What the session says of itself.
        started_utc: ISO 8601.
        finished_utc: ISO 8601.
        weights: Where its weights came from.
    """

    session: str
    round: int
    trial: Trial
    done: bool
    code: str
    detail: str
    facts: Mapping[str, object]
    started_utc: str
    finished_utc: str
    weights: WeightsSource | None = None
