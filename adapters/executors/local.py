"""Sessions on this machine, one after another."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accelbench.harness.run.job import SessionJob
from accelbench.harness.run.session import supervise
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.protocols import Readiness, SessionEvent


@dataclass(frozen=True)
class LocalExecutor:
    """Runs each session as a process of this machine."""

    def readiness(self) -> Readiness:
        """Always ready."""
        return Readiness("ready", "runs sessions on this machine, one after another")

    def run(self, job: Mapping[str, Plain], listen: Callable[[SessionEvent], None]) -> None:
        """Runs one session to its end; raises as `supervise`."""
        supervise(decode(SessionJob, job), listen)
