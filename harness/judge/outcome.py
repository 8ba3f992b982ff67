"""Validity of what came out: counts that can be true, enough of them, steady, and good enough."""

import math
from collections.abc import Sequence

from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.classes import class_names, of_class, tells_classes
from accelbench.harness.metrics.registry import definition_of
from accelbench.harness.metrics.steadiness import quarter_change, service_series, steadiness
from accelbench.harness.schema.quality import better, meets
from accelbench.harness.statistics.steady_state import Segment
from accelbench.harness.units import human

_FEWEST_FOR_DRIFT = 8
_ROUNDING_S = 1e-9
_REMEDIES = {
    "warm-up": "warm up longer",
    "slow-down": "look for heat, memory that grows, or a queue that does",
    "no steady state": "warm up and measure longer",
    "too short": "warm up longer, or ask for more requests",
}
"""By the class of a series that is not flat."""


def arithmetic(case: Case) -> str | None:
    """Achieved FLOP/s against the roofline, with a nanosecond's rounding for each phase.

    What was measured is no law: a better kernel passes such a peak, a cache such a bandwidth.
    """
    if _is_measured(case):
        return None
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


def _is_measured(case: Case) -> bool:
    """Whether the roofline rests on a figure that was measured."""
    sheet, precision = case.seen.platform, case.seen.trace.head.precision
    if sheet is None or precision is None:
        return False
    figures = (sheet.peak.get(precision), sheet.main_bandwidth)
    return any(figure is not None and figure.kind == "measured" for figure in figures)


def quality_below_gate(case: Case) -> str | None:
    """The model's quality against the workload's gate; what was not evaluated has not passed."""
    if case.gate is None:
        return None
    metric, gate = case.gate.metric, case.gate.value
    bound = "at most" if better(metric) == "lower" else "at least"
    value = case.value(f"quality.{metric}")
    if value is None:
        prefix = "quality."
        told = [name.removeprefix(prefix) for name in case.measurements if name.startswith(prefix)]
        remedy = f"ask for {' or '.join(told)}" if told else "evaluate it on the test split"
        return f"{metric} was not evaluated, {bound} {gate:g} is asked for: {remedy}"
    if meets(metric, value, gate):
        return None
    return f"{metric} is {value:.6g}, {bound} {gate:g} is asked for: check weights and precision"


def requests_failed(case: Case) -> str | None:
    """Requests due in the window that are not ok; none may be."""
    requests = case.seen.requests
    due, failed = int(requests.due_inside.sum()), int((requests.due_inside & ~requests.ok).sum())
    if failed == 0:
        return None
    return (
        f"{failed} of {due} requests due in the window failed, none may:"
        " see column `error` of the trace's requests"
    )


def target_not_met(case: Case) -> str | None:
    """A training trial whose evaluations never met its target."""
    found = case.measurements.get("train.time_to_target")
    if found is None or found.value is not None:
        return None
    return f"{found.reason}: allow more epochs or lower the target"


def too_few_samples(case: Case) -> str | None:
    """Requests and length of the window against the least, and claimed intervals that are not."""
    count, needed = int(case.seen.requests.finished.sum()), case.limits.samples
    if count < needed:
        return (
            f"{count} requests were completed in the window, at least {needed} are asked for:"
            " ask for more requests"
        )
    if short := _too_short(case):
        return short
    if unseen := _unseen_classes(case):
        return unseen
    lacking = [told for name in case.rules.claims if (told := _without_interval(case, name))]
    if not lacking:
        return None
    return f"{'; '.join(lacking)}: ask for more requests, or claim less"


def _too_short(case: Case) -> str | None:
    """A window shorter than the rules ask for, with the requests that fill it at this rate."""
    length_s, least_s = case.seen.length_s, case.limits.duration_s
    due = int(case.seen.requests.due_inside.sum())
    if length_s >= least_s or not serves(case.seen):
        return None
    detail = f"the window lasts {length_s:.4g} s, at least {least_s:g} s are asked for"
    if not (due and length_s):
        return f"{detail}: ask for more requests"
    needed = math.ceil(due * least_s / length_s)
    return (
        f"{detail}: ask for about {needed} requests or batches instead of {due}, by the rate seen"
    )


def _unseen_classes(case: Case) -> str | None:
    """Classes of a mix of which no request that was due in the window was completed."""
    seen = case.seen
    classes = class_names(seen) if tells_classes(seen) else ()
    unseen = [name for name in classes if not of_class(seen, name).requests.completed.any()]
    if not unseen:
        return None
    return (
        f"no request of class {', '.join(unseen)} was completed in the window:"
        " ask for more requests, or for larger shares"
    )


def _without_interval(case: Case, name: str) -> str | None:
    """Why a metric lacks the interval that the rules claim; None where it does not apply."""
    found = case.measurements.get(name)
    if found is None:
        return None if _known(name) else f"an interval of {name!r} is claimed, which is no metric"
    if found.interval is not None:
        return None
    return f"an interval of {name} is claimed: {found.reason or 'it has none'}"


def _known(name: str) -> bool:
    try:
        definition_of(name)
    except KeyError:
        return False
    return True


def unsteady(case: Case) -> str | None:
    """How far the service times moved in a series that is not steady from first to last.

    A series too short to be classified is held to the change between its quarters.
    """
    state, service = steadiness(case.seen), service_series(case.seen).service
    if not serves(case.seen) or state is None or service.size < _FEWEST_FOR_DRIFT:
        return None
    limit, drift = case.limits.drift, quarter_change(service)
    moved = _largest_change(state.segments) if state.segments else drift
    if state.kind == "flat" or abs(moved) <= limit:
        return None
    return (
        f"{state.kind}: the service time was up to {moved:+.1%} off its last level, and changed by"
        f" {drift:+.1%} from the first to the last quarter of requests, at most {limit:.1%} is"
        f" allowed: {_REMEDIES[state.kind]}"
    )


def _largest_change(segments: Sequence[Segment]) -> float:
    """How far the mean of a segment lies from that of the last, relative, with its sign."""
    last = segments[-1].mean
    return max((part.mean / last - 1 for part in segments), key=abs) if last else 0.0
