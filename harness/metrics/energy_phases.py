"""Energy of prefill and of decode, apart."""

from accelbench.harness.metrics.busy import of_kind, phases
from accelbench.harness.metrics.meters import energy_during, has_ledger, ledger_energy, watched
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric

_RULE = (
    "energy of ledger entries of that phase; else power (or a counter) over the union of phases of"
    " that kind in the window, where both kinds run at once half to each; time of neither is left"
    " out"
)


def _tells(kind: str) -> Applies:
    def told(seen: Observation) -> bool:
        if not watched(seen):
            return False
        if has_ledger(seen):
            return bool(seen.among("ledger", "phase", (kind,)).any())
        return bool(of_kind(seen, kind).any())

    return told


@metric(
    "energy.prefill",
    unit="J",
    summary="Energy spent on prefill in the window.",
    formula=_RULE,
    source="eq. 9, section 6.1",
    better="lower",
    applies=_tells("prefill"),
)
def prefill_energy(seen: Observation) -> Outcome:
    """Energy of prefill, J."""
    return _energy(seen, "prefill", "decode")


@metric(
    "energy.decode",
    unit="J",
    summary="Energy spent on decode in the window.",
    formula=_RULE,
    source="eq. 9, section 6.1",
    better="lower",
    applies=_tells("decode"),
)
def decode_energy(seen: Observation) -> Outcome:
    """Energy of decode, J."""
    return _energy(seen, "decode", "prefill")


def _energy(seen: Observation, kind: str, other: str) -> Outcome:
    if has_ledger(seen):
        booked = ledger_energy(seen, seen.among("ledger", "phase", (kind,)))
        if isinstance(booked, Absent):
            return booked
        return Value(booked.energy_j, booked.n, energy=booked.note)
    own, others = (phases(seen, of_kind(seen, name)) for name in (kind, other))
    alone, second, either = (energy_during(seen, spans) for spans in (own, others, own | others))
    if isinstance(alone, Absent):
        return alone
    if isinstance(second, Absent):
        return second
    if isinstance(either, Absent):
        return either
    both = alone.energy_j + second.energy_j - either.energy_j
    return Value(alone.energy_j - both / 2, alone.n, energy=alone.note)
