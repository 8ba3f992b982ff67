"""What a load costs a request: latencies under it, over those of a single stream.

`load.slowdown.e2e.response.p99.users` is `e2e.response.p99` in the cell `users` over the same of
one request at a time; `unloaded.e2e.response.p99` is the latter alone.
"""

from collections.abc import Mapping, Sequence

from accelbench.harness.metrics.derived import Derived, over_trials, trial_ratio
from accelbench.harness.metrics.registry import Absent, Definition, define, measurement
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Record

_SOURCE = "sections 3.2 and 3.2.3"

COMPARED = (
    *(f"{name}.{p}" for name in ("e2e.response", "ttft.response", "tpot") for p in ("p50", "p99")),
    "itl.gap.p99",
)
"""Latencies that are set in ratio."""

UNLOADED: Mapping[str, Definition] = {
    name: define(
        Definition(
            f"unloaded.{name}",
            "s",
            f"Metric {name} of one request at a time, told for the loads of the same work.",
            f"{name}, mean over the valid trials of the single stream that differs from each load"
            " in nothing but name and scenario",
            _SOURCE,
            "lower",
        )
    )
    for name in ("e2e.service.mean", *COMPARED)
}

SLOWDOWN: Mapping[str, Definition] = {
    name: define(
        Definition(
            f"load.slowdown.{name}.<cell>",
            "1",
            f"Metric {name} under the load of a cell, over the same of one request at a time.",
            f"{name} under load / {name} of the single stream, means over the valid trials of each;"
            " the cells differ in nothing but name and scenario",
            _SOURCE,
            "lower",
        )
    )
    for name in COMPARED
}


def slowdown(
    single: tuple[str, Sequence[Record]],
    loads: Mapping[str, Sequence[Record]],
    others: Sequence[Record],
) -> Derived:
    """The latency of a single stream, and how much longer it is under each load.

    Args:
        single: Name of the single stream, and its valid trials.
        loads: By the name of a load's cell, its valid trials.
        others: Valid trials of the same work whose latencies are not those of a load, for which
            the single stream is told as well.
    """
    name, unloaded = single
    alone = over_trials([record.measurements for record in unloaded])
    found: dict[str, Measurement] = {
        definition.name: _told(definition, alone[metric])
        for metric, definition in UNLOADED.items()
        if metric in alone
    }
    for cell, records in loads.items():
        there = {metric for record in records for metric in record.measurements}
        for metric, definition in SLOWDOWN.items():
            if metric in there and metric in alone:
                ratio = trial_ratio(
                    (metric, records, f"cell {cell}"), (metric, unloaded, f"cell {name}")
                )
                found[f"load.slowdown.{metric}.{cell}"] = measurement(definition, ratio)
    under = [record for records in loads.values() for record in records]
    inputs = tuple(record.id for record in (*unloaded, *under, *others))
    return Derived(f"slowdown.over_{name}", inputs, found)


def _told(definition: Definition, of: Measurement) -> Measurement:
    """The same figure under its name here."""
    if of.value is None:
        return measurement(definition, Absent(of.reason or "it was not measured", of.n))
    version = definition.version
    return Measurement(of.value, definition.unit, of.n, of.interval, of.reason, version=version)
