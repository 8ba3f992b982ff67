"""How far the energy of an inference is spread where what is executed depends on the input."""

import numpy as np

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.busy import Spans
from accelbench.harness.metrics.evaluations import tells_figure
from accelbench.harness.metrics.meters import energy_of_each, has_ledger, watched
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import tells
from accelbench.harness.units import NS_PER_S, human

_FEWEST_READINGS = 2
_FEWEST_REQUESTS = 2


def _conditional(seen: Observation) -> bool:
    """Whether energy is watched of a model that executes more or less of itself by its input."""
    leaves_early, routes = tells_figure("exit.depth"), tells("moe.expert_tokens")
    return serves(seen) and watched(seen) and (leaves_early(seen) or routes(seen))


@metric(
    "energy.per_inference.sd",
    unit="J/inference",
    summary="Spread of the energy of an inference, where early exits or experts make it vary.",
    formula="population standard deviation over requests that are ok and done in the window of E"
    " from sent to done / samples (1 where not told); absent where energy is not metered, where"
    f" requests overlap, or where one has less than {_FEWEST_READINGS} readings inside it",
    source="section 3.1.2; section 3.1.5",
    better="neither",
    applies=_conditional,
)
def energy_spread(seen: Observation) -> Outcome:
    """Standard deviation of the energy of an inference, J."""
    if has_ledger(seen):
        return Absent("a simulator's ledger books energy by phase, not by request")
    requests = seen.requests
    chosen = requests.finished & (requests.sent >= 0) & (requests.done > requests.sent)
    if int(chosen.sum()) < _FEWEST_REQUESTS:
        return Absent(f"a spread needs {_FEWEST_REQUESTS} requests", int(chosen.sum()))
    order = np.argsort(requests.sent[chosen], kind="stable")
    spans = Spans(requests.sent[chosen][order], requests.done[chosen][order])
    if (spans.start[1:] < spans.end[:-1]).any():
        return Absent("requests overlap, so that energy is of several at once", order.size)
    found = energy_of_each(seen, spans)
    if isinstance(found, Absent):
        return found
    if found.note.quality != "metered":
        return Absent(
            f"energy is {found.note.quality}, not metered: its spread would be that of the estimate",
            order.size,
        )
    if (found.readings < _FEWEST_READINGS).any():
        return Absent(_too_coarse(spans, found.n, seen.length_s), order.size)
    each = found.energy_j / np.nan_to_num(requests.samples[chosen][order], nan=1.0)
    return Value(float(each.std()), order.size, energy=found.note)


def _too_coarse(spans: Spans, readings: int, length_s: float) -> str:
    lasted = float(np.median(spans.end - spans.start)) / NS_PER_S
    return (
        f"the meter cannot tell requests apart: it was read {readings} times in"
        f" {human(length_s, 's')}, and a request lasts {human(lasted, 's')}"
    )
