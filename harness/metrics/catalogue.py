"""All metrics there are, and all that apply to one trial."""

from collections.abc import Mapping
from types import ModuleType

from accelbench.harness.metrics import (
    arrays,
    class_switch,
    classes,
    cold_start,
    compute,
    content,
    cost,
    coverage,
    curve,
    decoding,
    derived,
    drift,
    early_stop,
    energy,
    energy_delay,
    energy_phases,
    energy_spread,
    exits,
    experts,
    first_token,
    footprint,
    fronts,
    gaps,
    goodput,
    hardware,
    interference,
    kv,
    latency,
    launches,
    memory,
    memory_growth,
    neighbours,
    offered,
    overhead,
    parallel,
    phase_utilization,
    quality,
    query,
    scaling,
    serving_engine,
    sheet,
    slowdown,
    spiking,
    steadiness,
    throughput,
    training,
)
from accelbench.harness.metrics.distribution import QUANTITIES, Quantity
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import (
    DEFINITIONS,
    METRICS,
    ON_REQUEST,
    Definition,
    definition_of,
    measurement,
)
from accelbench.harness.metrics.watched import under_profiler
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import Trace

FAMILIES: tuple[ModuleType, ...] = (
    latency,
    content,
    first_token,
    gaps,
    query,
    early_stop,
    throughput,
    goodput,
    classes,
    class_switch,
    offered,
    overhead,
    launches,
    cold_start,
    coverage,
    drift,
    energy,
    energy_delay,
    energy_phases,
    energy_spread,
    compute,
    hardware,
    phase_utilization,
    memory,
    memory_growth,
    footprint,
    kv,
    decoding,
    serving_engine,
    neighbours,
    training,
    parallel,
    experts,
    exits,
    arrays,
    spiking,
    steadiness,
    quality,
    derived,
    scaling,
    fronts,
    curve,
    interference,
    slowdown,
    cost,
    sheet,
)
"""The modules whose import fills the registry."""


def catalogue() -> tuple[Definition, ...]:
    """Every metric with its unit, formula, source, direction and version, by name."""
    return tuple(DEFINITIONS[name] for name in sorted(DEFINITIONS))


def definition(name: str) -> Definition:
    """The definition of a measurement (see `registry.definition_of`).

    Raises:
        KeyError: No metric has this name.
    """
    return definition_of(name)


def quantity(name: str) -> Quantity | None:
    """The function behind a quantity that requests have, e.g. "e2e.service"; None if none has it."""
    return QUANTITIES.get(name)


def measure(
    trace: Trace, platform: Platform | None, *, on_request: bool = False
) -> Mapping[str, Measurement]:
    """Every metric that applies to a trace (see `registry`), by name.

    Args:
        trace: One trial.
        platform: The sheet of the machine, or None where it is not known.
        on_request: Whether to give MLPerf's order statistics too.

    Raises:
        BundleError: A table that is read in parts cannot be read.
    """
    return measured(Observation(trace, platform), on_request=on_request)


def measured(seen: Observation, *, on_request: bool = False) -> Mapping[str, Measurement]:
    """As `measure`, of a trial that is already looked at."""
    metrics = [*METRICS.values(), *(ON_REQUEST.values() if on_request else ())]
    profiled = seen.trace.head.profiled
    found = {
        name: measurement(
            definition_of(name), under_profiler(name, outcome) if profiled else outcome
        )
        for metric in metrics
        if metric.applies(seen)
        for name, outcome in metric.compute(seen).items()
    }
    return dict(sorted(found.items()))
