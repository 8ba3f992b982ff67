"""A convolutional network that answers early when it is sure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.images import ImageClassifier
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split


@dataclass(frozen=True)
class EarlyExit(ImageClassifier):
    """Stages of two 3 x 3 convolutions with ReLU, and an exit after each.

    An exit is the means of each map's quarters and a fully connected layer. Its confidence is the largest of
    its probabilities. Trained, all exits learn together from the mean of their losses. Answering,
    each sample leaves at the first exit that is confident enough; the others of a batch go on
    without it, as a smaller batch. What the network answers then has one column more than there
    are classes: the exit that a sample left at, from 1.

    Attributes:
        widths: Filters of each stage; each stage but the first halves the maps.
        threshold: Confidence at which a sample leaves; above 1 none leaves before the last exit.
    """

    name: ClassVar[str] = "early_exit"

    widths: tuple[int, ...] = (16, 32, 64)
    threshold: float = 0.95

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths or min(self.widths) < 1 or self.threshold <= 0:
            raise ValueError("widths and threshold must be above 0")
        if self.image_side < 2 ** len(self.widths):
            raise ValueError(f"image_side must be at least {2 ** len(self.widths)} for the stages")

    def stages(self) -> Sequence[tuple[Convolution, Convolution]]:
        """Both convolutions of each stage."""
        made: list[tuple[Convolution, Convolution]] = []
        channels, side = self.image_channels, self.image_side
        for width in self.widths:
            first = Convolution(channels, width, 3, side, 2 if made else 1)
            made.append((first, Convolution(width, width, 3, first.side_out)))
            channels, side = width, first.side_out
        return made

    def flops_to_exits(self) -> Sequence[int]:
        """FLOPs of one sample that leaves at each exit, of convolutions and linear layers."""
        stages = [
            first.flops + second.flops + 2 * 4 * second.channels_out * self.classes
            for first, second in self.stages()
        ]
        return [int(total) for total in np.cumsum(stages)]

    def layers(self) -> Mapping[str, Plain]:
        """Convolutions, exits, and by what rule a sample leaves."""
        stages = self.stages()
        return {
            "execution": f"conditional: early exit, {len(stages)} exits",
            "convolutions": [own.told() for stage in stages for own in stage],
            "linear": [[4 * width, self.classes] for width in self.widths],
            "normalisation": "none",
            "exits": {
                "after_convolutions": [2 * number for number in range(1, len(stages) + 1)],
                "flops_per_sample": list(self.flops_to_exits()),
                "rule": f"largest probability at least {self.threshold:g}",
                "batch": "each sample leaves by itself; those left go on as a smaller batch",
                "training": "all exits together, mean of their losses",
                "lowered_as": "the whole path with all of its exits, as where none leaves early",
            },
        }

    def data(self) -> Split:
        """The images and their classes, scored with the exits that were taken."""
        split = super().data()
        flops = tuple(self.flops_to_exits())
        test = split.test
        return Split(
            split.train,
            ExitSamples(test.inputs, test.labels, test.scored, flops),
            split.facts,
        )

    def lesson_facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, in words."""
        return {**super().lesson_facts(), "loss": "mean cross-entropy of all exits together"}

    def loss(self, answer: Any, labels: Any) -> Any:
        """The mean over all exits of their mean cross-entropy, shape ().

        Args:
            answer: Scores of all exits, shape (batch, exits, classes).
            labels: int64, shape (batch,).
        """
        exits = range(len(self.widths))
        return sum(super(EarlyExit, self).loss(answer[:, own], labels) for own in exits) / len(
            exits
        )

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import early_exit_network  # noqa: PLC0415  (torch)

        return early_exit_network.EarlyExitNetwork(self.stages(), self.classes, self.threshold)

    def lowered_network(self) -> Any:
        """The whole path with all of its exits, as it is when no sample leaves early."""
        from accelbench.suites.workloads.classifiers import early_exit_network  # noqa: PLC0415  (torch)

        return early_exit_network.EarlyExitNetwork(self.stages(), self.classes, None)


@dataclass(frozen=True, eq=False)
class ExitSamples(LabelledSamples):
    """Samples whose answers tell at which exit they left.

    Attributes:
        flops: FLOPs of one sample that leaves at each exit.
    """

    flops: tuple[int, ...] = ()

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Accuracy; how deep samples went and what that cost; and what each exit is worth.

        "exit.depth" is the mean exit, from 1, and "exit.share.N" the share of the samples that left
        at exit N. "exit.flops.mean" and "exit.flops.sd" are mean and population standard deviation
        of the FLOPs of a sample, "exit.flops.share" the mean over those of the whole path.
        "accuracy.exit.N" is the accuracy of the samples that left at exit N, if any did.

        Args:
            answered: Pairs of indices and answers, shape (indices, classes + 1).
        """
        first: dict[int, NDArray[Any]] = {}
        for indices, answers in answered:
            for index, row in zip(indices, np.asarray(answers), strict=True):
                first.setdefault(index, row)
        if not first:
            return ()
        rows = np.stack(list(first.values()))
        depth, right = rows[:, -1], rows[:, :-1].argmax(axis=1) == self.labels[list(first)]
        cost = np.array(self.flops, dtype=np.float64)[depth.astype(np.int64) - 1]
        found = [_mean("accuracy", right)] if self.scored else []
        found += [
            _mean("exit.depth", depth),
            _mean("exit.flops.mean", cost),
            Quality("exit.flops.sd", "test", float(cost.std()), len(cost)),
            _mean("exit.flops.share", cost / self.flops[-1]),
        ]
        for own in range(1, len(self.flops) + 1):
            left = depth == own
            found.append(_mean(f"exit.share.{own}", left))
            if self.scored and left.any():
                found.append(_mean(f"accuracy.exit.{own}", right[left]))
        return found


def _mean(metric: str, values: NDArray[Any]) -> Quality:
    return Quality(metric, "test", float(values.mean(dtype=np.float64)), len(values))
