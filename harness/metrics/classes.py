"""A mix of requests: what each class of it got, and what a change of class costs.

A metric of a class is the metric of the trial itself, computed on the requests of that class and
their tokens alone, so that it means the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from accelbench.harness.metrics import goodput, latency, throughput
from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import (
    DEFINITIONS,
    METRICS,
    Absent,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
)
from accelbench.harness.schema.trace import Rows, Trace

_GIVEN_BY = (latency, throughput, goodput)
"""The modules that define what is told of each class."""

CLASS_METRICS: Mapping[str, tuple[str, ...]] = {
    "ttft.response": ("ttft.response.p50", "ttft.response.p99"),
    "ttft.service": ("ttft.service.p50", "ttft.service.p99"),
    "e2e.response": ("e2e.response.p50", "e2e.response.p99"),
    "e2e.service": ("e2e.service.p50", "e2e.service.p99"),
    "tpot": ("tpot.mean",),
    "tp.system": ("tp.system",),
    "slo.attainment": ("slo.attainment",),
}
"""What is told of each class, by the metric that gives it."""


def class_names(seen: Observation) -> tuple[str, ...]:
    """The classes of the requests of a trial, by name."""
    found = pc.unique(seen.column("requests", "class")).to_pylist()
    return tuple(sorted(name for name in found if name is not None))


def tells_classes(seen: Observation) -> bool:
    """Some request tells its class."""
    return serves(seen) and seen.tells("requests", "class")


def of_class(seen: Observation, name: str) -> Observation:
    """The trial as if there had been the requests of one class alone."""
    return once(seen, f"class {name}", lambda: _restricted(seen, name))


def by_class(seen: Observation) -> Mapping[str, Outcome]:
    """What is told of each class, by full name."""
    completed, found = int(seen.requests.completed.sum()), {}
    for name in class_names(seen):
        part = of_class(seen, name)
        found[f"class.{name}.share"] = _share(int(part.requests.completed.sum()), completed)
        for stem, wanted in CLASS_METRICS.items():
            if METRICS[stem].applies(seen):
                outcomes = METRICS[stem].compute(part)
                found |= {f"class.{name}.{one}": outcomes[one] for one in wanted}
    return found


def _share(completed: int, of: int) -> Outcome:
    if of == 0:
        return Absent("no request that was due in the window was completed")
    return Value(completed / of, of, reason="the interval of a share is taken over trials")


@dataclass(frozen=True)
class _Chosen:
    """The tokens of some requests, read in parts as all tokens are.

    Attributes:
        trace: The trace that has them.
        ids: The requests.
    """

    trace: Trace
    ids: pa.Array

    @cached_property
    def num_rows(self) -> int:
        """How many there are."""
        return sum(part.num_rows for part in self.parts(["id"]))

    def read(self) -> pa.Table:
        """All of them, ordered by time."""
        whole = self.trace.table("tokens")
        return whole.filter(pc.is_in(whole.column("id"), value_set=self.ids))

    def parts(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Some columns, a part at a time."""
        for part in self.trace.parts("tokens", columns):
            ids = part.column("id").cast(pa.string())
            yield part.filter(pc.is_in(ids, value_set=self.ids))


def _restricted(seen: Observation, name: str) -> Observation:
    requests = seen.trace.table("requests")
    mine = requests.filter(pc.equal(requests.column("class"), name))
    ids = mine.column("id").combine_chunks()
    tables: dict[str, pa.Table | Rows] = {"requests": mine, "tokens": _Chosen(seen.trace, ids)}
    return replace(seen, trace=Trace(seen.trace.head, tables))


def _define(name: str) -> None:
    """The definition of a metric of one class, from that of the trial."""
    whole = DEFINITIONS[name]
    summary = f"{whole.summary[0].lower()}{whole.summary[1:]}"
    define(
        replace(
            whole,
            name=f"class.<name>.{name}",
            summary=f"Of the requests of one class of a mix alone: {summary}",
            formula=f"{name} of the requests of the class and their tokens: {whole.formula}",
        )
    )


define(
    Definition(
        "class.<name>.share",
        unit="1",
        summary="Share of the completed requests that are of one class of a mix.",
        formula="requests of the class that are ok and were due in the window / all such requests",
        source="section 3.6",
        better="neither",
    )
)
for _names in CLASS_METRICS.values():
    for _name in _names:
        _define(_name)
METRICS["class"] = Metric("class", tells_classes, by_class)
