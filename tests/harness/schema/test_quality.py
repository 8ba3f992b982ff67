"""Which way a quality figure is better is asked in one place."""

import pytest

from accelbench.harness.metrics.catalogue import definition
from accelbench.harness.schema.quality import LOWER_IS_BETTER, best_of, better, meets


@pytest.mark.parametrize("metric", sorted(LOWER_IS_BETTER))
def test_of_losses_and_perplexities_less_is_better(metric: str) -> None:
    """A target is met from above, and the least is the best."""
    assert better(metric) == definition(f"quality.{metric}").better == "lower"
    assert [meets(metric, value, 2.0) for value in (1.9, 2.0, 2.1)] == [True, True, False]
    assert best_of(metric, [3.0, 1.0, 2.0]) == 1.0


@pytest.mark.parametrize("metric", ["accuracy", "exact_match", "agreement", "anything"])
def test_of_all_others_more_is(metric: str) -> None:
    """A target is met from below."""
    assert better(metric) == definition(f"quality.{metric}").better == "higher"
    assert [meets(metric, value, 2.0) for value in (1.9, 2.0, 2.1)] == [False, True, True]
    assert best_of(metric, [3.0, 1.0, 2.0]) == 3.0


def test_of_nothing_there_is_no_best() -> None:
    """No figure is not a bad one."""
    assert best_of("loss", []) is best_of("accuracy", []) is None
