"""What a validity check may look at."""

from collections.abc import Mapping
from dataclasses import dataclass

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.rules import Limits, Rules


@dataclass(frozen=True)
class Case:
    """A finished trial and what it is held against.

    Attributes:
        seen: The trial.
        measurements: Its metrics by name.
        rules: What it is held against.
        gate: The quality gate of the workload, or None.
    """

    seen: Observation
    measurements: Mapping[str, Measurement]
    rules: Rules
    gate: Gate | None

    @property
    def limits(self) -> Limits:
        """The limits of the rules."""
        return self.rules.limits

    def value(self, name: str) -> float | None:
        """The value of a measurement, or None."""
        found = self.measurements.get(name)
        return found.value if found else None

    def worst(self, counter: str) -> float | None:
        """The largest last reading of a counter over its scopes, or None."""
        return max(self.seen.by_scope(counter).values(), default=None)
