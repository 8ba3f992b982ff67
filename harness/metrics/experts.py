"""Mixtures of experts: how evenly tokens are spread over them."""

import numpy as np

from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import readings, tells, total

_EACH = "the counter moe.expert_tokens, each of its scopes an expert"


@metric(
    "experts.balance",
    unit="1",
    summary="Tokens of the busiest expert over the mean of all; 1 is even.",
    formula=f"max / mean over experts of {_EACH}",
    source="section 3.6.5",
    better="lower",
    applies=tells("moe.expert_tokens"),
)
def balance(seen: Observation) -> Outcome:
    """Busiest over mean."""
    found = _tokens(seen)
    if isinstance(found, Absent):
        return found
    return Value(float(found.max() / found.mean()), found.size)


@metric(
    "experts.cv",
    unit="1",
    summary="Coefficient of variation of tokens over experts; 0 is even.",
    formula=f"population standard deviation / mean over experts of {_EACH}",
    source="section 3.6.5",
    better="lower",
    applies=tells("moe.expert_tokens"),
)
def variation(seen: Observation) -> Outcome:
    """Spread over mean."""
    found = _tokens(seen)
    if isinstance(found, Absent):
        return found
    return Value(float(found.std() / found.mean()), found.size)


@metric(
    "experts.drop_rate",
    unit="1",
    summary="Share of the tokens sent to experts for which none had room.",
    formula="counter moe.dropped_tokens / (counter moe.dropped_tokens + sum over experts of"
    f" {_EACH})",
    source="section 3.6.5",
    better="lower",
    applies=tells("moe.dropped_tokens"),
)
def drop_rate(seen: Observation) -> Outcome:
    """Dropped over all tokens."""
    dropped, given = total(seen, "moe.dropped_tokens"), total(seen, "moe.expert_tokens")
    if isinstance(dropped, Absent):
        return dropped
    if isinstance(given, Absent):
        return given
    tokens = dropped.value + given.value
    if tokens == 0:
        return Absent("no token was sent to an expert", given.n)
    return Value(dropped.value / tokens, given.n)


def _tokens(seen: Observation) -> Numbers | Absent:
    found = readings(seen, "moe.expert_tokens")
    if isinstance(found, Absent):
        return found
    tokens = np.array(list(found.values()))
    if tokens.sum() == 0:
        return Absent("no token was sent to an expert", tokens.size)
    return tokens
