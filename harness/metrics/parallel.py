"""Several devices at one task: pipeline bubbles, and communication hidden behind computation."""

from collections.abc import Mapping

import numpy as np

from accelbench.harness.metrics.busy import (
    NONE,
    Spans,
    by_device,
    ends,
    in_flight,
    of_kind,
    starts,
)
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, single, tells, total
from accelbench.harness.units import NS_PER_S

_STAGES = ("forward", "backward")


def pipeline_bubble(stages: float, microbatches: float) -> float:
    """Idle share of a pipeline that fills and drains once a step (1F1B and its like).

    Args:
        stages: Stages of the pipeline.
        microbatches: Micro-batches of a step.
    """
    return (stages - 1) / (microbatches + stages - 1)


def _communicates(seen: Observation) -> bool:
    return bool(of_kind(seen, "communication").any())


def _is_pipeline(seen: Observation) -> bool:
    return tells("pipeline.stages")(seen) and bool(of_kind(seen, *_STAGES).any())


@metric(
    "pipeline.bubble",
    unit="1",
    summary="Share of a step that a pipeline must idle while it fills and drains.",
    formula="(p - 1) / (m + p - 1), p the counter pipeline.stages, m the counter"
    " pipeline.microbatches; of one-forward-one-backward schedules",
    source="section 3.5.1",
    better="lower",
    applies=tells("pipeline.stages", "pipeline.microbatches"),
)
def bubble(seen: Observation) -> Outcome:
    """Idle share by the schedule."""
    stages, batches = single(seen, "pipeline.stages"), single(seen, "pipeline.microbatches")
    if isinstance(stages, Absent):
        return stages
    if isinstance(batches, Absent):
        return batches
    if stages.value < 1 or batches.value < 1:
        return Absent("a pipeline has at least one stage and one micro-batch")
    return Value(pipeline_bubble(stages.value, batches.value), 1)


@metric(
    "pipeline.idle_share",
    unit="1",
    summary="Share of the time with work in flight in which a stage ran nothing, mean over devices.",
    formula="1 - union of a device's phases of kind forward and backward within T / T, mean over"
    " devices, T the union of [sent, done] of all requests in the window",
    source="section 3.5.1",
    better="lower",
    applies=_is_pipeline,
)
def idle_share(seen: Observation) -> Outcome:
    """Idle share as it was."""
    asked = in_flight(seen)
    if asked.length_ns == 0:
        return Absent("no request was in flight in the window")
    stages = by_device(seen, *_STAGES)
    busy = [spans.shared_ns(asked) / asked.length_ns for spans in stages.values()]
    return Value(1 - float(np.mean(busy)), len(busy))


@metric(
    "communication.overlap",
    unit="1",
    summary="Share of the communication that was hidden behind computation.",
    formula="1 - exposed / all time of phases of kind communication in the window, added over"
    " devices; hidden is what kernels of the same device cover, or its forward and backward phases"
    " where the trace tells no kernels",
    source="section 3.6; section 6.2",
    better="higher",
    applies=_communicates,
)
def overlap(seen: Observation) -> Outcome:
    """Hidden communication over all of it."""
    messages, work = by_device(seen, "communication"), _computing(seen)
    lasted = sum(spans.length_ns for spans in messages.values())
    if lasted == 0:
        return Absent("no communication in the window")
    exposed = sum(spans.beyond_ns(work.get(name, NONE)) for name, spans in messages.items())
    return Value(1 - exposed / lasted, len(messages))


@metric(
    "communication.share",
    unit="1",
    summary="Share of the time with work in flight in which a device communicated, hidden or not.",
    formula="union of a device's phases of kind communication within T / T, mean over devices, T"
    " the union of [sent, done] of all requests in the window",
    source="section 3.4; section 4.1.2",
    better="lower",
    applies=_communicates,
)
def share(seen: Observation) -> Outcome:
    """Communication time over T."""
    asked = in_flight(seen)
    if asked.length_ns == 0:
        return Absent("no request was in flight in the window")
    messages = by_device(seen, "communication")
    shares = [spans.shared_ns(asked) / asked.length_ns for spans in messages.values()]
    return Value(float(np.mean(shares)), len(shares))


@metric(
    "communication.exposed",
    unit="1",
    summary="Share of the time with work in flight in which a device did nothing but communicate.",
    formula="phases of kind communication beyond what hides them (see communication.overlap)"
    " within T / T, mean over devices, T the union of [sent, done] of all requests in the window",
    source="section 3.6; section 6.2",
    better="lower",
    applies=_communicates,
)
def exposed(seen: Observation) -> Outcome:
    """Communication time that nothing hides, over T."""
    asked = in_flight(seen)
    if asked.length_ns == 0:
        return Absent("no request was in flight in the window")
    messages, work = by_device(seen, "communication"), _computing(seen)
    shares = []
    for name, spans in messages.items():
        hidden = work.get(name, NONE)
        beyond_ns = (spans | hidden).shared_ns(asked) - hidden.shared_ns(asked)
        shares.append(beyond_ns / asked.length_ns)
    return Value(float(np.mean(shares)), len(shares))


@metric(
    "communication.volume",
    unit="byte",
    summary="Payload that devices sent one another in a step.",
    formula="sum of the counter communication.bytes over operations / training steps that are ok"
    " and done in the window; a collective's tensor counts once, however many devices take part",
    source="section 3.4; section 4.1.2",
    better="lower",
    applies=tells("communication.bytes"),
)
def volume(seen: Observation) -> Outcome:
    """Bytes a step."""
    steps = Value(float(seen.requests.finished.sum()), int(seen.requests.finished.sum()))
    return ratio(total(seen, "communication.bytes"), steps, "no step was done in the window")


@metric(
    "communication.bandwidth",
    unit="byte/s",
    summary="Payload a second while messages travel, as the links and the library let it.",
    formula="sum of the counter communication.bytes over operations / mean over devices of the"
    " union of a device's phases of kind communication in the window",
    source="section 3.4; section 3.4.5",
    better="higher",
    applies=tells("communication.bytes"),
)
def link_bandwidth(seen: Observation) -> Outcome:
    """Bytes a second of travel."""
    spans = [each.length_ns for each in by_device(seen, "communication").values()]
    lasted = Value(float(np.mean(spans)) / NS_PER_S if spans else 0.0, len(spans))
    return ratio(total(seen, "communication.bytes"), lasted, "no communication in the window")


@metric(
    "communication.latency",
    unit="s",
    summary="Time of the shortest message: what any takes, however few its bytes.",
    formula="least end - start of phases of kind communication that lie in the window; from when"
    " the last of those that take part has come until it is done",
    source="section 3.4; section 3.4.5",
    better="lower",
    applies=_communicates,
)
def link_latency(seen: Observation) -> Outcome:
    """The least time of a message, s."""
    rows = of_kind(seen, "communication")
    start, end = starts(seen)[rows], ends(seen)[rows]
    inside = (start >= 0) & (end <= seen.length_ns)
    if not inside.any():
        return Absent("no communication in the window")
    lasted = (end - start)[inside]
    return Value(float(lasted.min()) / NS_PER_S, lasted.size)


@metric(
    "communication.wait",
    unit="1",
    summary="Share of the time with work in flight in which a device waited for others to come.",
    formula="sum of the counter communication.wait over devices / devices / T, T the union of"
    " [sent, done] of all requests in the window; from when a device waits for a message until the"
    " last of those that take part in it is there",
    source="section 3.5.1",
    better="lower",
    applies=tells("communication.wait"),
)
def straggling(seen: Observation) -> Outcome:
    """Waits for stragglers over T."""
    asked = in_flight(seen)
    waited = total(seen, "communication.wait")
    if isinstance(waited, Absent):
        return waited
    if asked.length_ns == 0:
        return Absent("no request was in flight in the window")
    return Value(waited.value * NS_PER_S / waited.n / asked.length_ns, waited.n)


def _computing(seen: Observation) -> Mapping[str, Spans]:
    has_kernels = of_kind(seen, "kernel").any()
    return by_device(seen, "kernel") if has_kernels else by_device(seen, *_STAGES)
