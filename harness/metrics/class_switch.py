"""What it costs that a request is of another class than the one before it.

Where the classes of a mix name different models of one server, this is the cost of switching
between models: of loading weights, or of whatever else the server does then.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from accelbench.harness.metrics.applies import streams
from accelbench.harness.metrics.classes import class_names, tells_classes
from accelbench.harness.metrics.distribution import value_of
from accelbench.harness.metrics.latency import ttft_service
from accelbench.harness.metrics.observation import Flags, Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, metric
from accelbench.harness.statistics.stratified import Group, mean_difference

FEWEST = 20
"""Requests of each class after another class, and after the same one, below which nothing is told."""


@dataclass(frozen=True)
class _Turns:
    """Requests that were completed in the window after one that was.

    Attributes:
        ttft: From the send to the first token, s.
        of: The place of its class in the names of all.
        switched: Whether the one before was of another class.
    """

    ttft: Numbers
    of: npt.NDArray[np.int64]
    switched: Flags


@metric(
    "class.switch.ttft",
    unit="s",
    summary="What a change of class adds to the time to first token, one request at a time.",
    formula="mean of (arrival of the first token - sent) of requests whose predecessor was of"
    " another class, less that of requests whose predecessor was of the same, within each class,"
    " weighted by its requests of the first kind; over completed requests due in the window"
    f" after a completed one; at least {FEWEST} of each kind in each class",
    source="section 3.2.6",
    better="lower",
    applies=lambda seen: tells_classes(seen) and streams(seen) and len(class_names(seen)) > 1,
)
def switch_ttft(seen: Observation) -> Outcome:
    """The cost of a change of class, s."""
    turns = _turns(seen)
    if isinstance(turns, Absent):
        return turns
    groups = []
    for which, name in enumerate(class_names(seen)):
        mine = turns.of == which
        group = Group(turns.ttft[mine & turns.switched], turns.ttft[mine & ~turns.switched])
        after_other, after_same = group.treated.size, group.plain.size
        if min(after_other, after_same) < FEWEST:
            return Absent(
                f"{after_other} requests of class {name} came after another class and {after_same}"
                f" after the same, {FEWEST} of each are needed",
                turns.ttft.size,
            )
        groups.append(group)
    return value_of(mean_difference(groups), "requests")


def _turns(seen: Observation) -> _Turns | Absent:
    requests = seen.requests
    sent = np.argsort(requests.sent, kind="stable")[: int((~np.isnan(requests.sent)).sum())]
    before, now = sent[:-1], sent[1:]
    inside = requests.due_inside[now]
    before, now = before[inside], now[inside]
    if (requests.sent[now] < requests.done[before]).any():
        return Absent("requests overlapped, so that none has one predecessor: use a single stream")
    places = {name: place for place, name in enumerate(class_names(seen))}
    of = np.asarray(
        [places.get(name, -1) for name in seen.column("requests", "class").to_pylist()], np.int64
    )
    ttft = ttft_service(seen)[now]
    known = requests.ok[before] & requests.ok[now] & ~np.isnan(ttft)
    known &= (of[before] >= 0) & (of[now] >= 0)
    before, now = before[known], now[known]
    return _Turns(ttft[known], of[now], of[now] != of[before])
