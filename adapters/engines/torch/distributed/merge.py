"""One trace out of those of all ranks, which share a clock."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.adapters.engines.torch.distributed.messages import (
    COMPUTE,
    Span,
    Travel,
    blocked,
    settled,
    shared,
    travels,
    union,
    without,
)
from accelbench.adapters.engines.torch.distributed.orders import Done
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.recorder import Recorder
from accelbench.harness.units import NS_PER_S


@dataclass(frozen=True)
class Steps:
    """The steps of a run as one rank went through them.

    Attributes:
        names: Their names, in order.
        spans: When each was, ns.
    """

    names: Sequence[str]
    spans: Sequence[Span]

    def at(self, at_ns: int) -> str | None:
        """The step that an instant lies in; None between steps."""
        position = bisect_right(self.spans, at_ns, key=lambda span: span[0]) - 1
        inside = position >= 0 and at_ns < self.spans[position][1]
        return self.names[position] if inside else None


def record(
    done: Sequence[Done], leader: int, *, staged: bool, recorder: Recorder
) -> dict[str, Plain]:
    """Writes what all ranks did into one trace; returns what they sent a step, by operation.

    Steps, evaluations and window are the leader's. Phases are those of every rank, under its
    name: what a rank computed is told without the time in which it waited for a message, and
    messages by when they travelled. What was sent outside of steps, as for an evaluation, is
    left out.

    Args:
        done: By rank.
        leader: The rank whose steps are told.
        staged: Whether the ranks are stages, so that each step's samples went through all.
        recorder: Takes the trace.
    """
    rows = [{name: table.to_pylist() for name, table in one.tables.items()} for one in done]
    recorder.window(*done[leader].window_ns)
    recorder.target(done[leader].target)
    _steps(rows, leader, staged=staged, recorder=recorder)
    sent: dict[str, list[int]] = defaultdict(list)
    computed = [_computed(own["phases"]) for own in rows]
    told = [settled(one.messages, when) for one, when in zip(done, computed, strict=True)]
    for rank, own in enumerate(travels(told)):
        steps = steps_of(rows[rank]["requests"])
        inside = [travel for travel in own if steps.at(travel.message.start_ns) is not None]
        idle = blocked((travel.message for travel in inside), computed[rank])
        _phases(f"rank:{rank}", rows[rank]["phases"], idle, recorder)
        if len(done) > 1:
            _messages(f"rank:{rank}", inside, idle, steps, recorder)
        for travel in inside:
            message = travel.message
            if message.operation == "send" or (message.peer is None and rank == leader):
                sent[message.operation].append(message.moved)
    _memory(done, recorder)
    for operation, moved in sorted(sent.items()):
        recorder.counter("communication.bytes", sum(moved), "byte", operation)
    return _a_step(sent, len(rows[leader]["requests"]))


def steps_of(requests: Iterable[Mapping[str, Any]]) -> Steps:
    """The steps that a rank's trace tells of."""
    ordered = sorted(requests, key=lambda row: row["sent_ns"])
    spans = [(row["sent_ns"], row["done_ns"]) for row in ordered]
    return Steps([row["id"] for row in ordered], spans)


def _steps(
    rows: Sequence[Mapping[str, list[dict[str, Any]]]],
    leader: int,
    *,
    staged: bool,
    recorder: Recorder,
) -> None:
    """The leader's steps and evaluations; of shares of a batch the samples of all, the mean loss."""
    together = [rows[leader]] if staged else list(rows)
    of_ranks = zip(*(one["requests"] for one in together), strict=True)
    for own, same in zip(rows[leader]["requests"], of_ranks, strict=True):
        samples = sum(row["samples"] for row in same)
        recorder.request(own["id"], own["due_ns"], own["sent_ns"], own["done_ns"], samples=samples)
    losses = [
        [row for row in one["evals"] if row["metric"] == "loss" and row["split"] == "train"]
        for one in together
    ]
    of_step = iter(zip(*losses, strict=True))
    for row in rows[leader]["evals"]:
        value, count = row["value"], row["n"]
        if row["metric"] == "loss" and row["split"] == "train":
            shares = next(of_step)
            count = sum(one["n"] for one in shares)
            value = sum(one["value"] * one["n"] for one in shares) / count
        recorder.evaluation(row["metric"], row["split"], value, count, row["at_ns"])


def _computed(phases: Iterable[Mapping[str, Any]]) -> list[Span]:
    """Where a rank computed, in order, as its marks tell."""
    return sorted((row["start_ns"], row["end_ns"]) for row in phases if row["kind"] in COMPUTE)


def _phases(
    device: str, rows: Iterable[Mapping[str, Any]], idle: Sequence[Span], recorder: Recorder
) -> None:
    """What a rank did by its marks, without the time in which it waited for messages.

    Of a part that is cut in pieces so, each piece has its share of FLOPs and bytes; of one that
    was nothing but a wait they stand at its end.
    """
    for row in rows:
        start_ns, end_ns = row["start_ns"], row["end_ns"]
        if row["kind"] == "communication":  # told by the messages themselves
            continue
        pieces = [(start_ns, end_ns)]
        if row["kind"] in COMPUTE:
            pieces = without((start_ns, end_ns), idle) or [(end_ns, end_ns)]
        whole_ns = sum(end - start for start, end in pieces)
        for start, end in pieces:
            share = (end - start) / whole_ns if whole_ns else 1.0
            recorder.phase(
                row["name"],
                row["kind"],
                start,
                end,
                request=row["request"],
                device=device,
                flops=_part(row["flops"], share),
                moved=_part(row["bytes"], share),
            )


def _part(amount: float | None, share: float) -> float | None:
    return None if amount is None else amount * share


def _messages(
    device: str, own: Iterable[Travel], idle: Sequence[Span], steps: Steps, recorder: Recorder
) -> None:
    """When messages travelled, and where the rank waited for others to come for them."""
    waits = []
    for travel in own:
        message = travel.message
        recorder.phase(
            message.operation,
            "communication",
            travel.ready_ns,
            travel.done_ns,
            request=steps.at(message.start_ns),
            device=device,
        )
        waits += shared((message.start_ns, travel.ready_ns), idle)
    waits = union(waits)
    for start, end in waits:
        recorder.phase("wait", "other", start, end, request=steps.at(start), device=device)
    waited_ns = sum(end - start for start, end in waits)
    recorder.counter("communication.wait", waited_ns / NS_PER_S, "s", device)


def _memory(done: Sequence[Done], recorder: Recorder) -> None:
    """What each rank held, and the largest resident sets added up."""
    for one in done:
        scope = f"rank:{one.rank}"
        held: Any = one.facts.get("bytes", {})
        for name in ("weights", "gradients", "optimizer_state", "activations"):
            if name in held:
                recorder.counter(name, held[name], "byte", scope)
        if one.device_peak_bytes is not None:
            recorder.counter("device_memory_peak", one.device_peak_bytes, "byte", scope)
    recorder.counter("rss_peak", sum(one.peak_bytes for one in done), "byte", "ranks")


def _a_step(sent: Mapping[str, Sequence[int]], steps: int) -> dict[str, Plain]:
    return {
        operation: {"calls": len(moved) / steps, "bytes": sum(moved) / steps}
        for operation, moved in sorted(sent.items())
    }
