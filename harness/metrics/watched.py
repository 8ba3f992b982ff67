"""What a trial under a profiler still tells: where its time went, not how long anything takes.

Watching every kernel slows the host, so that times, rates, powers and energies of such a trial
are those of the profiler too.
"""

from accelbench.harness.metrics.registry import Absent, Outcome

_KEPT = (
    "activity",
    "area.",
    "bytes.",
    "coverage.flops",
    "coverage.operators",
    "exit.",
    "experts.",
    "flops.total",
    "intensity",
    "kernels.",
    "kv.",
    "mapped.",
    "memory.adam",
    "overhead.",
    "padding.",
    "quality",
    "synaptic_operations.",
    "transfer.",
)
_WHY = Absent("the trial ran under a profiler, which slows it; another trial tells")


def under_profiler(name: str, outcome: Outcome) -> Outcome:
    """The outcome of a metric that a profiler does not distort, else that it is not told.

    Args:
        name: Full name of the metric.
        outcome: What the trace gives.
    """
    return outcome if name.startswith(_KEPT) else _WHY
