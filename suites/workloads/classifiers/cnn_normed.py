"""Image classifiers whose convolutions are followed by batch normalisation."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Training
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.images import ImageClassifier


@dataclass(frozen=True)
class NormedCnn(ImageClassifier):
    """A family gives its convolutions, in order, and its network.

    Attributes:
        fold_norm: Whether the normalisation is folded into the convolutions before it, for
            inference alone: such a network cannot be trained, but takes the weights of one that was.
    """

    fold_norm: bool = False

    @abstractmethod
    def convolutions(self) -> Sequence[Convolution]:
        """All of them, in the order that they are run."""

    def layers(self) -> Mapping[str, Plain]:
        """Convolutions and the fully connected layer after the last."""
        convolutions = self.convolutions()
        return {
            "convolutions": [own.told() for own in convolutions],
            "linear": [[convolutions[-1].channels_out, self.classes]],
            "normalisation": "batch, folded into the convolutions"
            if self.fold_norm
            else "batch, an operator of its own",
        }

    def model(self, weights: Path | None, seed: int) -> Any:
        """The network in float32, from saved weights or initialised from the seed.

        Raises:
            MissingPart: PyTorch is not installed.
            ForeignError: The weights do not fit or cannot be read.
        """
        return self._finished(super().model(weights, seed))

    def lowered_network(self) -> Any:
        """The network as it is run."""
        return self._finished(self.network())

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run of this model, on the device that it lies on.

        Raises:
            ValueError: The batch size cannot be shared as the practice asks.
            TrialError: The normalisation is folded.
        """
        self._refuse_folded()
        return super().training(model, batch_size, seed, practice)

    def phases(self) -> Sequence[Phase]:
        """The forward pass, and the parts of a training step unless normalisation is folded."""
        return super().phases()[:1] if self.fold_norm else super().phases()

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of the forward pass or of a part of a training step.

        Raises:
            TrialError: It has no such phase, or it is one of training and normalisation is folded.
        """
        if phase.startswith("train."):
            self._refuse_folded()
        return super().lower(phase, batch, tokens, context)

    def _finished(self, network: Any) -> Any:
        if not self.fold_norm:
            return network
        from accelbench.suites.workloads.classifiers import cnn_norm  # noqa: PLC0415  (torch)

        return cnn_norm.folded(network)

    def _refuse_folded(self) -> None:
        if self.fold_norm:
            raise TrialError(
                "folded batch normalisation cannot be trained",
                remedy="train with workload.fold_norm=false",
            )
