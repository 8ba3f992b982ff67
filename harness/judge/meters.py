"""Validity of energy: a window long enough for the meter, and readings all through it."""

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.observation import Numbers
from accelbench.harness.schema.trace import Meter
from accelbench.harness.units import human, seconds

_LEDGER = "ledger"


def energy_window_short(case: Case) -> str | None:
    """The window against the slowest meter's period.

    A reading spreads what happened in one period; at the window's ends up to two periods of it
    belong to what lies outside.
    """
    periods = [(meter.period_s, probe) for probe, meter in _meters(case).items() if meter.period_s]
    if not periods:
        return None
    period_s, probe = max(periods)
    held, needed = case.seen.length_s / period_s, case.limits.energy_periods
    if held >= needed:
        return None
    return (
        f"the window of {human(case.seen.length_s, 's')} holds {held:.3g} periods of"
        f" {human(period_s, 's')} of probe {probe!r}, at least {needed:g} are asked for: measure"
        f" for at least {human(needed * period_s, 's')}, or read the probe more often"
    )


def probe_lost(case: Case) -> str | None:
    """A declared meter without readings, or with readings that leave out part of the window."""
    found = next(_losses(case), None)
    if found is None:
        return None
    return f"{found}: see whether the probe still runs and may read its meter"


def _meters(case: Case) -> dict[str, Meter]:
    """What probes say of themselves, by probe."""
    meters = case.seen.trace.head.meters
    return {probe: meters[probe] for probe in sorted(meters) if probe != _LEDGER}


def _losses(case: Case) -> Iterator[str]:
    """What was lost, in words, by probe and channel."""
    seen = case.seen
    at, value = seen.times("samples", "at_ns"), seen.numbers("samples", "value")
    for probe, meter in _meters(case).items():
        rows = seen.among("samples", "probe", (probe,)) & ~np.isnan(value)
        if not rows.any():
            yield f"probe {probe!r} is declared, but gave no reading, readings are asked for"
        channels = pc.unique(seen.column("samples", "channel").filter(rows)).to_pylist()
        for channel in sorted(filter(None, channels)):
            taken = rows & seen.among("samples", "channel", (channel,))
            loss = _loss(np.sort(at[taken]), case, meter.period_s)
            if loss:
                yield f"probe {probe!r}, channel {channel!r}: {loss}"


def _loss(at: Numbers, case: Case, period_s: float | None) -> str | None:
    """What the readings of one channel leave out of the window."""
    length_ns = case.seen.length_ns
    if at[0] > 0:
        return (
            f"the first reading comes {human(seconds(at[0]), 's')} after the window's start, one"
            " before it is asked for"
        )
    if at[-1] < length_ns:
        return (
            f"the last reading comes {human(seconds(length_ns - at[-1]), 's')} before the window's"
            " end, one after it is asked for"
        )
    if period_s is None:
        return None
    begin = int(np.searchsorted(at, 0, side="right")) - 1
    end = int(np.searchsorted(at, length_ns, side="left"))
    gap = seconds(float(np.diff(at[begin : end + 1]).max(initial=0)))
    longest = case.limits.gap_periods * period_s
    if gap <= longest:
        return None
    return (
        f"no reading for {human(gap, 's')}, at most {human(longest, 's')}"
        f" ({case.limits.gap_periods:g} periods) is allowed"
    )
