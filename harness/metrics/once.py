"""What many metrics need of one trial is computed once."""

from collections.abc import Callable
from typing import TypeVar, cast

from accelbench.harness.metrics.observation import Observation

T = TypeVar("T")


def once(seen: Observation, key: str, make: Callable[[], T]) -> T:
    """What many metrics need of a trial, computed once and kept with the observation.

    Args:
        seen: The trial.
        key: What it is, with all it depends on.
        make: Computes it.
    """
    if key not in seen.kept:
        seen.kept[key] = make()
    return cast("T", seen.kept[key])
