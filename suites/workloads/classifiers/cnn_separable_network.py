"""The depthwise-separable network in PyTorch."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.cnn_norm import NormedConvolution


class SeparableNetwork(nn.Module):
    """Convolutions with ReLU after each, the mean of each map, and a fully connected layer.

    Args:
        convolutions: The first one, then a depthwise and a 1 x 1 one for each block.
        classes: How many classes there are.

    Attributes:
        blocks: Both convolutions of each block.
    """

    def __init__(self, convolutions: Sequence[Convolution], classes: int) -> None:
        super().__init__()
        first, *rest = convolutions
        self.stem = _rectified(first)
        pairs = zip(rest[::2], rest[1::2], strict=True)
        self.blocks = nn.ModuleList(_rectified(*pair) for pair in pairs)
        self.last = nn.Linear(convolutions[-1].channels_out, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores, shape (batch, classes), of images, shape (batch, channels, side, side)."""
        maps = self.stem(images)
        for block in self.blocks:
            maps = block(maps)
        return cast("Tensor", self.last(maps.mean((2, 3))))


def _rectified(*shapes: Convolution) -> nn.Module:
    made: list[nn.Module] = []
    for shape in shapes:
        made += [NormedConvolution(shape), nn.ReLU()]
    return nn.Sequential(*made)
