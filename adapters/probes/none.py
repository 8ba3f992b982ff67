"""The probe that watches nothing."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from accelbench.harness.schema.protocols import Readiness, Reading, Watch
from accelbench.harness.schema.trace import Meter


@dataclass(frozen=True)
class NoProbe:
    """Watches nothing; energy is then absent, unless the machine is simulated."""

    def readiness(self) -> Readiness:
        """Always ready."""
        return Readiness("ready", "watches nothing")

    def watch(self, pid: int) -> AbstractContextManager[Watch]:  # noqa: ARG002  (watches nothing)
        """A watch without readings."""
        return nullcontext(NoWatch())


class NoWatch:
    """A watch without a meter and without readings."""

    def meter(self) -> Meter | None:
        """None."""
        return None

    def readings(self) -> tuple[Reading, ...]:
        """None at all."""
        return ()
