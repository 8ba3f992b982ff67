"""Sequences of various lengths: what is read, and that it is as it is known to be."""

from dataclasses import replace

import numpy as np
import pytest

from accelbench.harness.errors import ForeignError, MissingPart, TrialError
from accelbench.suites.workloads.assets.catalogue import JAPANESE_VOWELS
from accelbench.suites.workloads.data import vowels
from accelbench.suites.workloads.data.digit_columns import DIGIT_COLUMNS
from accelbench.suites.workloads.data.digits import digits
from accelbench.suites.workloads.data.sequences import labelled
from accelbench.suites.workloads.data.vowels import VOWELS


def test_sequences_stand_side_by_side_with_zeros_after_their_end():
    """Their own lengths are kept."""
    rows = [np.ones((2, 3), np.float32), np.full((4, 3), 2, np.float32)]
    found = labelled(rows, np.array([1, 0]), 5).inputs
    assert found["lengths"].tolist() == [2, 4]
    assert found["sequences"].shape == (2, 5, 3)
    assert found["sequences"].sum(axis=2).tolist() == [[3, 3, 0, 0, 0], [6, 6, 6, 6, 0]]


def test_a_file_of_speech_is_read_frame_by_frame(tmp_path):
    """Features are split by colons, frames by commas; the class comes last and counts from 1."""
    path = tmp_path / "some.ts"
    path.write_text("# words\n@classLabel true 1 2\n@data\n1,2,3:4,5,6:2\n7,8:9,0:1\n")
    found = vowels._part(path)
    assert found.labels.tolist() == [1, 0]
    assert found.inputs["lengths"].tolist() == [3, 2]
    assert found.inputs["sequences"][0, :3].tolist() == [[1, 4], [2, 5], [3, 6]]
    path.write_text("no data")
    with pytest.raises(ForeignError, match=r"some\.ts"):
        vowels._part(path)


def test_speech_that_is_not_here_names_the_command(monkeypatch, tmp_path):
    """The reader is told how to get it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vowels._read.cache_clear()
    with pytest.raises(MissingPart, match="accelbench models get japanese_vowels"):
        VOWELS.split(0)


@pytest.mark.skipif(not JAPANESE_VOWELS.here(), reason="accelbench models get japanese_vowels")
def test_the_real_speech_is_as_it_is_known_to_be():
    """The given split, nine speakers, 7 to 29 frames."""
    found = VOWELS.split(0)
    assert (found.train.count, found.test.count) == (270, 370)
    assert set(np.bincount(found.train.labels)) == {30}
    assert found.train.inputs["lengths"].min() == 7
    assert found.facts["kind"] == "real"


def test_a_digit_is_as_many_columns_as_it_is_wide():
    """All ink is there, none of the blank columns at its sides, in the order of reading."""
    pytest.importorskip("sklearn")
    found, scans = DIGIT_COLUMNS.split(0).test, digits(0).test
    sequences, lengths = found.inputs["sequences"], found.inputs["lengths"]
    assert (lengths.min(), lengths.max()) == (2, 7)
    assert np.array_equal(found.labels, scans.labels)
    for columns, length, image in zip(sequences, lengths, scans.inputs[:, 0], strict=True):
        inked = image[:, image.any(axis=0).argmax() :]
        assert np.array_equal(columns[:length], inked.T[:length])
        assert columns[[0, length - 1]].any(axis=1).all()
        assert columns.sum() == pytest.approx(image.sum())


def test_sequences_that_are_not_as_they_are_known_to_be_are_refused():
    """Shapes and padding are told before anything is read, and have to be true."""
    pytest.importorskip("sklearn")
    assert DIGIT_COLUMNS.split(0).train.count == 1437
    assert DIGIT_COLUMNS.padding_share == pytest.approx(1 - 10_614 / 1797 / 8)
    with pytest.raises(TrialError, match="not as they are known"):
        replace(DIGIT_COLUMNS, steps=10_615).split(0)
