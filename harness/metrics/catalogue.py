"""All metrics there are, and all that apply to one trial."""

from collections.abc import Mapping
from types import ModuleType

from accelbench.harness.metrics import (
    compute,
    derived,
    energy,
    latency,
    memory,
    quality,
    throughput,
    training,
)
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import DEFINITIONS, METRICS, Definition, measurement
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import Trace

FAMILIES: tuple[ModuleType, ...] = (
    latency,
    throughput,
    energy,
    compute,
    memory,
    training,
    quality,
    derived,
)
"""The modules whose import fills the registry."""


def catalogue() -> tuple[Definition, ...]:
    """Every metric with its unit, formula, source, direction and version, by name."""
    return tuple(DEFINITIONS[name] for name in sorted(DEFINITIONS))


def measure(trace: Trace, platform: Platform | None) -> Mapping[str, Measurement]:
    """Every metric that applies to a trace (see `registry`), by name.

    Args:
        trace: One trial.
        platform: The sheet of the machine, or None where it is not known.
    """
    seen = Observation(trace, platform)
    found = {
        name: measurement(metric.definition, outcome)
        for metric in METRICS.values()
        if metric.applies(seen)
        for name, outcome in metric.compute(seen).items()
    }
    return dict(sorted(found.items()))
