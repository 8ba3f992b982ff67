"""Counters of a trace as numbers: held to their unit, added over their scopes, and set in ratio."""

import math
from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value
from accelbench.harness.schema.counters import COUNTERS


def tells(*names: str) -> Applies:
    """Whether any of these counters was read."""

    def told(seen: Observation) -> bool:
        return not _names(seen).isdisjoint(names)

    return told


def _names(seen: Observation) -> frozenset[str]:
    """The counters that were read."""
    return once(
        seen,
        "counters",
        lambda: frozenset(pc.unique(seen.column("counters", "name")).drop_null().to_pylist()),
    )


def readings(seen: Observation, name: str) -> Mapping[str, float] | Absent:
    """The last reading of a counter in each of its scopes.

    Args:
        seen: The trial.
        name: One of `COUNTERS`.
    """
    odd = _in_other_unit(seen, name)
    if odd:
        return Absent(odd)
    found = seen.by_scope(name)
    return found or Absent(f"the counter {name} was not read")


def total(seen: Observation, name: str) -> Value | Absent:
    """The last reading of a counter, added over its scopes."""
    found = readings(seen, name)
    if isinstance(found, Absent):
        return found
    return Value(sum(found.values()), len(found))


def single(seen: Observation, name: str) -> Value | Absent:
    """The last reading of a counter that cannot be added over scopes, such as a share."""
    found = readings(seen, name)
    if isinstance(found, Absent):
        return found
    if len(found) > 1:
        return Absent(f"the counter {name} has {len(found)} scopes, and they do not add up")
    return Value(next(iter(found.values())), 1)


def ratio(above: Outcome, below: Outcome, nothing: str) -> Outcome:
    """The quotient of two totals.

    Args:
        above: The numerator.
        below: The denominator.
        nothing: Why there is no quotient where the denominator is 0.
    """
    if isinstance(above, Absent):
        return above
    if isinstance(below, Absent):
        return below
    if below.value == 0:
        return Absent(nothing, below.n)
    return Value(above.value / below.value, below.n, energy=above.energy)


def mean_gauge(seen: Observation, name: str) -> Outcome:
    """The mean over the window of a gauge, each reading held until the next, added over scopes.

    Where all readings of a scope came after the window, its last one stands for the window.
    """
    odd = _in_other_unit(seen, name)
    if odd:
        return Absent(odd)
    found = gauge(seen, name)
    if not found:
        return Absent(f"the counter {name} was not read")
    means = [_held_mean(at, value, float(seen.length_ns)) for at, value in found]
    return Value(math.fsum(means), sum(at.size for at, _ in found))


def gauge(seen: Observation, name: str) -> list[tuple[Numbers, Numbers]]:
    """When a gauge was read, ns from the window's start, and what it showed: for each scope.

    Args:
        seen: The trial.
        name: One of `COUNTERS`.
    """
    value = seen.numbers("counters", "value")
    rows = seen.among("counters", "name", (name,)) & ~np.isnan(value)
    at, value = seen.times("counters", "at_ns")[rows], value[rows]
    scope = pc.fill_null(seen.column("counters", "scope").filter(rows), "").dictionary_encode()
    code = scope.indices.to_numpy(zero_copy_only=False)
    order = np.lexsort((value, at))
    at, value, code = at[order], value[order], code[order]
    return [(at[code == k], value[code == k]) for k in range(len(scope.dictionary))]


def _held_mean(at: Numbers, value: Numbers, length_ns: float) -> float:
    held = np.diff(np.clip(np.append(at, np.inf), 0, length_ns))
    whole = float(held.sum())
    return float((value * held).sum()) / whole if whole else float(value[-1])


def _in_other_unit(seen: Observation, name: str) -> str | None:
    unit = COUNTERS[name][0]
    rows = seen.among("counters", "name", (name,))
    odd = (rows & ~seen.among("counters", "unit", (unit,))).any()
    return f"the counter {name} is not in {unit}" if odd else None
