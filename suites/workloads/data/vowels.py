"""Japanese Vowels: real utterances of nine speakers, of various lengths.

M. Kudo, J. Toyama, M. Shimbo, "Multidimensional curve classification using passing-through
regions", Pattern Recognition Letters 20, 1999.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.assets.catalogue import JAPANESE_VOWELS
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split
from accelbench.suites.workloads.data.sequences import SequenceSet, labelled

LONGEST = 29


@cache
def _read(split_seed: int) -> Split:  # noqa: ARG001  (the split comes with the data)
    folder = JAPANESE_VOWELS.find()
    train, test = (_part(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST"))
    return Split(
        train,
        test,
        {
            "kind": "real",
            **JAPANESE_VOWELS.facts(),
            "name": "Japanese Vowels (UCI; Kudo et al. 1999)",
            "train": train.count,
            "test": test.count,
            "split": "as given with the data; test is scored",
            "split_seed": "none drawn",
        },
    )


VOWELS = SequenceSet(features=12, classes=9, longest=LONGEST, count=640, steps=9961, read=_read)
"""Twelve linear prediction coefficients a frame, 7 to 29 frames; the class is the speaker."""


def _part(path: Path) -> LabelledSamples:
    """A file of the sktime format: after @data a sequence a line, features and class by colons."""
    with foreign("reading the sequences", where=path.name):
        text = path.read_text(encoding="latin-1")
        lines = text[text.index("@data") :].splitlines()[1:]
        rows, labels = zip(*(_sequence(line) for line in lines if line.strip()), strict=True)
        return labelled(rows, np.array(labels, np.int64), LONGEST)


def _sequence(line: str) -> tuple[NDArray[np.float32], int]:
    *features, speaker = line.strip().split(":")
    columns = [np.array(feature.split(","), np.float32) for feature in features]
    return np.stack(columns, axis=1), int(speaker) - 1
