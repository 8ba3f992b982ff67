"""Residual convolutional networks (He et al. 2016), from one for digits to ResNet-50."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.cnn_normed import NormedCnn

_EXPANSION = 4


@dataclass(frozen=True)
class ResidualBlock:
    """Convolutions whose result is added to what they were given.

    Attributes:
        path: The convolutions, in order.
        shortcut: That of the other path, where shapes differ; None where nothing is done.
    """

    path: tuple[Convolution, ...]
    shortcut: Convolution | None


@dataclass(frozen=True)
class ResNet(NormedCnn):
    """Stages of residual blocks; each stage but the first halves the maps.

    Attributes:
        block: "basic": two 3 x 3 convolutions. "bottleneck": 1 x 1, 3 x 3 and 1 x 1, the last four
            times as wide; stride lies in the 3 x 3 one, as in all of today's libraries.
        width: Channels of the first stage; each stage has twice those of the one before.
        stages: Blocks of each stage.
        stem: "small": a 3 x 3 convolution. "imagenet": 7 x 7 at stride 2, then pooling at stride 2.
    """

    name: ClassVar[str] = "resnet"

    block: Literal["basic", "bottleneck"] = "basic"
    width: int = 16
    stages: tuple[int, ...] = (1, 1)
    stem: Literal["small", "imagenet"] = "small"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1 or not self.stages or min(self.stages) < 1:
            raise ValueError("width and the blocks of each stage must be above 0")

    def first(self) -> Convolution:
        """The convolution of the stem."""
        kernel, stride = (7, 2) if self.stem == "imagenet" else (3, 1)
        return Convolution(self.image_channels, self.width, kernel, self.image_side, stride)

    def blocks(self) -> Sequence[ResidualBlock]:
        """The blocks of all stages, in order."""
        channels, side = self.width, self.first().side_out
        if self.stem == "imagenet":
            side = -(-side // 2)
        made = []
        for stage, count in enumerate(self.stages):
            for number in range(count):
                stride = 2 if stage and not number else 1
                made.append(self._block(channels, self.width * 2**stage, side, stride))
                channels, side = made[-1].path[-1].channels_out, made[-1].path[-1].side_out
        return made

    def convolutions(self) -> Sequence[Convolution]:
        """That of the stem, then those of each block, its shortcut last."""
        blocks = self.blocks()
        inner = [own for block in blocks for own in (*block.path, block.shortcut) if own]
        return [self.first(), *inner]

    def layers(self) -> Mapping[str, Plain]:
        """Convolutions, the fully connected layer, and how they are arranged."""
        pooled = "maximum of 3 x 3 at stride 2 after the stem, mean of each map before the end"
        return {
            **super().layers(),
            "blocks": {"kind": self.block, "stages": list(self.stages)},
            "pooling": pooled if self.stem == "imagenet" else "mean of each map before the end",
        }

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import cnn_residual_network  # noqa: PLC0415  (torch)

        return cnn_residual_network.ResidualNetwork(
            self.first(), self.blocks(), self.classes, pool=self.stem == "imagenet"
        )

    def _block(self, channels: int, width: int, side: int, stride: int) -> ResidualBlock:
        after = -(-side // stride)
        out = width if self.block == "basic" else _EXPANSION * width
        path: tuple[Convolution, ...]
        if self.block == "basic":
            path = (
                Convolution(channels, width, 3, side, stride),
                Convolution(width, width, 3, after),
            )
        else:
            path = (
                Convolution(channels, width, 1, side),
                Convolution(width, width, 3, side, stride),
                Convolution(width, out, 1, after),
            )
        same = channels == out and stride == 1
        return ResidualBlock(path, None if same else Convolution(channels, out, 1, side, stride))
