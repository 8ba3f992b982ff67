"""What decoding saves and what it moves: prefix cache, speculation, bytes for each token."""

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.busy import of_kind
from accelbench.harness.metrics.compute import amount_inside
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, tells, total
from accelbench.harness.metrics.throughput import sum_over, tokens_per_second


def _tells_cached(seen: Observation) -> bool:
    return serves(seen) and seen.tells("requests", "cached_input_tokens")


def _decodes(seen: Observation) -> bool:
    return seen.tells("phases", "bytes") and bool(of_kind(seen, "decode").any())


@metric(
    "cache.hit_rate",
    unit="1",
    summary="Share of the prompt tokens that a prefix cache had.",
    formula="sum of cached L_in / sum of L_in, over requests that are ok and done in the window",
    source="section 5.5.3",
    better="higher",
    applies=_tells_cached,
)
def hit_rate(seen: Observation) -> Outcome:
    """Cached over all prompt tokens."""
    requests = seen.requests
    cached = sum_over(requests.cached_input_tokens, requests.finished, "cached tokens")
    asked = sum_over(requests.input_tokens, requests.finished, "input tokens")
    return ratio(cached, asked, "no prompt token was completed in the window")


@metric(
    "speculation.acceptance",
    unit="1",
    summary="Share of the drafted tokens that were kept.",
    formula="accepted / drafted tokens, from the counters speculation.accepted and"
    " speculation.drafted; output tokens are those emitted, the energy of drafts stays in E",
    source="section 5.5.3",
    better="higher",
    applies=tells("speculation.drafted", "speculation.accepted"),
)
def acceptance(seen: Observation) -> Outcome:
    """Accepted over drafted tokens."""
    accepted, drafted = total(seen, "speculation.accepted"), total(seen, "speculation.drafted")
    return ratio(accepted, drafted, "no token was drafted")


@metric(
    "bytes.per_token",
    unit="byte/token",
    summary="Memory traffic of decode for each token that it made.",
    formula="bytes of phases of kind decode, each by its share inside the window / tokens that"
    " arrived in the window, the first of each request left out, because prefill makes it",
    source="section 5.4.2",
    better="lower",
    applies=_decodes,
)
def bytes_per_token(seen: Observation) -> Outcome:
    """Bytes moved for each decoded token."""
    raw = tokens_per_second(seen)
    if isinstance(raw, Absent):
        return raw
    tokens = seen.streams
    made = float((tokens.inside - seen.inside(tokens.first)).sum())
    moved = amount_inside(seen, "bytes", ("decode",))
    if isinstance(moved, Absent):
        return moved
    return ratio(
        Value(moved.amount, moved.n),
        Value(made, int(made)),
        "no token after the first of its request arrived in the window",
    )
