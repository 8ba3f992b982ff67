"""What adapters, workload builders, probes, trackers and executors promise the harness.

Every implementation is a frozen dataclass found by entry point; its fields are its options.
Importing its module must not import the engine behind it: that waits until `open`, `model`
or `start` is called, so that a plan can be checked on a machine that has no engine.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.record import ClockName, Evidence, Record
from accelbench.harness.schema.recorder import Clock, Recorder
from accelbench.harness.schema.rules import Rules
from accelbench.harness.schema.scenario import Scenario
from accelbench.harness.schema.trace import KvLayout, Meter


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
class Quality:
    """A quality figure.

    Attributes:
        metric: E.g. "accuracy".
        split: The split of the data, e.g. "test".
        value: The figure; higher is better.
        n: Samples it rests on.
    """

    metric: str
    split: str
    value: float
    n: int


class Samples(Protocol):
    """The inputs of a one-shot model, in memory; the engine's own type stays opaque."""

    @property
    def count(self) -> int:
        """How many distinct samples there are."""

    def batch(self, indices: Sequence[int]) -> Any:
        """The inputs of these samples, stacked along the first axis."""

    def score(self, answered: Sequence[tuple[Sequence[int], Any]]) -> Quality | None:
        """Quality of the first answer to each sample, or None where there is no truth.

        Args:
            answered: Pairs of the indices of a batch and what the engine returned for it.
        """


class Training(Protocol):
    """One training run: its model, data, loss and steps."""

    def batches(self, epoch: int) -> Sequence[Any]:
        """The batches of one epoch, in the order drawn for it."""

    def step(self, batch: Any) -> int:
        """One optimiser step; returns the number of samples in it."""

    def evaluate(self) -> Sequence[Quality]:
        """Quality on each held-out split."""

    def save(self, path: Path) -> None:
        """Writes the weights as safetensors."""


class WorkloadBuilder(Protocol):
    """Knows one family of models: how to build, feed, train, score and lower it.

    Methods that make tensors import their library when called.
    """

    @property
    def task(self) -> Literal["classify", "generate"]:
        """Whether it answers samples or generates tokens."""

    def model(self, weights: Path | None, seed: int) -> Any:
        """The model, from a weights file of ours or initialised from the seed."""

    def facts(self) -> Mapping[str, Plain]:
        """Facts a reader needs: weights "random" or "real" with digest, data, tokenizer."""

    def geometry(self) -> Mapping[str, Plain]:
        """Shapes of the model and its inputs, and padding; reads neither data nor weights."""

    def kv(self, element_bytes: float) -> KvLayout | None:
        """How the model keeps keys and values; None for one that keeps none.

        Args:
            element_bytes: Size of an element, bytes.
        """

    def count(self, text: str) -> int | None:
        """Tokens of an answer by the model's own tokenizer; None where none is known."""

    def export(self, folder: Path) -> Path:
        """Where the model lies as a Hugging Face folder, tokenizer and all (task "generate").

        Args:
            folder: Takes the files unless the model lies in such a folder already.
        """

    def samples(self) -> Samples:
        """The test inputs (task "classify")."""

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """`count` requests (task "generate")."""

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A request for each of a recorded trace, with its lengths and its shared beginnings.

        What the model cannot take is cut; the caller tells by comparing.
        """

    def training(self, model: Any, batch_size: int, seed: int) -> Training:
        """A training run of this model (trainable families only)."""

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of one phase; needs no weights."""


@runtime_checkable
class KnowsAnswers(Protocol):
    """A builder that generates and whose model runs here: it knows what an engine should say."""

    def reference(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The text of the model's own answers, greedily and in float32."""

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:
        """The text that these token ids are as an answer to a prompt."""


@runtime_checkable
class NamesFiles(Protocol):
    """A builder some of whose options are files on this machine."""

    def with_digests(self) -> WorkloadBuilder:
        """The same, each file named by its digest, so that its cell is known by what it holds."""


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
