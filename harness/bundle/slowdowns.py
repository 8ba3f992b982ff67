"""Loads of a campaign and the single stream of the same work, for what a load costs a request."""

from collections.abc import Sequence

from accelbench.harness.bundle.groups import Cells, by_cell, key_of, valid
from accelbench.harness.metrics.derived import Derived
from accelbench.harness.metrics.slowdown import slowdown
from accelbench.harness.schema.arrivals import Replay
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    Sustainable,
)


def slowdowns(cells: Cells, records: Sequence[Record]) -> tuple[Derived, ...]:
    """One for each single stream that some load differs from in nothing but name and scenario.

    Several such streams are taken together, named after the first. Where all work is due at the
    start, and in a search, latency is not that of a load; for these the single stream is told,
    and no ratio. A replay has lengths of its own, so that its requests are other work.
    """
    groups: dict[str, list[str]] = {}
    trials = {name: valid(found) for name, found in by_cell(records).items()}
    for name in trials:
        if _is_same_work(cells[name].scenario):
            groups.setdefault(key_of(cells[name], cells[name].adapter), []).append(name)
    found = []
    for names in groups.values():
        kinds = {name: cells[name].scenario for name in names}
        single = [name for name in names if isinstance(kinds[name], SingleStream)]
        loads = [n for n in names if isinstance(kinds[n], ClosedLoop | OpenLoop | MultiStream)]
        if single and loads:
            others = [name for name in names if name not in (*single, *loads)]
            found.append(
                slowdown(
                    (single[0], [record for name in single for record in trials[name]]),
                    {name: trials[name] for name in loads},
                    [record for name in others for record in trials[name]],
                )
            )
    return tuple(found)


def _is_same_work(scenario: Scenario) -> bool:
    if isinstance(scenario, OpenLoop):
        return not isinstance(scenario.arrivals, Replay)
    return isinstance(scenario, SingleStream | MultiStream | ClosedLoop | Offline | Sustainable)
