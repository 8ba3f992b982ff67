"""Noise in place of images, and images with noise added."""

import numpy as np
import pytest

from accelbench.suites.workloads.data.labelled import LabelledSamples, Split
from accelbench.suites.workloads.data.noise import TEST, TRAIN, noise
from accelbench.suites.workloads.data.noised import kept, noised

SHARES = kept(100)


@pytest.fixture(scope="module")
def clean():
    """Images of one grey each, said to be real."""
    greys = np.linspace(0, 1, 40, dtype=np.float32)[:, None, None, None]
    samples = LabelledSamples(np.tile(greys, (1, 1, 2, 2)), np.zeros(40, np.int64))
    return Split(samples, samples, {"kind": "real", "name": "greys", "sha256": "of greys"})


def test_noise_depends_on_its_seed_alone_and_is_said_to_be_synthetic():
    """No accuracy is told, as there are no right answers."""
    split = noise(3, 4, 7, 1)
    assert split.facts["kind"] == "synthetic"
    assert split.train.inputs.shape == (TRAIN, 3, 4, 4)
    assert (split.test.count, split.test.scored) == (TEST, False)
    assert set(split.train.labels) <= set(range(7))
    noise.cache_clear()
    assert np.array_equal(split.train.inputs, noise(3, 4, 7, 1).train.inputs)
    assert not np.array_equal(split.train.inputs, noise(3, 4, 7, 2).train.inputs)


def test_noise_takes_over_step_by_step():
    """Nothing is added in no step, and hardly anything is left after all of them."""
    assert len(SHARES) == 101
    assert SHARES[0] == 1
    assert np.all(np.diff(SHARES) < 0)
    assert SHARES[-1] < 1e-4
    thousand = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))  # Ho et al. 2020
    assert np.allclose(kept(1000)[1:], thousand)


def test_what_is_learned_is_the_noise_that_was_added(clean):
    """Taking it away gives the image back, between -1 and 1."""
    train = noised(clean, 100, 0).train
    share = SHARES[train.inputs["steps"]][:, None, None, None]
    found = (train.inputs["images"] - np.sqrt(1 - share) * train.labels) / np.sqrt(share)
    few = train.inputs["steps"] < 60
    assert np.allclose(found[few], 2 * clean.train.inputs[few] - 1, atol=1e-4)
    assert train.inputs["steps"].min() >= 1


def test_the_truth_of_a_test_image_is_the_same_with_one_step_less(clean):
    """It lies between the noisy image and the clean one; after one step it is the clean one."""
    test = noised(clean, 2, 0).test
    once = test.inputs["steps"] == 1
    assert 0 < once.sum() < test.count
    assert np.allclose(test.labels[once], 2 * clean.test.inputs[once] - 1, atol=1e-6)
    exact = test.figures([(range(test.count), test.labels)])[0]
    assert (exact.metric, exact.value, exact.n) == ("loss", 0.0, test.count)
    assert test.figures([([0, 1], test.labels[:2] + 2), ([1], test.labels[1:2])])[0].value == 4
    assert test.figures([]) == ()


def test_facts_tell_that_real_images_were_changed(clean):
    """And noise with noise stays synthetic."""
    facts = noised(clean, 10, 3).facts
    assert (facts["kind"], facts["sha256"]) == ("converted", "of greys")
    assert "seed 3" in facts["noise"]
    assert noised(noise(1, 4, 2, 0), 10, 3).facts["kind"] == "synthetic"
