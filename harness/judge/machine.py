"""Validity of the machine: its clock, its other tenants, its time of day."""

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.steadiness import quarter_change
from accelbench.harness.units import human

_FEWEST_READINGS = 8

_SHARE = "{:.1%}"
_OTHERS = "other processes used {} of the CPU time"
_STOLEN = "a hypervisor took {} of the CPU time"
_WAITED = "some task waited for a processor {} of the time"
_SWITCHED = "the engine had to yield its processor {} times a second of its work"


def throttled(case: Case) -> str | None:
    """Times the clock was held back, or a clock that fell from the first to the last quarter."""
    events = {
        scope: count for scope, count in case.seen.by_scope("throttle.events").items() if count > 0
    }
    if events:
        told = ", ".join(
            f"{count:g} times by {scope or 'no cause told'}" for scope, count in events.items()
        )
        return (
            f"the clock was held back {told}, it may never be: cool the machine or raise its"
            " power limit"
        )
    channel, fall = min(_clock_changes(case).items(), key=lambda item: item[1], default=("", 0.0))
    if -fall <= case.limits.clock_fall:
        return None
    return (
        f"the clock {channel!r} fell by {-fall:.1%} from the first to the last quarter of its"
        f" readings, at most {case.limits.clock_fall:.1%} is allowed: cool the machine, or fix its"
        " clock"
    )


def foreign_load(case: Case) -> str | None:
    """What others took of the machine; a figure that was not recorded is not judged.

    Beside a stated neighbour an engine waits for its processor and has to yield it: that is what
    was asked for, and is not judged. The neighbour is no stranger to the other two figures.
    """
    limits = case.limits
    taken = (
        (case.worst("cpu.foreign_share"), limits.foreign_cpu_share, _SHARE, _OTHERS),
        (case.worst("cpu.steal_share"), limits.steal_share, _SHARE, _STOLEN),
    )
    waited = (
        (case.worst("cpu.pressure_share"), limits.pressure_share, _SHARE, _WAITED),
        (_switches_per_s(case), limits.switches_per_s, "{:.3g}", _SWITCHED),
    )
    beside = case.worst("neighbour.time") is not None
    figures = taken if beside else (*taken, *waited)
    told = [
        f"{words.format(how.format(value))} (at most {how.format(limit)})"
        for value, limit, how, words in figures
        if value is not None and value > limit
    ]
    return f"{'; '.join(told)}: stop other work and run again" if told else None


def clock_step(case: Case) -> str | None:
    """How far the time of day was set while the trial ran.

    The trace is on a monotonic clock and stays right; its UTC anchor, and times taken from
    another clock, do not.
    """
    step, limit = case.worst("clock.step"), case.limits.clock_step_s
    if step is None or step <= limit:
        return None
    return (
        f"the time of day was set by {human(step, 's')} during the trial, at most"
        f" {human(limit, 's')} is allowed: let the time service settle before a run"
    )


def _switches_per_s(case: Case) -> float | None:
    """Involuntary switches of the engine for each second of its processor time."""
    switches, worked_s = case.worst("cpu.involuntary_switches"), case.worst("cpu.engine_time")
    return switches / worked_s if switches is not None and worked_s else None


def _clock_changes(case: Case) -> dict[str, float]:
    """By clock channel, the relative change from the first to the last quarter in the window."""
    seen = case.seen
    clocks = seen.among("samples", "kind", ("clock",))
    at, value = seen.times("samples", "at_ns"), seen.numbers("samples", "value")
    channels = seen.column("samples", "channel")
    changes = {}
    for channel in sorted(filter(None, pc.unique(channels.filter(clocks)).to_pylist())):
        taken = clocks & seen.among("samples", "channel", (channel,))
        taken &= seen.inside(at) & ~np.isnan(value)
        if taken.sum() >= _FEWEST_READINGS:
            changes[channel] = quarter_change(value[taken][np.argsort(at[taken], kind="stable")])
    return changes
