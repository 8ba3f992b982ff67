"""The survey's Figure 3: its words, and what is taken for agreement."""

import pytest

from accelbench.cli.compose import presets
from accelbench.cli.survey_cases import CASES, agrees, out_of_order
from accelbench.harness.schema.opgraph import ELEMENT_BYTES


@pytest.mark.parametrize(
    ("region", "intensity", "agreed"),
    [
        ("roof", 333, True),
        ("roof", 332, False),
        ("memory", 332, True),
        ("memory", 333, False),
        ("ridge", 166, False),
        ("ridge", 167, True),
        ("ridge", 666, True),
        ("ridge", 667, False),
    ],
)
def test_a_region_is_left_or_right_of_the_ridge_or_within_a_factor_of_two(
    region, intensity, agreed
):
    """The ridge itself can reach the peak."""
    assert agrees(region, intensity, 333) is agreed


def test_the_order_is_the_surveys_unless_a_lower_one_has_more():
    """Two that stand side by side may lie either way."""
    falling = [500, 200, 300, 40, 30, 20, 10, 1]
    assert out_of_order(CASES, falling) == []
    assert out_of_order(CASES, [400, 200, 300, 40, 500, 20, 10, 1]) == [
        (one.name, CASES[4].name) for one in CASES[:3]
    ]


def test_each_of_the_six_categories_has_a_case_that_can_be_lowered():
    """Presets and precisions that there are."""
    assert {case.name.partition(" (")[0] for case in CASES} == {
        "pre-training",
        "fine-tuning",
        "PEFT",
        "batch inference",
        "edge inference",
        "real-time inference",
    }
    assert {case.workload for case in CASES} <= set(presets("workload"))
    assert {case.precision for case in CASES} <= set(ELEMENT_BYTES)
