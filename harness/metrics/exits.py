"""Early exits: how deep samples went, and how far their cost in FLOPs is spread."""

from collections.abc import Mapping
from functools import partial

from accelbench.harness.metrics.evaluations import SPLIT, figure, last_on_test, tells_figure
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import (
    METRICS,
    Definition,
    Metric,
    Outcome,
    define,
    metric,
)

_LAST = f"as the last evaluation on split {SPLIT!r} tells, over the first answer to each sample"
_OWN = "FLOPs are the model's own count of the path to each exit"
_SHARE = "exit.share."

for _name, _unit, _summary, _formula in (
    (
        "exit.depth",
        "1",
        "Mean number of the exit at which a sample leaves, the first being 1.",
        f"mean of the exit of each sample, {_LAST}",
    ),
    (
        "exit.flops.mean",
        "FLOP/inference",
        "Mean FLOPs of a sample up to the exit at which it leaves.",
        f"mean of the FLOPs of each sample, {_LAST}; {_OWN}",
    ),
    (
        "exit.flops.sd",
        "FLOP/inference",
        "Spread of the FLOPs of a sample, because samples leave at different exits.",
        f"population standard deviation of the FLOPs of each sample, {_LAST}; {_OWN}",
    ),
    (
        "exit.flops.share",
        "1",
        "FLOPs of a sample over those of the whole path, which flops.total counts for each.",
        f"mean of the FLOPs of each sample / FLOPs to the last exit, {_LAST}; {_OWN}",
    ),
):
    metric(
        _name,
        unit=_unit,
        summary=_summary,
        formula=_formula,
        source="section 3.1.2; section 3.6.5",
        better="neither",
        applies=tells_figure(_name),
    )(partial(figure, name=_name))

_OF_EXIT = define(
    Definition(
        f"{_SHARE}<exit>",
        unit="1",
        summary="Share of the samples that leave at an exit, the first being 1.",
        formula=f"samples that leave there / all, {_LAST}",
        source="section 3.1.2; section 3.6.5",
        better="neither",
    )
)


def shares(seen: Observation) -> Mapping[str, Outcome]:
    """How samples are distributed over the exits, by full name."""
    return {name: one for name, one in last_on_test(seen).items() if name.startswith(_SHARE)}


METRICS[_OF_EXIT.name] = Metric(_OF_EXIT.name, lambda seen: bool(shares(seen)), shares)
