"""Sequences of unequal length, and what they are padded to."""

import numpy as np
import pytest

from accelbench.harness.schema.builders import Padded
from accelbench.suites.workloads.language.padded import PaddedSamples, Padding

TEXTS = [[5] * 9, [6] * 3, [7] * 4, [8] * 12]


def samples(policy, bucket=4):
    """The texts in the order of the policy, each in a class of its own."""
    pad = Padding(policy, 12, bucket)
    order = pad.order(TEXTS)
    arrays = pad.arrays([TEXTS[place] for place in order])
    return PaddedSamples(arrays, np.array(order), pad=pad)


@pytest.mark.parametrize(
    ("policy", "indices", "width"),
    [("longest", [1, 2], 4), ("longest", [0, 1], 9), ("buckets", [0], 4), ("full", [1], 12)],
)
def test_a_batch_is_as_wide_as_its_policy_says(policy, indices, width):
    """To the longest of the batch, to a step above it, or always to the end."""
    batch = samples(policy).batch(indices)
    assert {array.shape for array in batch.values()} == {(len(indices), width)}


def test_the_mask_tells_text_from_padding():
    """Ones under the tokens, zeros under the padding behind them."""
    batch = samples("longest").batch([0, 1])
    assert batch["input_ids"].tolist() == [[5] * 9, [6] * 3 + [0] * 6]
    assert batch["attention_mask"].tolist() == [[1] * 9, [1] * 3 + [0] * 6]


def test_in_buckets_texts_come_by_length():
    """So that those of a batch are about equally long, and truths go with them."""
    found = samples("buckets")
    assert found.labels.tolist() == [1, 2, 0, 3]
    assert found.elements([0, 1]) == (7, 8)


def test_elements_count_text_and_padding():
    """What carries text, and what is run."""
    found = samples("longest")
    assert isinstance(found, Padded)
    assert found.elements([0, 1]) == (12, 18)
    assert found.elements([3]) == (12, 12)
    assert samples("full").elements([1]) == (3, 12)


def test_where_nothing_is_padded_there_is_no_mask():
    """A model then takes its kernels without one."""
    pad = Padding("none", 3)
    batch = PaddedSamples(pad.arrays([[1, 2, 3]] * 2), np.zeros(2), pad=pad).batch([0, 1])
    assert list(batch) == ["input_ids"]
    assert pad.facts()["share"] == 0.0


def test_a_share_is_told_only_where_it_does_not_hang_on_the_batches():
    """Elsewhere counters of the trial tell it."""
    told = Padding("buckets", 64, 16).facts()
    assert "multiple of 16" in told["policy"]
    assert "share" not in told


@pytest.mark.parametrize("wrong", [("middle", 4, 1), ("full", 0, 1), ("buckets", 4, 0)])
def test_a_policy_that_cannot_be_is_refused(wrong):
    """The message names what is allowed."""
    with pytest.raises(ValueError, match=r"padding must be one of|must be above 0"):
        Padding(*wrong)
