"""Energy over the window: from power samples, from a counter, or from a simulator's ledger."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent
from accelbench.harness.schema.measurement import EnergyNote
from accelbench.harness.units import NS_PER_S

_TRUST = ("metered", "estimated", "modelled", "declared")
_UNIT = {"energy_counter": "J", "power": "W"}
_METHOD = {
    "energy_counter": "difference of counter readings, interpolated at the window's ends",
    "power": "power samples by trapezoid, interpolated at the window's ends",
}


@dataclass(frozen=True)
class WindowEnergy:
    """Energy spent in the window.

    Attributes:
        energy_j: Joules.
        n: Readings (or ledger entries) it rests on.
        note: How it was obtained.
    """

    energy_j: float
    n: int
    note: EnergyNote


def watched(seen: Observation) -> bool:
    """Whether the trace has anything to take energy from."""
    return _has_ledger(seen) or bool(_sources(seen))


def window_energy(seen: Observation) -> WindowEnergy | Absent:
    """Energy spent in the window, and how it is known.

    On a simulated clock it is the ledger's sum. Otherwise it comes from one probe: the most
    trusted one (metered before estimated before modelled before declared), its counters
    before its power samples; the channels of a probe are disjoint and are added.
    """
    if _has_ledger(seen):
        return _from_ledger(seen)
    sources = _sources(seen)
    if not sources:
        return Absent("no probe watched this trial")
    probe, kind = sources[0]
    rows = seen.among("samples", "probe", (probe,)) & seen.among("samples", "kind", (kind,))
    odd = set(_texts(seen, "unit", rows)) - {_UNIT[kind]}
    if odd:
        return Absent(f"{kind} of probe {probe!r} is in {odd.pop()}, not in {_UNIT[kind]}")
    total, n = 0.0, 0
    for channel in _texts(seen, "channel", rows):
        taken = rows & seen.among("samples", "channel", (channel,))
        found = _over_window(seen, taken, _ENERGY_OF[kind])
        if isinstance(found, Absent):
            return Absent(f"probe {probe!r}, channel {channel!r}: {found.reason}", found.n)
        total, n = total + found[0], n + found[1]
    return WindowEnergy(total, n, _note(seen, probe, kind, rows))


def _has_ledger(seen: Observation) -> bool:
    return seen.trace.head.clock == "simulated" and seen.trace.table("ledger").num_rows > 0


def _from_ledger(seen: Observation) -> WindowEnergy | Absent:
    energy = seen.numbers("ledger", "energy_j")
    if np.isnan(energy).any():
        return Absent("an entry of the ledger gives no energy", energy.size)
    meter = seen.trace.head.meters.get("ledger")
    note = (
        EnergyNote(meter.quality, meter.method, meter.scope, meter.covers)
        if meter
        else EnergyNote("modelled", "sum of the simulator's ledger", "not told", ())
    )
    return WindowEnergy(float(energy.sum()), energy.size, note)


def _sources(seen: Observation) -> list[tuple[str, str]]:
    """(probe, kind) of what gives energy, the most trusted first."""
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


Integral: TypeAlias = Callable[[Numbers, Numbers, float], float | Absent]


def _over_window(seen: Observation, rows: Flags, integral: Integral) -> tuple[float, int] | Absent:
    """Energy of one channel in joules, and the readings in the window."""
    at = seen.times("samples", "at_ns")[rows]
    value = seen.numbers("samples", "value")[rows]
    told = ~(np.isnan(at) | np.isnan(value))
    order = np.argsort(at[told], kind="stable")
    at, value = at[told][order], value[told][order]
    if at.size == 0 or at[0] > 0 or at[-1] < seen.length_ns:
        return Absent(_not_covered(at, seen.length_s), at.size)
    energy = integral(at, value, float(seen.length_ns))
    return energy if isinstance(energy, Absent) else (energy, int(seen.inside(at).sum()))


def _not_covered(at: Numbers, length_s: float) -> str:
    if at.size == 0:
        return "no reading has a value"
    first, last = at[0] / NS_PER_S, at[-1] / NS_PER_S
    return (
        f"readings from {first:.4g} s to {last:.4g} s do not cover the window"
        f" from 0 s to {length_s:.4g} s"
    )


def _power_integral(at: Numbers, power: Numbers, length_ns: float) -> float:
    """Trapezoid over the window."""
    inner = (at > 0) & (at < length_ns)
    ends = np.interp((0.0, length_ns), at, power)
    time = np.concatenate(([0.0], at[inner], [length_ns]))
    level = np.concatenate((ends[:1], power[inner], ends[1:]))
    return float(np.sum(np.diff(time) * (level[1:] + level[:-1])) / 2 / NS_PER_S)


def _counter_difference(at: Numbers, energy: Numbers, length_ns: float) -> float | Absent:
    """What the counter grew by over the window."""
    first = int(np.searchsorted(at, 0.0, side="right")) - 1
    last = int(np.searchsorted(at, length_ns, side="left"))
    if (np.diff(energy[first : last + 1]) < 0).any():
        return Absent("the counter went back: it was reset, or it wrapped", at.size)
    begin, end = np.interp((0.0, length_ns), at, energy)
    return float(end - begin)


_ENERGY_OF: dict[str, Integral] = {
    "energy_counter": _counter_difference,
    "power": _power_integral,
}
