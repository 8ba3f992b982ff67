"""Memory of training: what is kept of weights, gradients, optimiser and activations."""

from functools import partial

from accelbench.harness.metrics.applies import trains
from accelbench.harness.metrics.memory import ADAM_BYTES
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Applies, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, tells, total

STATE = ("weights", "gradients", "optimizer_state")
"""The counters of what training keeps whatever the batch."""

_SUMMARIES = {
    "weights": "Memory of the weights in training.",
    "gradients": "Memory of the gradients.",
    "optimizer_state": "Memory of what the optimiser keeps, such as moments.",
    "activations": "Memory of what is kept for the backward pass, at its peak.",
}


def _trains_with(*counters: str) -> Applies:
    """Whether it is a training whose engine told all of these."""
    told = [tells(name) for name in counters]
    return lambda seen: trains(seen) and all(tells_it(seen) for tells_it in told)


for _name, _summary in _SUMMARIES.items():
    metric(
        f"memory.training.{_name}",
        unit="byte",
        summary=_summary,
        formula=f"last reading of the counter {_name}, added over its scopes",
        source="section 2.1",
        better="lower",
        applies=_trains_with(_name),
    )(partial(total, name=_name))


@metric(
    "memory.training.state",
    unit="byte",
    summary="Memory of training that does not depend on the batch.",
    formula=" + ".join(STATE) + ", from the counters of these names",
    source="section 2.1",
    better="lower",
    applies=_trains_with(*STATE),
)
def state(seen: Observation) -> Outcome:
    """Weights, gradients and optimiser state, bytes."""
    needed, n = 0.0, 0
    for name in STATE:
        part = total(seen, name)
        if isinstance(part, Absent):
            return part
        needed, n = needed + part.value, n + part.n
    return Value(needed, n)


@metric(
    "memory.training.per_parameter",
    unit="byte/parameter",
    summary=f"The same a parameter; the rule for Adam in mixed precision is {ADAM_BYTES[0]} to"
    f" {ADAM_BYTES[1]}.",
    formula="memory.training.state / the counter parameters; memory.adam_low and memory.adam_high"
    " are what the rule makes of that counter",
    source="section 2.1",
    better="lower",
    applies=_trains_with(*STATE, "parameters"),
)
def per_parameter(seen: Observation) -> Outcome:
    """Bytes of training state a parameter."""
    return ratio(state(seen), total(seen, "parameters"), "the model has no parameters")
