"""Throughput: tokens, requests and samples a second."""

from dataclasses import replace

import numpy as np

from accelbench.harness.metrics.applies import (
    generates_or_is_idle,
    serves_or_is_idle,
    streams,
    tells_cache,
    tells_prefill,
    tells_samples,
)
from accelbench.harness.metrics.distribution import value_of
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.spans import covered_ns
from accelbench.harness.metrics.streams import SLICES, Integers
from accelbench.harness.statistics.dependent import FEWEST, rate_interval
from accelbench.harness.units import NS_PER_S

NO_LENGTH = Absent("the window has no length")


@metric(
    "tp.requests",
    unit="request/s",
    summary="Requests completed a second.",
    formula="requests that are ok and done in the window / T_window",
    source="section 6.2",
    better="higher",
    applies=serves_or_is_idle,
)
def requests_per_second(seen: Observation) -> Outcome:
    """Request rate; 0 where none was completed."""
    if seen.length_ns == 0:
        return NO_LENGTH
    finished = seen.requests.finished
    return rate_over_slices(seen, seen.requests.done[finished], None, "requests")


@metric(
    "tp.samples",
    unit="sample/s",
    summary="Samples completed a second.",
    formula="samples of requests that are ok and done in the window / T_window",
    source="section 6.2",
    better="higher",
    applies=tells_samples,
)
def samples_per_second(seen: Observation) -> Outcome:
    """Sample rate; 0 where no request was completed."""
    if seen.length_ns == 0:
        return NO_LENGTH
    samples = sum_over(seen.requests.samples, seen.requests.finished, "samples")
    if isinstance(samples, Absent):
        return samples
    finished = seen.requests.finished
    return rate_over_slices(
        seen, seen.requests.done[finished], seen.requests.samples[finished], "requests"
    )


@metric(
    "tp.system",
    unit="token/s",
    summary="Tokens emitted a second, of all requests together.",
    formula="tokens that arrived in the window / T_window",
    source="TP_sys, section 6.2",
    better="higher",
    applies=generates_or_is_idle,
)
def tokens_per_second(seen: Observation) -> Outcome:
    """System throughput; 0 where no token was asked for or none came."""
    if seen.length_ns == 0:
        return NO_LENGTH
    if not streams(seen) and np.nansum(seen.requests.output_tokens) > 0:
        return Absent("the trace tells how many tokens came, but not when")
    if seen.streams.uncounted:
        return Absent("an arrival in the window does not tell how many tokens it brought")
    return _rate_of(seen.streams.arrived, seen.length_s, int(seen.streams.arrived.sum()), "tokens")


@metric(
    "tp.prefill",
    unit="token/s",
    summary="Prompt tokens a second of prefill, cached ones too.",
    formula="sum of L_in / union of [queue exit, prefill end], over requests that are ok and"
    " done in the window",
    source="eq. 5, section 6.2",
    better="higher",
    applies=tells_prefill,
)
def prefill_throughput(seen: Observation) -> Outcome:
    """Equation 5 for prefill."""
    requests = seen.requests
    return _rate(seen, requests.input_tokens, requests.queue_exit, requests.prefill_end)


@metric(
    "tp.prefill.computed",
    unit="token/s",
    summary="Prompt tokens that were computed, not found in a cache, a second of prefill.",
    formula="sum of (L_in - cached L_in) / union of [queue exit, prefill end], over requests"
    " that are ok and done in the window",
    source="eq. 5, section 6.2",
    better="higher",
    applies=tells_cache,
)
def prefill_throughput_computed(seen: Observation) -> Outcome:
    """Equation 5 for prefill, without what a prefix cache saved."""
    requests = seen.requests
    computed = requests.input_tokens - requests.cached_input_tokens
    return _rate(seen, computed, requests.queue_exit, requests.prefill_end)


@metric(
    "tp.decode",
    unit="token/s",
    summary="Output tokens a second of decode.",
    formula="sum of L_out / union of [prefill end, done], over requests that are ok and done"
    " in the window",
    source="eq. 5, section 6.2",
    better="higher",
    applies=tells_prefill,
)
def decode_throughput(seen: Observation) -> Outcome:
    """Equation 5 for decode."""
    return _rate(seen, seen.output_tokens, seen.requests.prefill_end, seen.requests.done)


def _rate_of(by_slice: Numbers | Integers, length_s: float, n: int, what: str) -> Outcome:
    value = float(by_slice.sum()) / length_s
    if n < FEWEST:
        return Value(value, n, reason=f"an interval of a rate needs {FEWEST} {what}, there are {n}")
    found = rate_interval(by_slice.astype(np.float64), length_s / SLICES)
    return value_of(replace(found, value=value, n=n), "samples")


def rate_over_slices(seen: Observation, at: Numbers, amounts: Numbers | None, what: str) -> Outcome:
    """The rate of what was done at these times, its interval over equal slices of the window.

    Args:
        seen: The trial, whose window has a length.
        at: Times in the window, ns.
        amounts: What was done at each; None for one.
        what: What is counted, for the reason.
    """
    place = np.minimum((at / seen.length_ns * SLICES).astype(np.int64), SLICES - 1)
    by_slice = np.bincount(place, weights=amounts, minlength=SLICES)
    return _rate_of(by_slice, seen.length_s, at.size, what)


def sum_over(values: Numbers, chosen: Flags, what: str) -> Outcome:
    """The sum over the chosen requests, absent where one of them does not tell.

    Args:
        values: By request.
        chosen: Which requests to take.
        what: What is summed, for the reason.
    """
    taken = values[chosen]
    silent = int(np.isnan(taken).sum())
    if silent:
        return Absent(f"{silent} of {taken.size} completed requests do not tell their {what}")
    return Value(float(taken.sum()), taken.size)


def inferences(seen: Observation) -> Outcome:
    """Inferences completed in the window: samples, or requests where these do not tell any."""
    samples = np.nan_to_num(seen.requests.samples, nan=1.0)
    return sum_over(samples, seen.requests.finished, "inferences")


def _rate(seen: Observation, tokens: Numbers, start: Numbers, end: Numbers) -> Outcome:
    """Tokens over the union of their requests' phase time."""
    finished = seen.requests.finished
    if not finished.any():
        return Absent("no request was completed in the window")
    total = sum_over(tokens, finished, "tokens")
    if isinstance(total, Absent):
        return total
    start, end = start[finished], end[finished]
    if np.isnan(start).any() or np.isnan(end).any():
        return Absent("a completed request does not tell when its phase began and ended", total.n)
    busy_ns = covered_ns(start, end)
    if busy_ns == 0:
        return Absent("the phase took no time", total.n)
    return Value(total.value * NS_PER_S / busy_ns, total.n)
