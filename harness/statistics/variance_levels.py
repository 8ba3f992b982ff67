"""Where the variance of a nested experiment lives, and where to spend repetitions.

Requests run within trials, trials within sessions: each level adds variance of its own, and
repeating the lowest one alone never averages out the upper ones. After T. Kalibera and
R. Jones, "Rigorous benchmarking in reasonable time", ISMM 2013.

Levels are listed from the outermost (sessions) to the innermost (requests).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from accelbench.harness.statistics.intervals import LEVEL

Nested: TypeAlias = Sequence[float] | npt.NDArray[np.float64] | Sequence["Nested"]

_FEWEST = 2  # a spread needs two repetitions
_MOST = 2**40  # top-level repetitions beyond which no plan is useful


@dataclass(frozen=True)
class Component:
    """The variance that one level adds.

    Attributes:
        estimate: The unbiased estimate T^2, which chance can make negative; unit squared.
        count: Mean number of repetitions within one repetition of the level above.
    """

    estimate: float
    count: float

    @property
    def variance(self) -> float:
        """The estimate, or 0 where it is negative."""
        return max(self.estimate, 0.0)

    @property
    def floored(self) -> bool:
        """Whether the estimate was negative: too few repetitions to tell it from 0."""
        return self.estimate < 0


@dataclass(frozen=True)
class VarianceLevels:
    """The variance components of a nested experiment.

    Attributes:
        mean: Mean of the means of the outermost repetitions.
        components: One for each level, outermost first.
    """

    mean: float
    components: tuple[Component, ...]


@dataclass(frozen=True)
class RepetitionPlan:
    """How often to repeat each level.

    Attributes:
        counts: Repetitions within one repetition of the level above, outermost first.
        half_width: The expected half width of the mean's interval, in the unit of the values.
        level: Nominal confidence.
        cost: What all of it costs, in the unit of the costs.
        notes: What the plan had to assume, one sentence each.
    """

    counts: tuple[int, ...]
    half_width: float
    level: float
    cost: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Node:
    """A node's mean, and how much of each level's variance that mean holds."""

    mean: float
    held: npt.NDArray[np.float64]


@dataclass
class _Tally:
    """Sums of squares of one level over all its parents, and what they are expected to be."""

    squares: float
    freedom: float
    held: npt.NDArray[np.float64]
    children: int = 0
    parents: int = 0


def variance_components(pilot: Nested) -> VarianceLevels:
    """The unbiased variance component of each level of a pilot.

    S_i^2 is the variance of the means of level i within their parents, pooled over the parents
    by degrees of freedom; the component is T_i^2 = S_i^2 less the share of the lower levels that
    those means still hold. For a balanced pilot that is Kalibera and Jones'
    T_i^2 = S_i^2 - S_{i-1}^2 / r_{i-1}; unequal numbers of repetitions are allowed, since the
    share is summed over the nodes as they are, and the estimates stay unbiased.

    Args:
        pilot: Values nested at least two deep, all equally deep, e.g. sessions of trials of
            requests; a level may repeat a different number of times in different places.

    Raises:
        ValueError: Depths differ, a node is empty, a value is not finite, fewer than two
            levels, or a level that is nowhere repeated.
    """
    depth = _depth(pilot)
    if depth < _FEWEST:
        raise ValueError("variance levels need values nested at least two deep")
    tallies = [_Tally(0.0, 0.0, np.zeros(depth)) for _ in range(depth)]
    root = _walk(pilot, 0, tallies)
    found = np.zeros(depth)
    for at in reversed(range(depth)):
        tally = tallies[at]
        if tally.freedom == 0:
            raise ValueError(f"level {at + 1} of {depth} (1 is the outermost) is nowhere repeated")
        found[at] = (tally.squares - float(tally.held @ found)) / tally.freedom
    counts = [tally.children / tally.parents for tally in tallies]
    components = (Component(float(v), c) for v, c in zip(found, counts, strict=True))
    return VarianceLevels(root.mean, tuple(components))


def repetition_plan(
    found: VarianceLevels,
    costs: Sequence[float],
    relative_half_width: float,
    level: float = LEVEL,
) -> RepetitionPlan:
    """The cheapest repetitions of each level that reach a wanted precision of the mean.

    Within the levels, r_i = ceil(sqrt(c_{i+1} / c_i * T_i^2 / T_{i+1}^2)), i + 1 being the level
    above. A level without variance of its own is done once, and its cost counts with the level
    above. The outermost level is then repeated R times, the least R >= 2 with
    t_{R-1} sqrt(V / R) within the wanted half width, V being the variance of one outermost mean.
    As it rests on estimates, the half width is what to expect and no promise.

    Args:
        found: The components of a pilot.
        costs: Cost of one repetition of each level without the levels below it, outermost
            first: e.g. seconds to start a session, to warm up a trial, to serve a request.
        relative_half_width: The wanted half width over the mean, e.g. 0.02.
        level: Nominal confidence.

    Raises:
        ValueError: Costs that are not positive or not one for each level, a mean of 0, or an
            argument out of range, or a precision that no number of repetitions reaches.
    """
    variances = [component.variance for component in found.components]
    if len(costs) != len(variances) or not all(0 < cost < math.inf for cost in costs):
        raise ValueError(f"{len(variances)} positive costs are needed, one for each level")
    if relative_half_width <= 0 or not 0 < level < 1:
        raise ValueError("a half width is positive and a level lies between 0 and 1")
    wanted = relative_half_width * abs(found.mean)
    if wanted == 0:
        raise ValueError("the mean is 0: no half width is relative to it")
    inner = _inner_counts(found.components, costs)
    spread = sum(v / math.prod(inner[:at]) for at, v in enumerate(variances))
    tops = range(_FEWEST, _MOST)
    at = bisect_left(tops, 1, key=lambda top: _half_width(spread, top, level) <= wanted)
    if at == len(tops):
        raise ValueError(f"a half width of {wanted:g} is out of reach")
    top = tops[at]
    counts = (top, *inner)
    cost = sum(price * math.prod(counts[: k + 1]) for k, price in enumerate(costs))
    return RepetitionPlan(counts, _half_width(spread, top, level), level, cost, _notes(found))


def _inner_counts(components: Sequence[Component], costs: Sequence[float]) -> tuple[int, ...]:
    """Repetitions of each level but the outermost."""
    counts: list[int] = []
    above, price = components[0].variance, costs[0]
    for component, cost in zip(components[1:], costs[1:], strict=True):
        if component.variance == 0:
            counts.append(1)
            price += cost
            continue
        if above == 0:
            counts.append(math.ceil(component.count))
        else:
            counts.append(max(1, math.ceil(math.sqrt(price / cost * component.variance / above))))
        above, price = component.variance, cost
    return tuple(counts)


def _notes(found: VarianceLevels) -> tuple[str, ...]:
    floored = [
        f"the variance of level {at} (1 is the outermost) came out negative and counts as 0"
        for at, component in enumerate(found.components, 1)
        if component.floored
    ]
    if found.components[0].variance == 0:
        floored.append("the outermost level shows no variance, so the pilot's count is kept below")
    return tuple(floored)


def _half_width(variance: float, repetitions: int, level: float) -> float:
    quantile = float(stdtrit(repetitions - 1, (1 + level) / 2))
    return quantile * math.sqrt(variance / repetitions)


def _walk(node: Nested, at: int, tallies: list[_Tally]) -> _Node:
    """The node's mean, after its children have been added to the tally of their level."""
    tally, depth = tallies[at], len(tallies)
    if at == depth - 1:
        means = _leaves(node)
        held = np.zeros(depth)
    else:
        below = [_walk(_inside(child), at + 1, tallies) for child in node]
        means = np.array([child.mean for child in below])
        held = np.mean([child.held for child in below], axis=0) if below else np.zeros(depth)
    n = means.size
    if n == 0:
        raise ValueError(f"a node of level {at + 1} is empty")
    tally.squares += float(means.var()) * n
    tally.freedom += n - 1
    tally.held += (n - 1) * held
    tally.children += n
    tally.parents += 1
    mine = held / n
    mine[at] = 1 / n
    return _Node(float(means.mean()), mine)


def _leaves(node: Nested) -> npt.NDArray[np.float64]:
    found = np.asarray(node, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ValueError("all values are finite and lie equally deep")
    return found


def _inside(child: object) -> Nested:
    if isinstance(child, Sequence | np.ndarray) and not isinstance(child, str):
        return child
    raise ValueError("all values are finite and lie equally deep")


def _depth(node: object) -> int:
    depth = 0
    while isinstance(node, Sequence | np.ndarray) and len(node):
        node, depth = node[0], depth + 1
    return depth
