"""Time to the first token that is no reasoning, where a model reasons before it answers.

`ttft` is of the first token of any kind, as the survey has it and as a service level counts it: a
server has begun to answer. A reader of the answer waits for its first content token, which is
given apart and only where there are reasoning tokens; elsewhere the two are one number.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from accelbench.harness.metrics.applies import streams
from accelbench.harness.metrics.distribution import Kind, per_request
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.units import NS_PER_S

_COLUMNS = ("id", "at_ns", "count", "kind")


def _reasons(seen: Observation) -> bool:
    return streams(seen) and bool(seen.streams.reasoning.any())


@per_request(
    Kind(
        "ttft.content.response",
        unit="s",
        summary="the time from when a request was due to its first token that is no reasoning",
        formula="arrival of the first token that is not of kind reasoning - due",
        source="eq. 3, section 6.2",
        needs="a token that is no reasoning",
        applies=_reasons,
    ),
    censored=True,
)
def content_response(seen: Observation) -> Numbers:
    """Time to the first content token from the due instant, seconds."""
    return (first_content(seen) - seen.requests.due) / NS_PER_S


@per_request(
    Kind(
        "ttft.content.service",
        unit="s",
        summary="the time from when a request was sent to its first token that is no reasoning",
        formula="arrival of the first token that is not of kind reasoning - sent",
        source="eq. 3, section 6.2",
        needs="a token that is no reasoning",
        applies=_reasons,
    )
)
def content_service(seen: Observation) -> Numbers:
    """Time to the first content token from the send, seconds."""
    return (first_content(seen) - seen.requests.sent) / NS_PER_S


def first_content(seen: Observation) -> Numbers:
    """By request, when its first token that is no reasoning arrived, ns; NaN where none did."""
    return once(seen, "first content", lambda: _first_content(seen))


def _first_content(seen: Observation) -> Numbers:
    """The tokens are read once more, a part at a time; only what reasons pays for it."""
    requests = seen.column("requests", "id")
    first = np.full(len(requests), np.inf)
    for part in seen.trace.parts("tokens", _COLUMNS):
        content = pc.fill_null(pc.not_equal(part.column("kind"), "reasoning"), fill_value=True)
        counted = pc.fill_null(pc.greater(part.column("count"), 0), fill_value=True)
        told = pc.and_(pc.and_(content, counted), pc.is_valid(part.column("at_ns")))
        kept = part.filter(told)
        place = pc.index_in(kept.column("id").cast(pa.string()), value_set=requests)
        known = np.asarray(pc.is_valid(place).to_numpy(), dtype=np.bool_)
        at = np.asarray(kept.column("at_ns").to_numpy())[known] - seen.trace.head.window_ns[0]
        np.minimum.at(first, np.asarray(place.drop_null().to_numpy(), dtype=np.int64), at)
    return np.where(np.isinf(first), np.nan, first)
