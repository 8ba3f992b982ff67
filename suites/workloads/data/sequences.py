"""Sequences of various lengths, each with a class; and which sets of them there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.errors import TrialError
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split


@dataclass(frozen=True)
class SequenceSet:
    """A set of sequences as it is known to be, so that its shapes are known without reading it.

    Attributes:
        features: Numbers a step.
        classes: How many classes there are.
        longest: Steps of the longest sequence.
        count: Sequences, training and test data together.
        steps: Steps of all of these together.
        read: Reads it, split by a seed.
    """

    features: int
    classes: int
    longest: int
    count: int
    steps: int
    read: Callable[[int], Split]

    @property
    def mean_steps(self) -> float:
        """Mean steps of a sequence."""
        return self.steps / self.count

    @property
    def padding_share(self) -> float:
        """Share of the steps that are padding where all are filled up to the longest."""
        return 1 - self.mean_steps / self.longest

    def split(self, split_seed: int) -> Split:
        """The sequences: `sequences`, float32 (count, longest, features), 0 after their `lengths`.

        Args:
            split_seed: Seed of the split where none is given with the data.

        Raises:
            MissingPart: What carries the data is not on this machine.
            TrialError: They are not as they are known to be.
        """
        found = self.read(split_seed)
        shapes = [_inputs(part)["sequences"].shape[1:] for part in (found.train, found.test)]
        lengths = np.concatenate([_inputs(part)["lengths"] for part in (found.train, found.test)])
        seen = (*shapes, len(lengths), int(lengths.sum()), int(lengths.max()))
        shape = (self.longest, self.features)
        if seen != (shape, shape, self.count, self.steps, self.longest):
            raise TrialError(f"the sequences are not as they are known to be: {seen}")
        return found


def labelled(
    rows: Sequence[NDArray[np.float32]], labels: NDArray[np.int64], longest: int
) -> LabelledSamples:
    """Sequences side by side, each filled up with zeros.

    Args:
        rows: Shapes (steps, features), of various steps.
        labels: The class of each.
        longest: Steps that all are filled up to.
    """
    sequences = np.zeros((len(rows), longest, rows[0].shape[1]), np.float32)
    for place, row in enumerate(rows):
        sequences[place, : len(row)] = row
    lengths = np.array([len(row) for row in rows], np.int64)
    return LabelledSamples({"sequences": sequences, "lengths": lengths}, labels)


def _inputs(samples: LabelledSamples) -> Any:
    return samples.inputs
