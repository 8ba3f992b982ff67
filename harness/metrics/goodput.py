"""Goodput: what was served within the service level, and by how much its tail met it.

A request meets the level when it is ok and every given threshold holds, on response times (from
the due instant); `itl_s` holds for its mean gap, and for a request with fewer than two tokens,
which has no gap.
"""

import numpy as np

from accelbench.harness.metrics.applies import (
    generates_or_is_idle,
    serves_or_is_idle,
    streams,
    trains,
)
from accelbench.harness.metrics.latency import e2e_response, itl_request, ttft_response
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.throughput import (
    NO_LENGTH,
    rate_over_slices,
    tokens_per_second,
)
from accelbench.harness.schema.trace import ServiceLevel
from accelbench.harness.statistics.intervals import percentile

_MET = "ok, with response times within every given threshold"
_TWO_TOKENS = 2


def meets_slo(seen: Observation) -> Flags:
    """Whether each request meets the service level; all that are ok where none is given.

    What a request does not tell does not hold.
    """
    level = seen.trace.head.slo or ServiceLevel()
    met = seen.requests.ok.copy()
    if level.e2e_s is not None:
        met &= e2e_response(seen) <= level.e2e_s
    if level.ttft_s is not None:
        met &= ttft_response(seen) <= level.ttft_s
    if level.itl_s is not None:
        has_gap = np.fmax(seen.output_tokens, seen.streams.count) >= _TWO_TOKENS
        met &= ~has_gap | (itl_request(seen) <= level.itl_s)
    return met


def _level(seen: Observation) -> ServiceLevel:
    return seen.trace.head.slo or ServiceLevel()


def _has_level(seen: Observation) -> bool:
    return not trains(seen) and _level(seen) != ServiceLevel()


def _has_level_and_tokens(seen: Observation) -> bool:
    return _has_level(seen) and generates_or_is_idle(seen)


def _has_e2e_level(seen: Observation) -> bool:
    return serves_or_is_idle(seen) and _level(seen).e2e_s is not None


def _has_e2e_level_and_tokens(seen: Observation) -> bool:
    return _has_e2e_level(seen) and generates_or_is_idle(seen)


@metric(
    "slo.attainment",
    unit="1",
    summary="Share of the requests due in the window that met the service level.",
    formula=f"requests due in the window that met the level ({_MET}) / requests due in the"
    " window; one that is not ok never meets it and always counts",
    source="eq. 6, section 6.2",
    better="higher",
    applies=_has_level,
)
def attainment(seen: Observation) -> Outcome:
    """Share of requests within the service level."""
    due = int(seen.requests.due_inside.sum())
    if due == 0:
        return Absent("no request was due in the window")
    blind = _blind(seen)
    if blind:
        return Absent(blind, due)
    met = int((meets_slo(seen) & seen.requests.due_inside).sum())
    return Value(met / due, due, reason="the interval of a share is taken over trials")


@metric(
    "goodput.requests",
    unit="request/s",
    summary="Requests completed within the service level a second.",
    formula=f"requests done in the window that met the level ({_MET}) / T_window",
    source="eq. 6, section 6.2",
    better="higher",
    applies=_has_level,
)
def goodput_requests(seen: Observation) -> Outcome:
    """Request goodput; 0 where none met the level."""
    if seen.length_ns == 0:
        return NO_LENGTH
    blind = _blind(seen)
    if blind:
        return Absent(blind)
    met = meets_slo(seen) & seen.requests.finished
    return rate_over_slices(seen, seen.requests.done[met], None, "requests within the level")


@metric(
    "goodput.tokens",
    unit="token/s",
    summary="Tokens a second of requests that met the service level.",
    formula="tokens that arrived in the window, of requests that met the level (each by its own"
    f" response times: {_MET}) / T_window",
    source="eq. 6, section 6.2",
    better="higher",
    applies=_has_level_and_tokens,
)
def goodput_tokens(seen: Observation) -> Outcome:
    """Token goodput; 0 where no request met the level."""
    blind = _blind(seen)
    return Absent(blind) if blind else _token_rate(seen, meets_slo(seen))


@metric(
    "goodput.tokens_paper",
    unit="token/s",
    summary="Tokens a second if the tail of all requests is within the service level, else 0.",
    formula="tokens that arrived in the window, of requests that are ok, / T_window where"
    " p99(done - due) over requests due in the window, +infinity for each that is not ok, is"
    " within the end-to-end threshold; else 0: the percentile of eq. 6 taken at its word, as a"
    " gate on the whole run",
    source="eq. 6 as printed, section 6.2",
    better="higher",
    applies=_has_e2e_level_and_tokens,
)
def goodput_tokens_paper(seen: Observation) -> Outcome:
    """Equation 6 with the population percentile that it prints."""
    margin = tail_ratio_censored(seen)
    if isinstance(margin, Absent) and margin.n == 0 and seen.requests.due_inside.any():
        return margin
    if isinstance(margin, Value) and margin.value <= 1:
        return _token_rate(seen, seen.requests.ok)
    return _token_rate(seen, np.zeros_like(seen.requests.ok))


@metric(
    "slo.p99_ratio",
    unit="1",
    summary="The p99 end-to-end time of completed requests over its threshold; at most 1 passes.",
    formula="p99(done - due), numpy linear, over completed requests due in the window / tau_e2e",
    source="eq. 6 text, section 6.2",
    better="lower",
    applies=_has_e2e_level,
)
def tail_ratio(seen: Observation) -> Outcome:
    """The run-level gate, over completed requests."""
    return _tail(seen, e2e_response(seen)[seen.requests.completed])


@metric(
    "slo.p99_ratio.censored",
    unit="1",
    summary="The p99 end-to-end time, failures counted, over its threshold; at most 1 passes.",
    formula="p99(done - due), numpy linear, over requests due in the window, +infinity for each"
    " that is not ok, / tau_e2e",
    source="eq. 6 text, section 6.2",
    better="lower",
    applies=_has_e2e_level,
)
def tail_ratio_censored(seen: Observation) -> Outcome:
    """The run-level gate, a failure being infinitely slow."""
    times = np.where(seen.requests.ok, e2e_response(seen), np.inf)
    return _tail(seen, times[seen.requests.due_inside])


def _tail(seen: Observation, times: Numbers) -> Outcome:
    threshold, times = _level(seen).e2e_s, times[~np.isnan(times)]
    assert threshold is not None
    if times.size == 0:
        return Absent("no request that was due in the window tells its end-to-end time")
    found = percentile(times, 99)
    if np.isinf(found):
        failed = int(np.isinf(times).sum())
        return Absent(f"infinite: {failed} of {times.size} requests failed", times.size)
    return Value(found / threshold, times.size)


def _token_rate(seen: Observation, chosen: Flags) -> Outcome:
    """Tokens of the chosen requests that arrived in the window, a second."""
    raw = tokens_per_second(seen)
    if isinstance(raw, Absent):
        return raw
    tokens = int(seen.streams.inside[chosen].sum())
    reason = "its tokens are counted by request, not over time, so there is no interval"
    return Value(tokens / seen.length_s, tokens, reason=reason)


def _blind(seen: Observation) -> str | None:
    """Why the level cannot be judged at all, in words."""
    level = _level(seen)
    if (level.ttft_s is None and level.itl_s is None) or streams(seen):
        return None
    if not seen.requests.ok.any():
        return None
    return "the service level has a threshold on tokens, but the trace tells of no arrival"
