"""Is a trial what it was meant to be: the closed list of validity codes.

`arithmetic`          more FLOP/s than the roofline allows: something was counted wrongly
`foreign_load`        others used more of the machine's CPU time than allowed
`quality_below_gate`  the model's quality is below the gate, or was not evaluated
`requests_failed`     a request that was due in the window is not ok
`target_not_met`      no evaluation of a training trial met its target
`too_few_samples`     fewer requests were completed than the rules ask for
`unsteady`            the mean service time drifted from the first to the last quarter of the
                      requests in order of sending (8 or more; training steps are not checked,
                      as their window holds one-off costs on purpose)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.trace import Trace
from accelbench.harness.units import human

_FEWEST_FOR_DRIFT = 8
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class _Case:
    """All a check may look at."""

    seen: Observation
    measurements: Mapping[str, Measurement]
    limits: Limits
    gate: Gate | None
    observed: Mapping[str, float]

    def value(self, name: str) -> float | None:
        """The value of a measurement, or None."""
        found = self.measurements.get(name)
        return found.value if found else None


def judge(
    trace: Trace,
    measurements: Mapping[str, Measurement],
    rules: Rules,
    gate: Gate | None,
    observed: Mapping[str, float],
) -> tuple[Reason, ...]:
    """Why a trial is invalid, and what it warns of.

    A code that the rules name neither under `invalid` nor under `warn` is not reported.

    Args:
        trace: The trial.
        measurements: Its metrics.
        rules: What it is held against.
        gate: The quality gate of the workload, or None.
        observed: What was seen beside the trace: "foreign_cpu_share", the share of the
            machine's CPU time in the window that others used.
    """
    case = _Case(Observation(trace), measurements, rules.limits, gate, observed)
    reasons: list[Reason] = []
    for code, check in CHECKS.items():
        level: Literal["invalid", "warning"] = "invalid" if code in rules.invalid else "warning"
        if code in rules.invalid or code in rules.warn:
            detail = check(case)
            if detail:
                reasons.append(Reason(code, detail, level))
    return tuple(reasons)


def status(reasons: Sequence[Reason]) -> Literal["valid", "invalid"]:
    """Whether a trial with these reasons counts."""
    return "valid" if all(reason.level == "warning" for reason in reasons) else "invalid"


def _arithmetic(case: _Case) -> str | None:
    achieved, bound = case.value("flops.achieved"), case.value("roofline.bound")
    total, found = case.value("flops.total"), case.measurements.get("flops.achieved")
    if not (achieved and bound and total and found):
        return None
    rounding = 1e-6 + found.n * _ROUNDING_S * achieved / total
    if achieved <= bound * (1 + rounding):
        return None
    return (
        f"{human(achieved, 'FLOP/s')} achieved, but the roofline allows {human(bound, 'FLOP/s')}:"
        " check the FLOP count and the sheet's peak and bandwidth, and whether the data stays"
        " in a cache"
    )


def _foreign_load(case: _Case) -> str | None:
    share, limit = case.observed.get("foreign_cpu_share"), case.limits.foreign_cpu_share
    if share is None or share <= limit:
        return None
    return (
        f"other processes used {share:.1%} of the CPU time, at most {limit:.1%} is allowed:"
        " stop them and run again"
    )


def _quality_below_gate(case: _Case) -> str | None:
    if case.gate is None:
        return None
    name, least = f"quality.{case.gate.metric}", case.gate.value
    value = case.value(name)
    if value is None:
        return (
            f"{case.gate.metric} was not evaluated, at least {least:g} is asked for:"
            " evaluate it on the test split"
        )
    if value >= least:
        return None
    return (
        f"{case.gate.metric} is {value:.6g}, at least {least:g} is asked for:"
        " check weights and precision"
    )


def _requests_failed(case: _Case) -> str | None:
    requests = case.seen.requests
    due, failed = int(requests.due_inside.sum()), int((requests.due_inside & ~requests.ok).sum())
    if failed == 0:
        return None
    return (
        f"{failed} of {due} requests due in the window failed, none may:"
        " see column `error` of the trace's requests"
    )


def _target_not_met(case: _Case) -> str | None:
    found = case.measurements.get("train.time_to_target")
    if found is None or found.value is not None:
        return None
    return f"{found.reason}: allow more epochs or lower the target"


def _too_few_samples(case: _Case) -> str | None:
    count, needed = int(case.seen.requests.finished.sum()), case.limits.samples
    if count >= needed:
        return None
    return (
        f"{count} requests were completed in the window, at least {needed} are asked for:"
        " ask for more requests"
    )


def _unsteady(case: _Case) -> str | None:
    requests = case.seen.requests
    taken = requests.finished & ~np.isnan(requests.sent)
    sent, service = requests.sent[taken], (requests.done - requests.sent)[taken]
    if not serves(case.seen) or sent.size < _FEWEST_FOR_DRIFT:
        return None
    ordered = service[np.argsort(sent, kind="stable")]
    quarter = ordered.size // 4
    first, last = float(ordered[:quarter].mean()), float(ordered[-quarter:].mean())
    if first == 0 or abs(last / first - 1) <= case.limits.drift:
        return None
    return (
        f"mean service time changed by {last / first - 1:+.1%} from the first to the last quarter"
        f" of requests, at most {case.limits.drift:.1%} is allowed: warm up longer, or cool down"
    )


CHECKS: Mapping[str, Callable[[_Case], str | None]] = {
    "arithmetic": _arithmetic,
    "foreign_load": _foreign_load,
    "quality_below_gate": _quality_below_gate,
    "requests_failed": _requests_failed,
    "target_not_met": _target_not_met,
    "too_few_samples": _too_few_samples,
    "unsteady": _unsteady,
}
"""The detail of each code, or None where all is well."""
