"""Latency: from due and from send to the first token, to the end, and between tokens.

Response is counted from the instant a request was due, service from the instant it was sent.
"""

import numpy as np

from accelbench.harness.metrics.applies import serves, streams, tells_prefill, tells_queue
from accelbench.harness.metrics.distribution import Kind, outcome_of, per_request
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Outcome, metric
from accelbench.harness.units import NS_PER_S


@per_request(
    Kind(
        "e2e.response",
        unit="s",
        summary="the time from when a request was due to its end",
        formula="done - due",
        source="eq. 2, section 6.2",
        needs="an end",
        applies=serves,
    ),
    censored=True,
    spread=True,
)
def e2e_response(seen: Observation) -> Numbers:
    """End-to-end time from the due instant, seconds."""
    return (seen.requests.done - seen.requests.due) / NS_PER_S


@per_request(
    Kind(
        "e2e.service",
        unit="s",
        summary="the time from when a request was sent to its end",
        formula="done - sent",
        source="eq. 2, section 6.2",
        needs="both a send and an end",
        applies=serves,
    ),
    spread=True,
)
def e2e_service(seen: Observation) -> Numbers:
    """End-to-end time from the send, seconds."""
    return (seen.requests.done - seen.requests.sent) / NS_PER_S


@per_request(
    Kind(
        "ttft.response",
        unit="s",
        summary="the time from when a request was due to its first token",
        formula="arrival of the first token - due",
        source="eq. 3, section 6.2",
        needs="a first token",
        applies=streams,
    ),
    censored=True,
)
def ttft_response(seen: Observation) -> Numbers:
    """Time to first token from the due instant, seconds."""
    return (seen.streams.first - seen.requests.due) / NS_PER_S


@per_request(
    Kind(
        "ttft.service",
        unit="s",
        summary="the time from when a request was sent to its first token",
        formula="arrival of the first token - sent",
        source="eq. 3, section 6.2",
        needs="a first token",
        applies=streams,
    )
)
def ttft_service(seen: Observation) -> Numbers:
    """Time to first token from the send, seconds."""
    return (seen.streams.first - seen.requests.sent) / NS_PER_S


@per_request(
    Kind(
        "itl.request",
        unit="s",
        summary="a request's mean gap between tokens",
        formula="(arrival of the last token - arrival of the first) / (tokens - 1)",
        source="eq. 4, section 6.2",
        needs="two tokens",
        applies=streams,
    )
)
def itl_request(seen: Observation) -> Numbers:
    """Mean gap of each request, seconds; none with fewer than two tokens."""
    tokens = seen.streams
    return _over(tokens.last - tokens.first, tokens.count - 1) / NS_PER_S


@per_request(
    Kind(
        "tpot",
        unit="s",
        summary="a request's time per output token after the first",
        formula="(done - arrival of the first token) / (L_out - 1)",
        source="eq. 4 text, section 6.2",
        needs="two output tokens",
        applies=streams,
    )
)
def tpot(seen: Observation) -> Numbers:
    """Time per output token of each request, seconds; none with fewer than two tokens."""
    return _over(seen.requests.done - seen.streams.first, seen.output_tokens - 1) / NS_PER_S


@per_request(
    Kind(
        "queue.time",
        unit="s",
        summary="the time from when a request was due to when it left the queue",
        formula="queue exit - due",
        source="eq. 3, section 6.2",
        needs="a queue exit",
        applies=tells_queue,
    )
)
def queue_time(seen: Observation) -> Numbers:
    """Time in the queue, seconds."""
    return (seen.requests.queue_exit - seen.requests.due) / NS_PER_S


@per_request(
    Kind(
        "prefill.time",
        unit="s",
        summary="a request's prefill time",
        formula="prefill end - queue exit",
        source="eq. 1, section 6.1",
        needs="both a queue exit and a prefill end",
        applies=tells_prefill,
    )
)
def prefill_time(seen: Observation) -> Numbers:
    """Prefill time, seconds."""
    return (seen.requests.prefill_end - seen.requests.queue_exit) / NS_PER_S


@per_request(
    Kind(
        "decode.time",
        unit="s",
        summary="a request's decode time",
        formula="done - prefill end",
        source="eq. 1, section 6.1",
        needs="both a prefill end and an end",
        applies=tells_prefill,
    )
)
def decode_time(seen: Observation) -> Numbers:
    """Decode time, seconds."""
    return (seen.requests.done - seen.requests.prefill_end) / NS_PER_S


@per_request(
    Kind(
        "total.paper",
        unit="s",
        summary="a request's prefill and decode time, without the queue",
        formula="T_prefill + T_decode",
        source="eq. 1, section 6.1",
        needs="a queue exit, a prefill end and an end",
        applies=tells_prefill,
    )
)
def total_paper(seen: Observation) -> Numbers:
    """Total time as equation 1 prints it, seconds."""
    return prefill_time(seen) + decode_time(seen)


@metric(
    "itl.mean_paper",
    unit="s",
    summary="Mean over requests of decode time per output token, as the survey prints it.",
    formula="T_decode / L_out, mean over completed requests due in the window; low by"
    " (L_out - 1) / L_out where the first token comes from prefill",
    source="eq. 4, section 6.2",
    better="lower",
    applies=tells_prefill,
)
def itl_mean_paper(seen: Observation) -> Outcome:
    """Equation 4 as printed."""
    completed = seen.requests.completed[seen.turn]
    values = _over(decode_time(seen), seen.output_tokens)[seen.turn][completed]
    return outcome_of(seen, values, "both a decode time and an output token")


def _over(total: Numbers, count: Numbers) -> Numbers:
    """The quotient where the count is positive, NaN elsewhere."""
    quotient = np.full(total.shape, np.nan)
    np.divide(total, count, out=quotient, where=count > 0)
    return quotient
