"""How much of the work was useful, and how much of it the accelerator did itself.

Phases (and phases of a simulator's ledger) whose name begins with "fallback" are work that the
accelerator could not do; those of kind transfer among them move its data there and back.
"""

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.busy import in_flight, of_kind, phases
from accelbench.harness.metrics.meters import (
    energy_during,
    has_ledger,
    ledger_energy,
    share_of_energy,
    watched,
)
from accelbench.harness.metrics.observation import Flags, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, single, tells, total

FALLBACK = "fallback"

_T = "T the union of [sent, done] of all requests in the window"


def fallback(seen: Observation, table: str, column: str) -> Flags:
    """Which rows are named as fallback."""
    found = pc.starts_with(pc.fill_null(seen.column(table, column), ""), FALLBACK)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)


def _phases_of_fallback(seen: Observation) -> Flags:
    return once(seen, "fallback", lambda: fallback(seen, "phases", "name"))


def _falls_back(seen: Observation) -> bool:
    return tells("coverage.operators")(seen) or bool(_phases_of_fallback(seen).any())


def _fallback_costs(seen: Observation) -> bool:
    return watched(seen) and _falls_back(seen)


@metric(
    "padding.waste",
    unit="1",
    summary="Share of the elements run that were padding.",
    formula="(padded - real) / padded, from the counters elements.padded and elements.real",
    source="eq. 8 text, section 6.2; section 3.2.2",
    better="lower",
    applies=tells("elements.padded", "elements.real"),
)
def padding_waste(seen: Observation) -> Outcome:
    """Padding over all elements."""
    real, padded = total(seen, "elements.real"), total(seen, "elements.padded")
    used = ratio(real, padded, "no element was run")
    return used if isinstance(used, Absent) else Value(1 - used.value, used.n)


@metric(
    "coverage.operators",
    unit="1",
    summary="Share of the operator calls that the accelerator ran.",
    formula="the counter coverage.operators",
    source="section 3.6.2",
    better="higher",
    applies=tells("coverage.operators"),
)
def operator_coverage(seen: Observation) -> Outcome:
    """Coverage by operators."""
    return single(seen, "coverage.operators")


@metric(
    "coverage.flops",
    unit="1",
    summary="Share of the FLOPs that the accelerator ran.",
    formula="the counter coverage.flops",
    source="section 3.6.2",
    better="higher",
    applies=tells("coverage.flops"),
)
def flop_coverage(seen: Observation) -> Outcome:
    """Coverage by FLOPs."""
    return single(seen, "coverage.flops")


@metric(
    "coverage.time",
    unit="1",
    summary="Share of the time with work in flight that no fallback computed.",
    formula="1 - union of phases named fallback, those of kind transfer left out, / T, "
    f"{_T}; 1 where coverage.operators is 1",
    source="section 3.6.2",
    better="higher",
    applies=_falls_back,
)
def time_coverage(seen: Observation) -> Outcome:
    """Coverage by time."""
    computing = _phases_of_fallback(seen) & ~of_kind(seen, "transfer")
    share = _time_share(seen, computing)
    return share if isinstance(share, Absent) else Value(1 - share.value, share.n)


@metric(
    "fallback.share",
    unit="1",
    summary="Share of the time with work in flight spent in fallback and moving its data.",
    formula=f"union of phases named fallback / T, {_T}; 0 where coverage.operators is 1",
    source="section 3.6.2",
    better="lower",
    applies=_falls_back,
)
def fallback_share(seen: Observation) -> Outcome:
    """Fallback by time."""
    return _time_share(seen, _phases_of_fallback(seen))


@metric(
    "fallback.energy_share",
    unit="1",
    summary="Share of the energy spent in fallback and moving its data.",
    formula="energy of ledger phases named fallback / E, or power integrated over the union of"
    " phases named fallback / E; 0 where coverage.operators is 1",
    source="section 3.6.2",
    better="lower",
    applies=_fallback_costs,
)
def fallback_energy_share(seen: Observation) -> Outcome:
    """Fallback by energy."""
    simulated = has_ledger(seen)
    table, column = ("ledger", "phase") if simulated else ("phases", "name")
    rows = fallback(seen, table, column)
    lacks = None if rows.any() else _untold(seen)
    if lacks:
        return Absent(lacks)
    part = ledger_energy(seen, rows) if simulated else energy_during(seen, phases(seen, rows))
    return share_of_energy(seen, part)


def _time_share(seen: Observation, rows: Flags) -> Outcome:
    lacks = None if _phases_of_fallback(seen).any() else _untold(seen)
    if lacks:
        return Absent(lacks)
    asked = in_flight(seen)
    if asked.length_ns == 0:
        return Absent("no request was in flight in the window")
    return Value(phases(seen, rows).shared_ns(asked) / asked.length_ns, int(rows.sum()))


def _untold(seen: Observation) -> str | None:
    """Why nothing named fallback does not mean that there was none."""
    covered = single(seen, "coverage.operators")
    if isinstance(covered, Absent):
        return covered.reason
    if covered.value < 1:
        return f"{covered.value:.4g} of the operator calls are covered, but no fallback is named"
    return None
