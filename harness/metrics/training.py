"""Training: time to a target quality, time of a step, samples a second."""

import numpy as np

from accelbench.harness.metrics.applies import trains
from accelbench.harness.metrics.distribution import Kind, per_request
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns
from accelbench.harness.metrics.throughput import sum_over
from accelbench.harness.units import NS_PER_S


def _trains_samples(seen: Observation) -> bool:
    return trains(seen) and seen.tells("requests", "samples")


@metric(
    "train.time_to_target",
    unit="s",
    summary="Time from the window's start to the first evaluation that met the target.",
    formula="at of the first evaluation in the window with the target's metric and split and a"
    " value >= the target - window start",
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
    met = at[value >= target.value]
    if met.size == 0:
        best = f"best {value.max():.6g} of {at.size} evaluated"
        return Absent(f"{asked} did not reach {target.value:g}: {best}", at.size)
    return Value(float(met.min()) / NS_PER_S, int((at <= met.min()).sum()))


@per_request(
    Kind(
        "train.step",
        unit="s",
        summary="the time of a training step",
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
