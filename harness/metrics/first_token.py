"""What the time to the first token is made of (eq. 3)."""

import numpy as np
import pyarrow.compute as pc

from accelbench.harness.metrics.applies import streams, tells_prefill
from accelbench.harness.metrics.busy import ends, of_kind, starts
from accelbench.harness.metrics.distribution import Kind, per_request
from accelbench.harness.metrics.latency import prefill_time
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.once import once
from accelbench.harness.units import NS_PER_S


def _tells_parts(seen: Observation) -> bool:
    return streams(seen) and tells_prefill(seen)


def _tells_prefill_work(seen: Observation) -> bool:
    return (
        _tells_parts(seen)
        and seen.tells("phases", "request")
        and not np.isnan(_prefill_work(seen)).all()
    )


@per_request(
    Kind(
        "ttft.first_decode",
        unit="s",
        summary="the time from the end of prefill to the first token",
        formula="arrival of the first token - prefill end",
        source="eq. 3, section 6.2",
        needs="both a prefill end and a first token",
        applies=_tells_parts,
    )
)
def first_decode(seen: Observation) -> Numbers:
    """T_first-decode of equation 3, seconds; sampling and streaming alone where prefill samples."""
    return (seen.streams.first - seen.requests.prefill_end) / NS_PER_S


@per_request(
    Kind(
        "ttft.residual",
        unit="s",
        summary="the time to first token that queue, prefill work and first decode do not explain",
        formula="TTFT from due - (T_queue + sum of the request's phases of kind prefill +"
        " T_first-decode); what chunked prefill spends on other requests",
        source="eq. 3, section 6.2",
        needs="a queue exit, a prefill end, prefill phases and a first token",
        applies=_tells_prefill_work,
    )
)
def residual(seen: Observation) -> Numbers:
    """The check of equation 3, seconds."""
    told = np.where(np.isnan(seen.streams.first), np.nan, prefill_time(seen))
    return told - _prefill_work(seen)


def _prefill_work(seen: Observation) -> Numbers:
    """Time of each request's prefill phases together, s; NaN where it has none."""
    return once(seen, "prefill work", lambda: _sum_of_prefill(seen))


def _sum_of_prefill(seen: Observation) -> Numbers:
    rows = of_kind(seen, "prefill")
    named = seen.column("phases", "request").filter(rows)
    place = pc.index_in(named, value_set=seen.column("requests", "id"))
    lasted = (ends(seen) - starts(seen))[rows]
    known = np.asarray(pc.is_valid(place).to_numpy(zero_copy_only=False)) & ~np.isnan(lasted)
    of = np.asarray(pc.fill_null(place, 0).to_numpy(zero_copy_only=False))[known]
    size = seen.trace.num_rows("requests")
    work = np.bincount(of, weights=lasted[known], minlength=size)
    return np.where(np.bincount(of, minlength=size) > 0, work, np.nan) / NS_PER_S
