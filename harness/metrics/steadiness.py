"""When a trial became steady: its cold start, its warm-up and its steady window, all reported.

The series that is classified is the service time for each unit of work, in order of sending, so
that a mix of long and short requests is not taken for a change of the machine. Nothing is
dropped: calls before the window (phases of kind "warmup") and requests in it are each told as
cold start, warm-up or steady window (the first call as both, where it is steady already), and the
metrics of the whole window stay what they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accelbench.harness.metrics.applies import streams, tells_samples
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Absent,
    Definition,
    Metric,
    Outcome,
    Value,
    define,
)
from accelbench.harness.statistics.steady_state import FEWEST, SteadyState, classify
from accelbench.harness.units import NS_PER_S

_SOURCE = "sections 3.6.1 and 6.2"
_DEPENDENT = "calls of one trial depend on one another"

COLD = define(
    Definition(
        "window.cold.service",
        "s",
        "Time of the very first call of the trial: compilation, caches and clocks still cold.",
        "end - start of the first warm-up call, or done - sent of the first request, the warm-up's"
        " included",
        _SOURCE,
        "lower",
    )
)
WARMUP = define(
    Definition(
        "window.warmup.service",
        "s",
        "Mean time of the calls after the first and before the steady state.",
        "mean of end - start over the other warm-up calls and of done - sent over requests sent"
        " before the steady state",
        _SOURCE,
        "lower",
    )
)
STEADY = define(
    Definition(
        "window.steady.service",
        "s",
        "Mean time of the calls in the steady state.",
        "mean of done - sent over requests from the start of the last steady segment of service"
        " times on (change points of mean and variance)",
        _SOURCE,
        "lower",
    )
)


@dataclass(frozen=True)
class ServiceSeries:
    """Completed requests that were due in the window, in order of sending.

    Attributes:
        sent: When each was sent, ns from the window's start.
        service: Its service time for each unit of work, s: for each token after the first where
            tokens arrive one by one, else for each sample, else for the request.
    """

    sent: Numbers
    service: Numbers


def service_series(seen: Observation) -> ServiceSeries:
    """The service times of a trial, free of how much work each request was."""
    requests = seen.requests
    if streams(seen):
        taken_ns, units = requests.done - seen.streams.first, seen.output_tokens - 1
    elif tells_samples(seen):
        taken_ns, units = requests.done - requests.sent, requests.samples
    else:
        taken_ns, units = requests.done - requests.sent, np.ones(requests.sent.size)
    chosen = requests.completed & ~np.isnan(requests.sent) & ~np.isnan(taken_ns) & (units > 0)
    service = taken_ns[chosen] / units[chosen] / NS_PER_S
    return ServiceSeries(*_in_order(requests.sent[chosen], service))


def steadiness(seen: Observation) -> SteadyState | None:
    """The class of a trial's `service_series`; None where it is empty."""
    service = service_series(seen).service
    return _classified(service.tobytes()) if service.size else None


def quarter_change(ordered: Numbers) -> float:
    """Relative change of the mean from the first to the last quarter; 0 where the first is 0."""
    quarter = max(ordered.size // 4, 1)
    first, last = float(ordered[:quarter].mean()), float(ordered[-quarter:].mean())
    return last / first - 1 if first else 0.0


@lru_cache(maxsize=2)
def _classified(values: bytes) -> SteadyState:
    """Once for the metrics, the validity code and the record of a trial."""
    return classify(np.frombuffer(values, dtype=np.float64))


def windows(seen: Observation) -> Mapping[str, Outcome]:
    """Cold start, warm-up and steady window of a trial, by name."""
    before, sent, service = _calls(seen)
    state = steadiness(seen)
    steady: Outcome
    if state is None or state.kind == "too short":
        warmup, steady = before[1:], _too_short(sent.size)
    else:
        begin = service.size if state.steady_from is None else _place(seen, sent, state.steady_from)
        warmup = np.concatenate((before, service[:begin]))[1:]
        steady = _mean(service[begin:], "the service times reach no steady state")
    return {
        COLD.name: Value(float(np.concatenate((before, service))[0]), 1),
        WARMUP.name: _mean(warmup, "no call lies between the first and the steady state"),
        STEADY.name: steady,
    }


def _calls(seen: Observation) -> tuple[Numbers, Numbers, Numbers]:
    """Times of warm-up calls; and when requests were sent and what they took; in order, s.

    A warm-up call is a phase of that kind, or a request that was due before the window.
    """
    start, end = seen.times("phases", "start_ns"), seen.times("phases", "end_ns")
    warm = seen.among("phases", "kind", ("warmup",)) & ~np.isnan(start) & ~np.isnan(end)
    requests = seen.requests
    service = requests.done - requests.sent
    early = requests.ok & (requests.due < 0) & ~np.isnan(service)
    _, before = _in_order(
        np.concatenate((start[warm], requests.sent[early])),
        np.concatenate(((end - start)[warm], service[early])),
    )
    taken = requests.completed & ~np.isnan(service)
    sent, took = _in_order(requests.sent[taken], service[taken])
    return before / NS_PER_S, sent, took / NS_PER_S


def _in_order(begun: Numbers, took: Numbers) -> tuple[Numbers, Numbers]:
    """Both in the order of beginning; of calls that began together the shorter comes first."""
    order = np.lexsort((took, begun))
    return begun[order], took[order]


def _place(seen: Observation, sent: Numbers, steady_from: int) -> int:
    """Which of the requests, in order of sending, is the first steady one of the series."""
    return int(np.searchsorted(sent, service_series(seen).sent[steady_from]))


def _too_short(count: int) -> Absent:
    return Absent(f"a steady state needs {FEWEST} completed requests, there are {count}", count)


def _mean(values: Numbers, otherwise: str) -> Outcome:
    if values.size == 0:
        return Absent(otherwise)
    return Value(float(values.mean()), values.size, reason=_DEPENDENT)


def _applies(seen: Observation) -> bool:
    """Some call has both a start and an end."""
    before, sent, _ = _calls(seen)
    return before.size + sent.size > 0


METRICS["window"] = Metric("window", _applies, windows)
