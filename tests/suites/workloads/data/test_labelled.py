"""Samples with a right answer each."""

import numpy as np
import pytest

from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.data.labelled import LabelledSamples


def test_a_batch_has_the_samples_asked_for_in_their_order():
    """Of one array, or of each of several by name; a sample may come twice."""
    samples = LabelledSamples(np.arange(6).reshape(3, 2), np.zeros(3, np.int64))
    assert samples.batch([2, 0, 2]).tolist() == [[4, 5], [0, 1], [4, 5]]
    named = LabelledSamples({"a": np.arange(3), "b": np.ones((3, 4))}, np.zeros(3, np.int64))
    batch = named.batch(range(1, 3))
    assert batch["a"].tolist() == [1, 2]
    assert batch["b"].shape == (2, 4)
    assert named.count == 3


def test_arrays_of_unlike_lengths_are_refused():
    """A sample that lacks an input or a label is none."""
    with pytest.raises(ValueError, match="one row for each label"):
        LabelledSamples({"a": np.arange(3), "b": np.arange(2)}, np.zeros(3, np.int64))


def test_accuracy_rests_on_the_first_answer_to_each_sample():
    """Later answers do not count, nor samples that were never asked."""
    samples = LabelledSamples(np.zeros((3, 1)), np.array([1, 0, 2]))
    scores = np.eye(3)
    answered = [([0, 1], scores[[1, 2]]), ([1], scores[[0]])]
    assert samples.figures(answered) == (Quality("accuracy", "test", 0.5, 2),)


def test_what_cannot_be_right_has_no_accuracy():
    """Without answers there is none, nor where the classes were drawn by lot."""
    labels = np.array([1, 0, 2])
    assert LabelledSamples(np.zeros((3, 1)), labels).figures([]) == ()
    drawn = LabelledSamples(np.zeros((3, 1)), labels, scored=False)
    assert drawn.figures([([0], np.eye(3)[:1])]) == ()
