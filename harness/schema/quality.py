"""Quality figures, which way each of them is better, and those that tell how a model worked."""

from collections.abc import Iterable
from dataclasses import dataclass

from accelbench.harness.schema.measurement import Better

LOWER_IS_BETTER = frozenset({"loss", "perplexity"})
"""Quality metrics of which less is better; of all others more is, but for `NEITHER_IS_BETTER`."""

NEITHER_IS_BETTER = frozenset({"activity", "exit", "synaptic_operations"})
"""What the names of figures begin with that tell how a model worked and not how well.

They are told beside a quality: how deep a network went with early exits, how much of a spiking one
was active. A measurement of one has its own name, without "quality.".
"""


@dataclass(frozen=True)
class Quality:
    """A figure of a test set: of how well a model did, or of how it worked.

    Attributes:
        metric: E.g. "accuracy".
        split: The split of the data, e.g. "test".
        value: The figure; `better` tells which way is better, if any.
        n: Samples it rests on.
    """

    metric: str
    split: str
    value: float
    n: int


def better(metric: str) -> Better:
    """Which way a figure is better, or neither.

    Args:
        metric: Its name, without "quality.".
    """
    if metric.partition(".")[0] in NEITHER_IS_BETTER:
        return "neither"
    return "lower" if metric in LOWER_IS_BETTER else "higher"


def check_asked(metric: str) -> None:
    """Refuses a figure that no gate and no target can ask for.

    Raises:
        ValueError: Neither direction of it is better.
    """
    if better(metric) == "neither":
        raise ValueError(
            f"{metric} is no quality, neither more nor less of it is better; ask for e.g. accuracy"
        )


def meets(metric: str, value: float, target: float) -> bool:
    """Whether a quality figure is at least as good as a target.

    Raises:
        ValueError: Neither direction of it is better.
    """
    check_asked(metric)
    return value <= target if better(metric) == "lower" else value >= target


def best_of(metric: str, values: Iterable[float]) -> float | None:
    """The best of some figures of one quality metric; None of none.

    Raises:
        ValueError: Neither direction of it is better.
    """
    check_asked(metric)
    chosen = min if better(metric) == "lower" else max
    return chosen(values, default=None)
