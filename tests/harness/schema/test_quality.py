"""Which way a quality figure is better is asked in one place."""

import pytest

from accelbench.harness.metrics.catalogue import definition
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.quality import (
    LOWER_IS_BETTER,
    NEITHER_IS_BETTER,
    best_of,
    better,
    meets,
)
from accelbench.harness.schema.scenario import TrainToTarget


@pytest.mark.parametrize("metric", sorted(LOWER_IS_BETTER))
def test_of_losses_and_perplexities_less_is_better(metric: str) -> None:
    """A target is met from above, and the least is the best."""
    assert better(metric) == definition(f"quality.{metric}").better == "lower"
    assert [meets(metric, value, 2.0) for value in (1.9, 2.0, 2.1)] == [True, True, False]
    assert best_of(metric, [3.0, 1.0, 2.0]) == 1.0


@pytest.mark.parametrize("metric", ["exit.depth", "exit.share.3", "exit.flops.sd", "activity"])
def test_of_how_a_model_worked_neither_is(metric: str) -> None:
    """It is a metric of its own; whether it meets a target, or is the best, is no question."""
    assert better(metric) == definition(metric).better == "neither"
    with pytest.raises(ValueError, match=rf"{metric} is no quality, neither more nor less of it"):
        meets(metric, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"ask for e\.g\. accuracy"):
        best_of(metric, [1.0])


def test_no_gate_and_no_target_asks_for_it() -> None:
    """So that it is refused before anything has run."""
    for stem in NEITHER_IS_BETTER:
        with pytest.raises(ValueError, match="is no quality"):
            Gate(f"{stem}.x", 1.0)
    with pytest.raises(ValueError, match="is no quality"):
        TrainToTarget("train_to_target", "exit.depth", 1.0, 8, 3)


@pytest.mark.parametrize(
    "metric", ["accuracy", "accuracy.exit.2", "exact_match", "agreement", "exits", "anything"]
)
def test_of_all_others_more_is(metric: str) -> None:
    """A target is met from below."""
    assert better(metric) == definition(f"quality.{metric}").better == "higher"
    assert [meets(metric, value, 2.0) for value in (1.9, 2.0, 2.1)] == [False, True, True]
    assert best_of(metric, [3.0, 1.0, 2.0]) == 3.0


def test_of_nothing_there_is_no_best() -> None:
    """No figure is not a bad one."""
    assert best_of("loss", []) is best_of("accuracy", []) is None
