"""Energy over the window: from power samples, from a counter, or from a simulator's ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.busy import Spans, window
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import Absent, Outcome, Value
from accelbench.harness.schema.measurement import EnergyNote
from accelbench.harness.units import NS_PER_S

_TRUST = ("metered", "estimated", "modelled", "declared")
_UNIT = {"energy_counter": "J", "power": "W"}
_FEWEST = 2
_METHOD = {
    "energy_counter": "difference of counter readings, interpolated at the window's ends",
    "power": "power samples by trapezoid, interpolated at the window's ends, the nearest held at an"
    " end that none reaches",
}


@dataclass(frozen=True)
class Energy:
    """Energy spent in the window, or in a part of it.

    Attributes:
        energy_j: Joules.
        n: Readings (or ledger entries) it rests on.
        note: How it was obtained.
    """

    energy_j: float
    n: int
    note: EnergyNote


@dataclass(frozen=True)
class Parts:
    """Energy spent in each of several spans.

    Attributes:
        energy_j: Joules of each span.
        readings: Fewest readings of a channel that fall into each span.
        n: Readings in the window that they rest on.
        note: How they were obtained.
    """

    energy_j: Numbers
    readings: Numbers
    n: int
    note: EnergyNote


def has_ledger(seen: Observation) -> bool:
    """Whether a simulator kept a ledger of its energy."""
    return seen.trace.head.clock == "simulated" and seen.trace.num_rows("ledger") > 0


def watched(seen: Observation) -> bool:
    """Whether the trace has anything to take energy from."""
    return has_ledger(seen) or bool(_sources(seen))


def window_energy(seen: Observation) -> Energy | Absent:
    """Energy spent in the window, and how it is known.

    On a simulated clock it is the ledger's sum; otherwise see `energy_during`.
    """
    return once(seen, "energy", lambda: _window_energy(seen))


def _window_energy(seen: Observation) -> Energy | Absent:
    if has_ledger(seen):
        return ledger_energy(seen, np.ones(seen.trace.num_rows("ledger"), np.bool_))
    return energy_during(seen, window(seen))


def ledger_energy(seen: Observation, rows: Flags) -> Energy | Absent:
    """Energy of these entries of a simulator's ledger."""
    energy = np.sort(seen.numbers("ledger", "energy_j")[rows])
    if np.isnan(energy).any():
        return Absent("an entry of the ledger gives no energy", energy.size)
    meter = seen.trace.head.meters.get("ledger")
    note = (
        EnergyNote(meter.quality, meter.method, meter.scope, meter.covers)
        if meter
        else EnergyNote("modelled", "sum of the simulator's ledger", "not told", ())
    )
    return Energy(float(energy.sum()), energy.size, note)


def share_of_energy(seen: Observation, part: Energy | Absent) -> Outcome:
    """A part of the energy over all that was spent in the window."""
    whole = window_energy(seen)
    if isinstance(part, Absent):
        return part
    if isinstance(whole, Absent):
        return whole
    if whole.energy_j == 0:
        return Absent("no energy was spent in the window", whole.n)
    return Value(part.energy_j / whole.energy_j, whole.n, energy=whole.note)


def energy_during(seen: Observation, spans: Spans) -> Energy | Absent:
    """Energy spent in these spans of the window together, as a probe saw it (see `energy_of_each`)."""
    found = energy_of_each(seen, spans)
    if isinstance(found, Absent):
        return found
    return Energy(float(found.energy_j.sum()), found.n, found.note)


def energy_of_each(seen: Observation, spans: Spans) -> Parts | Absent:
    """Energy spent in each of these spans of the window, as a probe saw it.

    It comes from one probe: the most trusted one (metered before estimated before modelled
    before declared), its counters before its power samples; the channels of a probe are
    disjoint and are added.
    """
    sources = _sources(seen)
    if not sources:
        return Absent("no probe watched this trial")
    probe, kind = sources[0]
    rows = seen.among("samples", "probe", (probe,)) & seen.among("samples", "kind", (kind,))
    odd = set(_texts(seen, "unit", rows)) - {_UNIT[kind]}
    if odd:
        return Absent(f"{kind} of probe {probe!r} is in {odd.pop()}, not in {_UNIT[kind]}")
    channels = _texts(seen, "channel", rows)
    if not channels:
        return Absent(f"the readings of probe {probe!r} name no channel")
    energy, n = np.zeros(spans.start.size), 0
    readings = np.full(spans.start.size, np.inf)
    for channel in channels:
        taken = rows & seen.among("samples", "channel", (channel,))
        found = _channel(seen, taken, kind, spans)
        if isinstance(found, Absent):
            return Absent(f"probe {probe!r}, channel {channel!r}: {found.reason}", found.n)
        each, within, inside = found
        energy, readings, n = energy + each, np.minimum(readings, within), n + inside
    return Parts(energy, readings, n, _note(seen, probe, kind, rows))


def _sources(seen: Observation) -> list[tuple[str, str]]:
    """(probe, kind) of what gives energy, the most trusted first."""
    return once(seen, "sources of energy", lambda: _by_trust(seen))


def _by_trust(seen: Observation) -> list[tuple[str, str]]:
    rows = seen.among("samples", "kind", tuple(_UNIT))
    found = [
        (probe, kind)
        for kind in _UNIT
        for probe in _texts(seen, "probe", rows & seen.among("samples", "kind", (kind,)))
    ]
    meters = seen.trace.head.meters

    def distrust(source: tuple[str, str]) -> tuple[int, str, str]:
        meter = meters.get(source[0])
        return (_TRUST.index(meter.quality if meter else "declared"), *source)

    return sorted(found, key=distrust)


def _note(seen: Observation, probe: str, kind: str, rows: Flags) -> EnergyNote:
    meter = seen.trace.head.meters.get(probe)
    if meter:
        method = f"{meter.method}; {_METHOD[kind]}"
        return EnergyNote(meter.quality, method, meter.scope, meter.covers)
    method = f"the trace does not tell how {probe!r} measures; {_METHOD[kind]}"
    scope = ", ".join(_texts(seen, "scope", rows)) or "not told"
    return EnergyNote("declared", method, scope, ())


def _texts(seen: Observation, column: str, rows: Flags) -> list[str]:
    """The different texts of these rows of `samples`, sorted."""
    found = seen.column("samples", column).filter(rows)
    return sorted(text for text in pc.unique(found).to_pylist() if text is not None)


Until: TypeAlias = Callable[[Numbers, Numbers, Numbers], Numbers]


def _channel(
    seen: Observation, rows: Flags, kind: str, spans: Spans
) -> tuple[Numbers, Numbers, int] | Absent:
    """Energy of one channel in each span, J, its readings there, and those in the window."""
    at = seen.times("samples", "at_ns")[rows]
    value = seen.numbers("samples", "value")[rows]
    told = ~(np.isnan(at) | np.isnan(value))
    order = np.lexsort((value[told], at[told]))
    at, value = at[told][order], value[told][order]
    inside = int(seen.inside(at).sum())
    lacks = _lacks(seen, kind, at, value, inside)
    if lacks:
        return Absent(lacks, at.size)
    until = _UNTIL[kind]
    each = until(at, value, spans.end) - until(at, value, spans.start)
    within = np.searchsorted(at, spans.end, side="right") - np.searchsorted(at, spans.start)
    return each, within.astype(np.float64), inside


def _lacks(seen: Observation, kind: str, at: Numbers, value: Numbers, inside: int) -> str | None:
    """Why these readings give no energy for the window, in words."""
    if at.size == 0:
        return "no reading has a value"
    covered = at[0] <= 0 and at[-1] >= seen.length_ns
    if kind == "power":
        if at.size < _FEWEST:
            return "one reading alone gives no energy"
        return None if inside or covered else _not_covered(at, seen.length_s)
    if not covered:
        return _not_covered(at, seen.length_s)
    first = int(np.searchsorted(at, 0.0, side="right")) - 1
    last = int(np.searchsorted(at, float(seen.length_ns), side="left"))
    went_back = (np.diff(value[first : last + 1]) < 0).any()
    return "the counter went back: it was reset, or it wrapped" if went_back else None


def _not_covered(at: Numbers, length_s: float) -> str:
    first, last = at[0] / NS_PER_S, at[-1] / NS_PER_S
    return (
        f"readings from {first:.4g} s to {last:.4g} s do not cover the window"
        f" from 0 s to {length_s:.4g} s"
    )


def _power_until(at: Numbers, power: Numbers, until: Numbers) -> Numbers:
    """Energy from the first sample to each instant by trapezoid, the nearest held beyond them."""
    steps = np.diff(at) * (power[1:] + power[:-1]) / 2
    reached = np.concatenate(([0.0], np.cumsum(steps)))
    before = np.maximum(np.searchsorted(at, until, side="right") - 1, 0)
    level = np.interp(until, at, power)
    return (reached[before] + (until - at[before]) * (power[before] + level) / 2) / NS_PER_S


def _counter_until(at: Numbers, energy: Numbers, until: Numbers) -> Numbers:
    """What the counter shows at each instant."""
    return np.interp(until, at, energy)


_UNTIL: dict[str, Until] = {"energy_counter": _counter_until, "power": _power_until}
