"""A small plain convolutional network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.images import ImageClassifier


@dataclass(frozen=True)
class Cnn(ImageClassifier):
    """Two convolutions, each with ReLU and 2 x 2 pooling, and two fully connected layers.

    Attributes:
        channels: Filters of the first convolution; the second has twice as many.
        hidden: Neurons of the fully connected layer before the last.
    """

    name: ClassVar[str] = "cnn"

    channels: int = 32
    hidden: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.channels, self.hidden) < 1:
            raise ValueError("channels and hidden must be above 0")
        if self.image_side < 4:  # noqa: PLR2004  (halved twice)
            raise ValueError("image_side must be at least 4")

    def widths(self) -> tuple[int, int, int]:
        """Of the flattened maps, of the hidden layer and of the answer."""
        return 2 * self.channels * (self.image_side // 4) ** 2, self.hidden, self.classes

    def layers(self) -> Mapping[str, Plain]:
        """Convolutions and fully connected layers."""
        flat, hidden, classes = self.widths()
        first = Convolution(self.image_channels, self.channels, 3, self.image_side)
        second = Convolution(self.channels, 2 * self.channels, 3, self.image_side // 2)
        return {
            "convolutions": [first.told(), second.told()],
            "linear": [[flat, hidden], [hidden, classes]],
            "normalisation": "none",
        }

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import cnn_network  # noqa: PLC0415  (torch)

        return cnn_network.CnnNetwork(self.image_channels, self.channels, self.widths())
