"""What else worked on the machine: a stated neighbour, and whoever else there was.

A neighbour's processor time is read before and after the whole trial; what it completed is known
to the instant and counted in the window.
"""

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, single, tells, total

_SOURCE = "sections 3.2.4 and 3.6.4"


@metric(
    "cpu.foreign_share",
    unit="1",
    summary="Share of the machine's processor time that neither the benchmark nor its neighbour used.",
    formula="(busy - ours) / (busy + idle) of all logical processors while the trial ran; ours is of"
    " the harness, the engine and a stated neighbour; what a hypervisor took counts as used",
    source=_SOURCE,
    better="lower",
    applies=tells("cpu.foreign_share"),
)
def foreign_share(seen: Observation) -> Outcome:
    """What others took of the processors."""
    return single(seen, "cpu.foreign_share")


@metric(
    "neighbour.cpu_share",
    unit="1",
    summary="Processors that the neighbour kept busy, on average over the trial.",
    formula="neighbour.cpu_time / neighbour.time, over the trial with what precedes and follows its"
    " window; above 1 where it works on several at once",
    source=_SOURCE,
    better="neither",
    applies=tells("neighbour.cpu_time"),
)
def cpu_share(seen: Observation) -> Outcome:
    """Processor seconds of the neighbour for each second of the trial."""
    worked, passed = single(seen, "neighbour.cpu_time"), single(seen, "neighbour.time")
    return ratio(worked, passed, "the trial took no time")


@metric(
    "neighbour.rate",
    unit="request/s",
    summary="Requests, or batches, that the neighbour completed in a second of the window.",
    formula="neighbour.completed / length of the window; the pauses between two passes of its work"
    " are in it",
    source=_SOURCE,
    better="higher",
    applies=tells("neighbour.completed"),
)
def rate(seen: Observation) -> Outcome:
    """How fast the neighbour went; its count is what it completed."""
    completed = total(seen, "neighbour.completed")
    if isinstance(completed, Absent):
        return completed
    if seen.length_s == 0:
        return Absent("the window has no length", int(completed.value))
    reason = "of the neighbour no more than a count is kept, so no interval"
    return Value(completed.value / seen.length_s, int(completed.value), reason=reason)


@metric(
    "neighbour.busy",
    unit="1",
    summary="Share of the window in which some request of the neighbour was on its way.",
    formula="length of the union of [sent, done] of its completed requests within the window, over"
    " the window's; the rest is its schedule's gaps and the pauses between two passes",
    source=_SOURCE,
    better="neither",
    applies=tells("neighbour.busy"),
)
def busy(seen: Observation) -> Outcome:
    """How much of the window the neighbour was really at work."""
    return single(seen, "neighbour.busy")
