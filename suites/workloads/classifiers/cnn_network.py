"""The plain convolutional network in PyTorch."""

from typing import cast

from torch import Tensor, nn


class CnnNetwork(nn.Module):
    """Two blocks of convolution, ReLU and pooling, and two fully connected layers.

    Args:
        image_channels: Channels of an image.
        channels: Filters of the first convolution; the second has twice as many.
        widths: Of the flattened maps, of the hidden layer and of the answer.

    Attributes:
        blocks: The two convolutions, each with its ReLU and pooling.
    """

    def __init__(self, image_channels: int, channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        flat, hidden, classes = widths
        self.blocks = nn.ModuleList(
            [_block(image_channels, channels), _block(channels, 2 * channels)]
        )
        self.last = nn.Sequential(
            nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Scores, shape (batch, classes), of images, shape (batch, channels, side, side)."""
        maps = images
        for block in self.blocks:
            maps = block(maps)
        return cast("Tensor", self.last(maps))


def _block(channels_in: int, channels_out: int) -> nn.Module:
    convolution = nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), nn.MaxPool2d(2))
