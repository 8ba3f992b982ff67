"""The multilayer perceptron in PyTorch."""

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn


class MlpNetwork(nn.Module):
    """Fully connected layers, ReLU after each but the last.

    Args:
        widths: Of the input, of each hidden layer and of the answer.

    Attributes:
        blocks: The hidden layers, each with its ReLU.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        hidden = pairwise(widths[:-1])
        self.blocks = nn.ModuleList(_rectified(inputs, outputs) for inputs, outputs in hidden)
        self.last = nn.Linear(widths[-2], widths[-1])

    def forward(self, images: Tensor) -> Tensor:
        """Scores, shape (batch, classes), of images, shape (batch, channels, side, side)."""
        hidden = images.flatten(1)
        for block in self.blocks:
            hidden = block(hidden)
        return cast("Tensor", self.last(hidden))


def _rectified(inputs: int, outputs: int) -> nn.Module:
    linear = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="relu")
    return nn.Sequential(linear, nn.ReLU())
