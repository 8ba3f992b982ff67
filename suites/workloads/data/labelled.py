"""Samples that have a right answer each, and their split into training and test data."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality

Inputs: TypeAlias = NDArray[Any] | Mapping[str, NDArray[Any]]
"""What a model is given: one array, or arrays by the names of its arguments; samples come first."""


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Inputs and their classes; a model answers with a score for each class.

    Attributes:
        inputs: Arrays whose first axis is the sample.
        labels: The truth of each sample: its class from 0, int64, shape (count,); where something
            else than classes is learned, the array of that.
        scored: Whether an answer can be right; not where the classes were drawn by lot.
    """

    inputs: Inputs
    labels: NDArray[Any]
    scored: bool = True

    def __post_init__(self) -> None:
        arrays = self.inputs.values() if isinstance(self.inputs, Mapping) else (self.inputs,)
        if {len(array) for array in arrays} != {len(self.labels)}:
            raise ValueError("every array of the inputs needs one row for each label")

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.labels)

    def batch(self, indices: Sequence[int]) -> Inputs:
        """The inputs at these indices, stacked in their order."""
        chosen = list(indices)
        if isinstance(self.inputs, Mapping):
            return {name: array[chosen] for name, array in self.inputs.items()}
        return self.inputs[chosen]

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Accuracy over the first answer to each sample, of those that were answered.

        Args:
            answered: Pairs of indices and scores by class, shape (indices, classes).

        Returns:
            Nothing where nothing was answered or no answer can be right.
        """
        if not self.scored:
            return ()
        first: dict[int, int] = {}
        for indices, scores in answered:
            chosen = np.asarray(scores).argmax(axis=1)
            for index, label in zip(indices, chosen, strict=True):
                first.setdefault(index, int(label))
        if not first:
            return ()
        right = sum(label == self.labels[index] for index, label in first.items())
        return (Quality("accuracy", "test", float(right) / len(first), len(first)),)


@dataclass(frozen=True, eq=False)
class Split:
    """A data set in two parts.

    Attributes:
        train: What a model learns from.
        test: What it is scored on, and what it answers when it is timed.
        facts: Kind ("real", "synthetic" or "converted"), name, source, licence, sha256, sizes of
            the parts, and how it was split.
    """

    train: LabelledSamples
    test: LabelledSamples
    facts: Mapping[str, Plain]
