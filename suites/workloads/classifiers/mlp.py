"""Multilayer perceptrons: wide ones that are bound by arithmetic, narrow ones by launches."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.images import ImageClassifier


@dataclass(frozen=True)
class Mlp(ImageClassifier):
    """Fully connected layers with ReLU between them, on the pixels of an image.

    Attributes:
        width: Neurons of each hidden layer.
        depth: Hidden layers.
    """

    name: ClassVar[str] = "mlp"

    width: int = 256
    depth: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.depth) < 1:
            raise ValueError("width and depth must be above 0")

    def widths(self) -> tuple[int, ...]:
        """Of the input, of each hidden layer and of the answer."""
        pixels = self.image_channels * self.image_side**2
        return (pixels, *[self.width] * self.depth, self.classes)

    def layers(self) -> Mapping[str, Plain]:
        """Inputs and outputs of each fully connected layer."""
        widths = self.widths()
        return {
            "layers": self.depth + 1,
            "linear": [list(pair) for pair in pairwise(widths)],
        }

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import mlp_network  # noqa: PLC0415  (torch)

        return mlp_network.MlpNetwork(self.widths())
