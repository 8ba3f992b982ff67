"""The residual network in PyTorch."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.cnn_norm import NormedConvolution
from accelbench.suites.workloads.classifiers.cnn_residual import ResidualBlock


class ResidualNetwork(nn.Module):
    """A stem, residual blocks, the mean of each map, and a fully connected layer.

    Args:
        first: The convolution of the stem.
        blocks: The blocks.
        classes: How many classes there are.
        pool: Whether the maps of the stem are pooled.

    Attributes:
        blocks: The residual blocks.
    """

    def __init__(
        self, first: Convolution, blocks: Sequence[ResidualBlock], classes: int, *, pool: bool
    ) -> None:
        super().__init__()
        pooling = nn.MaxPool2d(3, 2, padding=1) if pool else nn.Identity()
        self.stem = nn.Sequential(NormedConvolution(first), nn.ReLU(), pooling)
        self.blocks = nn.ModuleList(_Block(block) for block in blocks)
        self.last = nn.Linear(blocks[-1].path[-1].channels_out, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores, shape (batch, classes), of images, shape (batch, channels, side, side)."""
        maps = self.stem(images)
        for block in self.blocks:
            maps = block(maps)
        return cast("Tensor", self.last(maps.mean((2, 3))))


class _Block(nn.Module):
    """One residual block; ReLU after each convolution, that of the last after the sum."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        made: list[nn.Module] = []
        for shape in block.path:
            made += [NormedConvolution(shape), nn.ReLU()]
        self.path = nn.Sequential(*made[:-1])
        self.shortcut = NormedConvolution(block.shortcut) if block.shortcut else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        return nn.functional.relu(self.path(maps) + self.shortcut(maps))
