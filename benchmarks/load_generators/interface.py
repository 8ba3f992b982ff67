"""What a load generator is asked, and what it tells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

Quantiles = tuple[float, float]
"""p50 and p99."""


@dataclass(frozen=True)
class Load:
    """A load: a closed loop of users, or an open loop of even gaps.

    Attributes:
        requests: How many.
        tokens: Of each answer.
        users: Of a closed loop; None for an open one.
        rate_per_s: Of an open loop; None for a closed one.
        cap: Most requests of an open loop that the client has on their way; None for no limit.
    """

    requests: int
    tokens: int
    users: int | None = None
    rate_per_s: float | None = None
    cap: int | None = None


@dataclass(frozen=True)
class Job:
    """What a peer needs to know to be started.

    Attributes:
        url: Base address of the server.
        load: The load.
        tokenizer: Folder of the tokenizer.
        folder: An empty folder for what it writes, also its working directory.
    """

    url: str
    load: Load
    tokenizer: Path
    folder: Path


@dataclass(frozen=True)
class Request:
    """What a tool tells of one request, seconds.

    Attributes:
        start_s: When it began, on the tool's clock.
        ttft_s: To the first token, from the send; None where not told.
        gaps_s: Between tokens, or their mean alone.
        e2e_s: To the end, from the send.
        due_e2e_s: To the end, from the instant at which it was due; None where not told.
    """

    start_s: float
    ttft_s: float | None
    gaps_s: Sequence[float]
    e2e_s: float
    due_e2e_s: float | None = None


@dataclass(frozen=True)
class Told:
    """What a tool tells of a load.

    Attributes:
        quantiles: Its own p50 and p99 in seconds, by "ttft", "itl", "e2e" (from the send), and
            "due_ttft", "due_e2e" (from the due instant) where it has them.
        requests: Those that ended well.
        due_name: What it calls the end-to-end time from the due instant.
        schedule_delay_s: Its own p50 and p99 of sent less due.
        verdict: What it says of the run's validity.
    """

    quantiles: Mapping[str, Quantiles]
    requests: Sequence[Request]
    due_name: str = ""
    schedule_delay_s: Quantiles | None = None
    verdict: str = ""


class Peer(Protocol):
    """A load generator.

    Attributes:
        name: Of the tool.
        even: Whether its open loop of a constant rate has even gaps.
        environment: Variables that it needs.
    """

    name: ClassVar[str]
    even: ClassVar[bool]
    environment: ClassVar[Mapping[str, str]]

    def command(self, job: Job) -> list[str]:
        """The command; files that it needs are written to the job's folder."""

    def read(self, job: Job, output: str) -> Told:
        """Reads the files in the job's folder, and what the command printed."""
