"""Depthwise-separable convolutional networks (MobileNet, Howard et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.cnn_normed import NormedCnn


@dataclass(frozen=True)
class SeparableCnn(NormedCnn):
    """A 3 x 3 convolution, then blocks of a depthwise 3 x 3 one and a 1 x 1 one.

    Attributes:
        width: Filters of the first convolution.
        stem_stride: Its stride.
        channels: Filters of the 1 x 1 convolution of each block.
        strides: Stride of the depthwise convolution of each block.
    """

    name: ClassVar[str] = "separable_cnn"

    width: int = 16
    stem_stride: int = 1
    channels: tuple[int, ...] = (32, 64, 64)
    strides: tuple[int, ...] = (1, 2, 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.channels or len(self.channels) != len(self.strides):
            raise ValueError("channels and strides must have one number for each block")
        if min(self.width, self.stem_stride, *self.channels, *self.strides) < 1:
            raise ValueError("width, stem_stride, channels and strides must be above 0")

    def convolutions(self) -> Sequence[Convolution]:
        """The first one, then both of each block."""
        side = self.image_side
        made = [Convolution(self.image_channels, self.width, 3, side, self.stem_stride)]
        for channels, stride in zip(self.channels, self.strides, strict=True):
            before, side = made[-1].channels_out, made[-1].side_out
            made.append(Convolution(before, before, 3, side, stride, depthwise=True))
            made.append(Convolution(before, channels, 1, made[-1].side_out))
        return made

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import cnn_separable_network  # noqa: PLC0415  (torch)

        return cnn_separable_network.SeparableNetwork(self.convolutions(), self.classes)
