"""What a model of a machine says that a graph costs, and how such costs add up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.trace import Meter


@dataclass(frozen=True)
class OperatorCost:
    """All occurrences of one distinct operator.

    Attributes:
        name: The operator.
        count: How often it occurs.
        seconds: Time of all occurrences.
        flops: FLOPs of all occurrences.
        bound: What bounds it: "compute", or the name of a memory level.
    """

    name: str
    count: int
    seconds: float
    flops: float
    bound: str


@dataclass(frozen=True)
class Coverage:
    """How much of a graph the model knows; the rest is missing from its figures.

    Attributes:
        operators: Share of the occurrences of operators.
        flops: Share of the FLOPs.
    """

    operators: float
    flops: float


@dataclass(frozen=True)
class Cost:
    """What one graph costs on one machine.

    Attributes:
        seconds: Time from start to end.
        energy_j: Energy by component, J; empty where the model gives none.
        operators: The distinct operators, in the order of the graph.
        coverage: How much of the graph is in these figures.
        utilisation: FLOP/s over the peak used, a share.
    """

    seconds: float
    energy_j: Mapping[str, float]
    operators: tuple[OperatorCost, ...]
    coverage: Coverage
    utilisation: float


class CostModel(Protocol):
    """Maps the operators of a graph onto a machine."""

    @property
    def name(self) -> str:
        """Name of the model, for the record."""

    def cost(self, graph: OpGraph, platform: Platform) -> Cost:
        """What this graph costs on this machine."""

    def assumptions(self) -> tuple[str, ...]:
        """Everything it takes for granted, in words."""

    def facts(self, platform: Platform) -> Mapping[str, Plain]:
        """The simulator and its version, and what it takes for memory, gating, mapping, scope."""

    def meter(self, platform: Platform) -> Meter | None:
        """What its energy figures are; None where it gives none for this machine."""


Bill = Sequence[tuple[int, Cost]]
"""Costs, each with the number of times it was paid."""


def bound_shares(bill: Bill) -> Mapping[str, float]:
    """Share of the time bound by compute and by each memory level; empty if no time passed."""
    seconds: dict[str, float] = {}
    for times, cost in bill:
        for operator in cost.operators:
            seconds[operator.bound] = seconds.get(operator.bound, 0.0) + times * operator.seconds
    total = sum(seconds.values())
    return {bound: part / total for bound, part in seconds.items()} if total else {}


def least_coverage(bill: Bill) -> Coverage:
    """The smallest coverage of any graph.

    Raises:
        ValueError: The bill is empty.
    """
    return Coverage(
        operators=min(cost.coverage.operators for _, cost in bill),
        flops=min(cost.coverage.flops for _, cost in bill),
    )


def mean_utilisation(bill: Bill) -> float | None:
    """Utilisation over the whole time; None if no time passed."""
    seconds = sum(times * cost.seconds for times, cost in bill)
    used = sum(times * cost.seconds * cost.utilisation for times, cost in bill)
    return used / seconds if seconds else None
