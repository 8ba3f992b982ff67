"""Validity of a latency claim: are its slow requests few enough, of enough requests."""

from accelbench.harness.judge.case import Case
from accelbench.harness.metrics.early_stop import MULTI, SINGLE, Held, held
from accelbench.harness.units import human

_REMEDY = "ask for a lower load, a wider limit, or more requests"


def early_stopping(case: Case) -> str | None:
    """Each threshold of the service level at p99, and requests enough for what streams report.

    A single stream and a multi-stream load have no limit of their own: they need so many requests
    that there is a figure. An open loop has nothing but its limit, so it needs a service level.
    """
    head = case.seen.trace.head
    found = held(case.seen)
    missed = [_told(one) for one in found if not one.passes]
    if missed:
        return f"{'; '.join(missed)}: {_REMEDY}"
    if head.arrivals is not None and not found:
        return (
            "an open loop is judged by its limits, at least one is asked for: give scenario.slo"
            " ttft_s and itl_s, or e2e_s"
        )
    for name in (SINGLE, MULTI):
        figure = case.measurements.get(name)
        if figure is not None and figure.value is None:
            return f"{figure.reason}, at least so many are asked for: ask for more requests"
    return None


def _told(one: Held) -> str:
    return (
        f"{one.over} of {one.n} requests took longer than {human(one.limit_s, 's')}"
        f" ({one.quantity}), so many may of at least {one.needed}"
    )
