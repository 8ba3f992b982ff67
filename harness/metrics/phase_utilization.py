"""How far the machine is used in prefill and in decode, each over its own time."""

from functools import partial

from accelbench.harness.metrics.compute import (
    amount_inside,
    over_peak,
    peak_bandwidth,
    peak_flops,
    tells_both,
)
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric

_PHASES = ("prefill", "decode")


def _rate(seen: Observation, phase: str, column: str) -> Outcome:
    """FLOPs or bytes a second of the phases of one kind."""
    done = amount_inside(seen, column, (phase,))
    if isinstance(done, Absent):
        return done
    if done.busy_s == 0:
        return Absent(f"{phase} took no time", done.n)
    return Value(done.amount / done.busy_s, done.n)


def _flops(seen: Observation, phase: str) -> Outcome:
    return over_peak(_rate(seen, phase, "flops"), peak_flops(seen))


def _bandwidth(seen: Observation, phase: str) -> Outcome:
    return over_peak(_rate(seen, phase, "bytes"), peak_bandwidth(seen))


def _generates(seen: Observation) -> bool:
    return tells_both(seen) and bool(seen.among("phases", "kind", _PHASES).any())


for _phase in _PHASES:
    metric(
        f"flops.{_phase}_utilization",
        unit="1",
        summary=f"Achieved FLOP/s of {_phase} over the machine's peak.",
        formula=f"FLOPs of phases of kind {_phase} / the union of them in the window / peak of the"
        " platform sheet at the precision of the trace; other requests' phases may overlap",
        source="eq. 13, section 6.1; section 3.5.5",
        better="higher",
        applies=_generates,
    )(partial(_flops, phase=_phase))
    metric(
        f"bandwidth.{_phase}_utilization",
        unit="1",
        summary=f"Achieved memory bandwidth of {_phase} over that of the main memory.",
        formula=f"bytes of phases of kind {_phase} by the compulsory-traffic model / the union of"
        " them in the window / bandwidth of the sheet's first memory level",
        source="B_ach/B_peak, section 6.1; section 3.5.5",
        better="higher",
        applies=_generates,
    )(partial(_bandwidth, phase=_phase))
