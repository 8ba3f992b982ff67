"""Convolutions in words: their shapes and what they cost, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass

from accelbench.harness.schema.plain import Plain


@dataclass(frozen=True)
class Convolution:
    """A convolution over square maps, padded so that stride 1 keeps their size.

    Attributes:
        channels_in: Channels of its input.
        channels_out: Its filters.
        kernel: Height and width of a filter; odd.
        side: Height and width of its input.
        stride: Step of the filter.
        depthwise: Whether each channel is filtered by itself.
    """

    channels_in: int
    channels_out: int
    kernel: int
    side: int
    stride: int = 1
    depthwise: bool = False

    @property
    def side_out(self) -> int:
        """Height and width of its output."""
        return -(-self.side // self.stride)

    @property
    def flops(self) -> int:
        """FLOPs for one image: two for each multiply-add, those with padding too."""
        inputs = 1 if self.depthwise else self.channels_in
        return 2 * self.kernel**2 * inputs * self.channels_out * self.side_out**2

    def told(self) -> Mapping[str, Plain]:
        """Its shapes for a record."""
        return {
            "in": self.channels_in,
            "out": self.channels_out,
            "kernel": [self.kernel, self.kernel],
            "stride": [self.stride, self.stride],
            "feature_map": [self.side, self.side],
            "depthwise": self.depthwise,
        }
