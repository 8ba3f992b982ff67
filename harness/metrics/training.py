"""Training: time to a target quality, time of a step, samples a second."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from accelbench.harness.metrics.applies import trains
from accelbench.harness.metrics.busy import of_kind, on_devices
from accelbench.harness.metrics.compute import amount_inside
from accelbench.harness.metrics.distribution import Kind, per_request
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns
from accelbench.harness.metrics.throughput import sum_over
from accelbench.harness.schema.quality import best_of, better
from accelbench.harness.schema.training import PARTS
from accelbench.harness.units import NS_PER_S

_NAMED = {
    "input": "getting of batches",
    "forward": "forward pass",
    "backward": "backward pass",
    "communication": "exchange between devices, as far as nothing hides it",
    "optimizer": "optimiser",
}
_COMPUTED = ("forward", "backward", "optimizer")
_LAST_SHARE = 0.1
"""Share of the steps over which the final loss is averaged."""


def _trains_samples(seen: Observation) -> bool:
    return trains(seen) and seen.tells("requests", "samples")


@metric(
    "train.time_to_target",
    unit="s",
    summary="Time from the window's start to the first evaluation that met the target.",
    formula="at of the first evaluation in the window with the target's metric and split and a"
    " value that is as good as the target (>=, of losses and perplexities <=) - window start",
    source="section 3.6",
    better="lower",
    applies=trains,
)
def time_to_target(seen: Observation) -> Outcome:
    """Time to target, s; n counts the evaluations up to it."""
    target = seen.trace.head.target
    if target is None:
        return Absent("the trial had no target")
    at, value = seen.times("evals", "at_ns"), seen.numbers("evals", "value")
    chosen = (
        seen.inside(at)
        & seen.among("evals", "metric", (target.metric,))
        & seen.among("evals", "split", (target.split,))
        & ~np.isnan(value)
    )
    at, value = at[chosen], value[chosen]
    asked = f"{target.metric} on split {target.split!r}"
    if at.size == 0:
        return Absent(f"{asked} was not evaluated in the window")
    good = value <= target.value if better(target.metric) == "lower" else value >= target.value
    met = at[good]
    if met.size == 0:
        best = f"best {best_of(target.metric, value):.6g} of {at.size} evaluated"
        return Absent(f"{asked} did not reach {target.value:g}: {best}", at.size)
    return Value(float(met.min()) / NS_PER_S, int((at <= met.min()).sum()))


@per_request(
    Kind(
        "train.step",
        unit="s",
        summary="the time of a training step, with the getting of its batch",
        formula="done - sent of a step",
        source="section 3.6",
        needs="both a send and an end",
        applies=trains,
    )
)
def step_time(seen: Observation) -> Numbers:
    """Time of each step, s."""
    return (seen.requests.done - seen.requests.sent) / NS_PER_S


@metric(
    "train.samples_per_s",
    unit="sample/s",
    summary="Training samples a second of stepping, evaluations left out.",
    formula="sum of samples / union of [sent, done], over steps that are ok and done in the window",
    source="section 3.6",
    better="higher",
    applies=_trains_samples,
)
def samples_per_second(seen: Observation) -> Outcome:
    """Training throughput, sample/s; `tp.samples` is the same over the whole window."""
    requests = seen.requests
    finished = requests.finished
    if not finished.any():
        return Absent("no training step was completed in the window")
    samples = sum_over(requests.samples, finished, "samples")
    if isinstance(samples, Absent):
        return samples
    sent, done = requests.sent[finished], requests.done[finished]
    if np.isnan(sent).any():
        return Absent("a step does not tell when it began", samples.n)
    busy_ns = covered_ns(sent, done)
    if busy_ns == 0:
        return Absent("the steps took no time", samples.n)
    return Value(samples.value * NS_PER_S / busy_ns, samples.n)


@metric(
    "train.first_step",
    unit="s",
    summary="Time of the first training step, with what is done once alone.",
    formula="done - sent of the step that was sent first, of those that are ok and done in the"
    " window",
    source="section 3.6",
    better="lower",
    applies=trains,
)
def first_step(seen: Observation) -> Outcome:
    """Time of the first step, s."""
    requests = seen.requests
    lasted = (requests.done - requests.sent)[requests.finished]
    if lasted.size == 0:
        return Absent("no training step was completed in the window")
    first = lasted[np.argsort(requests.sent[requests.finished], kind="stable")[0]]
    if np.isnan(first):
        return Absent("no step tells when it began", lasted.size)
    return Value(float(first) / NS_PER_S, 1)


@metric(
    "train.loss.final",
    unit="1",
    summary="Training loss at the end of training.",
    formula="mean of the loss of the last tenth of the steps in the window, at least one, each the"
    " mean over its samples before its own update",
    source="section 3.6",
    better="lower",
    applies=lambda seen: trains(seen) and bool(_losses(seen).any()),
)
def final_loss(seen: Observation) -> Outcome:
    """Loss at the end of training."""
    at, value = seen.times("evals", "at_ns"), seen.numbers("evals", "value")
    rows = np.flatnonzero(_losses(seen) & seen.inside(at))
    if rows.size == 0:
        return Absent("no step of the window tells its loss")
    last = rows[np.argsort(at[rows], kind="stable")][-max(1, round(_LAST_SHARE * rows.size)) :]
    return Value(float(value[last].mean()), last.size)


def _losses(seen: Observation) -> Flags:
    """The rows of `evals` that are the loss of a training step."""
    of_loss = seen.among("evals", "metric", ("loss",))
    return np.asarray(of_loss & seen.among("evals", "split", ("train",)), dtype=np.bool_)


def _share(seen: Observation, kind: str) -> Outcome:
    """Time of one kind of part over that of the steps."""
    requests = seen.requests
    steps = requests.finished & ~np.isnan(requests.sent)
    whole_ns = float((requests.done - requests.sent)[steps].sum())
    if whole_ns == 0:
        return Absent("no training step took time in the window", int(steps.sum()))
    ids = seen.column("requests", "id").filter(pa.array(steps))
    of_steps = pc.is_in(seen.column("phases", "request"), value_set=ids)
    rows = np.asarray(of_steps.to_numpy(zero_copy_only=False), dtype=np.bool_)
    rows &= of_kind(seen, kind)
    lasted_ns = [spans.length_ns for spans in on_devices(seen, rows).values()]
    return Value(sum(lasted_ns) / max(len(lasted_ns), 1) / whole_ns, int(steps.sum()))


def _tells_part(kind: str) -> Applies:
    def told(seen: Observation) -> bool:
        return trains(seen) and bool((of_kind(seen, kind) & _of_request(seen)).any())

    return told


def _of_request(seen: Observation) -> Flags:
    """The phases that are part of a request."""
    valid = pc.is_valid(seen.column("phases", "request"))
    return np.asarray(valid.to_numpy(zero_copy_only=False), dtype=np.bool_)


for _kind in PARTS:
    metric(
        f"train.share.{_kind}",
        unit="1",
        summary=f"Share of the time of training steps that went into the {_NAMED[_kind]}.",
        formula=f"union of a device's phases of kind {_kind} that are part of a step, mean over"
        " devices / sum of done - sent, over steps that are ok and done in the window",
        source="section 3.6",
        better="neither" if _kind in _COMPUTED else "lower",
        applies=_tells_part(_kind),
    )(partial(_share, kind=_kind))


def _flops(seen: Observation, kind: str) -> Outcome:
    done = amount_inside(seen, "flops", (kind,))
    return done if isinstance(done, Absent) else Value(done.amount, done.n)


def _tells_flops(kind: str) -> Applies:
    part = _tells_part(kind)
    return lambda seen: part(seen) and seen.tells("phases", "flops")


for _kind in _COMPUTED:
    metric(
        f"train.flops.{_kind}",
        unit="FLOP",
        summary=f"Floating-point operations of the {_NAMED[_kind]} in the window.",
        formula=f"sum of FLOPs of phases of kind {_kind}, each by its share inside the window; two"
        " for a multiply-add, no padding, no recomputation, none of element-wise work",
        source="section 2.1; eq. 13",
        better="neither",
        applies=_tells_flops(_kind),
    )(partial(_flops, kind=_kind))
