"""Validity of the load: was it sent when it was due, and does the generator bound the figures?"""

import math

import numpy as np

from accelbench.harness.judge.arrivals import Fidelity, fidelity
from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.applies import streams
from accelbench.harness.schema.rules import Limits
from accelbench.harness.statistics.intervals import percentile
from accelbench.harness.units import human, seconds

MERGED = 0.01
"""Share of gaps between tokens that may have no length; more of them move the p99 of the gaps."""

BUSY = 0.9
"""Share of a processor beyond which a dispatcher that is late is late for want of it."""

_MEDIANS = ("ttft.service.p50", "e2e.service.p50")


def generator_late(case: Case) -> str | None:
    """p99 of |sent - due| in an open loop; what was never sent is infinitely late.

    Response times count from the due instant, so that the generator's lateness is in them; what
    is sent too early shortens them.
    """
    requests = case.seen.requests
    due = requests.due[requests.due_inside]
    if case.seen.trace.head.arrivals is None or due.size == 0:
        return None
    sent = requests.sent[requests.due_inside]
    late = seconds(percentile(np.where(np.isnan(sent), math.inf, abs(sent - due)), 99))
    limit, how = _allowed(case, case.limits.lateness_s)
    if late <= limit:
        return None
    unsent = int(np.isnan(sent).sum())
    told = f" ({unsent} of {due.size} were never sent)" if unsent else ""
    return (
        f"p99 of |sent - due| is {human(late, 's')}{told}, at most {how} is allowed:"
        " give the load generator more processors, or lower the rate"
    )


def arrivals_off(case: Case) -> str | None:
    """The process of sends against that of the schedule in an open loop; see `arrivals`."""
    requests = case.seen.requests
    if case.seen.trace.head.arrivals is None:
        return None
    inside = requests.due_inside
    found = fidelity(requests.due[inside], requests.sent[inside])
    off = _differences(found, case.limits) if found else []
    if not off:
        return None
    return (
        f"sends do not follow the schedule: {'; '.join(off)}: give the load generator more"
        " processors, lower the rate, or raise its limit of open requests"
    )


def _differences(found: Fidelity, limits: Limits) -> list[str]:
    """Each figure that lies beyond its limit, in words."""
    off = []
    if abs(found.rate - 1) > limits.arrivals_rate:
        within = f"within {limits.arrivals_rate:.1%}"
        off.append(f"their rate is {found.rate:.3g} of the schedule's ({within})")
    if max(found.dispersion, 1 / found.dispersion) > limits.arrivals_dispersion:
        within = f"within a factor of {limits.arrivals_dispersion:g}"
        off.append(
            f"1 + the dispersion of counts is {found.dispersion:.3g} times the schedule's ({within})"
        )
    cv, scheduled = found.cv, found.scheduled_cv
    if abs(cv - scheduled) / max(1.0, scheduled) > limits.arrivals_cv:
        within = f"within {limits.arrivals_cv * max(1.0, scheduled):.3g}"
        off.append(f"the CV of gaps is {cv:.3g} instead of {scheduled:.3g} ({within})")
    if found.ks > limits.arrivals_ks:
        off.append(f"the KS distance of gaps is {found.ks:.3g} (at most {limits.arrivals_ks:g})")
    return off


def client_bound(case: Case) -> str | None:
    """What the generator adds, as calibrated and as the run itself shows, against its limit.

    Calibration tells the error of a stamp at this rate. The run tells how long bytes waited until
    a dispatcher read them, which harms where tokens that came one after another were then read
    together and so have one stamp; and whether a dispatcher that was late had used up its processor.
    """
    limit, how = _allowed(case, case.limits.client_s)
    error, lag = case.worst("generator.error"), case.worst("generator.stamp_lag")
    merged = _merged(case) if lag is not None and lag > limit else 0.0
    found = []
    if error is not None and error > limit:
        found.append(
            f"the load generator alone errs by {human(error, 's')} at this rate, at most {how} is"
            " allowed"
        )
    if lag is not None and merged > MERGED:
        found.append(
            f"{merged:.1%} of tokens were read together with the one before, and p99 of the time"
            f" until a dispatcher read what had arrived is {human(lag, 's')}, at most {how} is"
            " allowed"
        )
    busy = case.worst("generator.cpu_share")
    late = merged > MERGED or generator_late(case) is not None
    if late and busy is not None and busy > BUSY:
        found.append(
            f"a dispatcher that was late used {busy:.0%} of its processor, at most {BUSY:.0%} leaves"
            " it time"
        )
    return f"{'; '.join(found)}: give it more processors, or lower the rate" if found else None


def _merged(case: Case) -> float:
    """Share of the gaps between tokens that have no length."""
    if not streams(case.seen):
        return 0.0
    gaps = case.seen.streams.gaps
    none = int((gaps.ns == 0).sum() + gaps.zeros.sum())
    return none / gaps.count if gaps.count else 0.0


def _allowed(case: Case, least_s: float) -> tuple[float, str]:
    """The larger of a time and a share of the median service time, and in words."""
    share = case.limits.client_share
    for name in _MEDIANS:
        median = case.value(name)
        if median is not None and share * median > least_s:
            return share * median, f"{human(share * median, 's')} ({share:.1%} of {name})"
        if median is not None:
            break
    return least_s, human(least_s, "s")
