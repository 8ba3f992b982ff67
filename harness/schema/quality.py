"""Quality figures, and which way each of them is better."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

LOWER_IS_BETTER = frozenset({"loss", "perplexity"})
"""Quality metrics of which less is better; of all others more is."""


@dataclass(frozen=True)
class Quality:
    """A quality figure.

    Attributes:
        metric: E.g. "accuracy".
        split: The split of the data, e.g. "test".
        value: The figure; `better` tells which way is better.
        n: Samples it rests on.
    """

    metric: str
    split: str
    value: float
    n: int


def better(metric: str) -> Literal["lower", "higher"]:
    """Which way a quality metric is better.

    Args:
        metric: Its name, without "quality.".
    """
    return "lower" if metric in LOWER_IS_BETTER else "higher"


def meets(metric: str, value: float, target: float) -> bool:
    """Whether a quality figure is at least as good as a target."""
    return value <= target if better(metric) == "lower" else value >= target


def best_of(metric: str, values: Iterable[float]) -> float | None:
    """The best of some figures of one quality metric; None of none."""
    chosen = min if better(metric) == "lower" else max
    return chosen(values, default=None)
