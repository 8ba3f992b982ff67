"""Scikit-learn's scans of digits."""

import hashlib

import numpy as np
import pytest

from accelbench.suites.workloads.data.digits import TEST_SHARE, digits, stratified


def test_the_data_are_real_and_named_with_their_digest():
    """Facts name the source, its licence and the digest of the very numbers scikit-learn ships."""
    load_digits = pytest.importorskip("sklearn.datasets").load_digits

    facts = digits(0).facts
    assert facts["kind"] == "real"
    assert facts["licence"]
    assert facts["sha256"] == hashlib.sha256(load_digits().data.tobytes()).hexdigest()
    assert (facts["train"], facts["test"]) == (1437, 360)


@pytest.mark.parametrize("seed", range(4))
def test_the_split_is_that_of_scikit_learn(seed):
    """So that accuracies compare with those of others, also where it is not installed."""
    own = pytest.importorskip("sklearn.model_selection").train_test_split
    labels = np.concatenate([digits(seed).train.labels, digits(seed).test.labels])
    asked = {"test_size": TEST_SHARE, "random_state": seed, "stratify": labels}
    for ours, its in zip(
        stratified(labels, seed), own(np.arange(len(labels)), **asked), strict=True
    ):
        assert np.array_equal(ours, its)


def test_the_split_is_fixed_and_stratified():
    """Each digit has the same share of the test split, and another seed splits otherwise."""
    test = digits(0).test
    assert set(np.bincount(test.labels)) <= {35, 36, 37}
    digits.cache_clear()
    assert np.array_equal(test.inputs, digits(0).test.inputs)
    assert not np.array_equal(test.inputs, digits(1).test.inputs)


def test_samples_are_images_between_black_and_white():
    """A batch is float32 in [0, 1], one channel of 8 x 8 pixels."""
    batch = digits(0).test.batch([3, 1, 3])
    assert (batch.dtype, batch.shape) == (np.float32, (3, 1, 8, 8))
    assert batch.min() == 0
    assert batch.max() == 1
    assert np.array_equal(batch[0], batch[2])
