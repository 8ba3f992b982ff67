"""The denoiser in PyTorch."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_LONGEST = 10_000


class Denoiser(nn.Module):
    """A U-Net of three blocks: at full size, at half size with attention, at full size again.

    Args:
        image_channels: Channels of an image.
        width: Channels at full size; twice as many at half size.
        heads: Heads of the attention.
        groups: Groups of channels that are normalised together.
        shares: The share of an image's variance that is left after each number of steps, from 0.

    Attributes:
        blocks: The three blocks.
    """

    def __init__(
        self, image_channels: int, width: int, heads: int, groups: int, shares: Sequence[float]
    ) -> None:
        super().__init__()
        self.register_buffer("_shares", torch.tensor(shares), persistent=False)
        self.register_buffer("_waves", _waves(len(shares), width), persistent=False)
        self.embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.enter = nn.Conv2d(image_channels, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, 2, padding=1)
        self.blocks = nn.ModuleList(
            _Block(inputs, outputs, width, groups)
            for inputs, outputs in ((width, width), (2 * width, 2 * width), (3 * width, width))
        )
        self.attention = _Attention(2 * width, heads, groups)
        self.leave = nn.Sequential(
            nn.GroupNorm(groups, width), nn.SiLU(), nn.Conv2d(width, image_channels, 3, padding=1)
        )

    def forward(self, images: Tensor, steps: Tensor) -> Tensor:
        """What it makes of noisy images.

        Args:
            images: Shape (batch, channels, side, side), side even.
            steps: Steps of noise in each, from 1; int64, shape (batch,).

        Returns:
            In training the noise that it sees; else the images with one step less of it. Shaped
            as the images.
        """
        noise = self._noise(images, steps)
        return noise if self.training else self._earlier(images, noise, steps)

    def _noise(self, images: Tensor, steps: Tensor) -> Tensor:
        waves, (first, middle, last) = self.get_buffer("_waves"), self.blocks
        told = self.embed(waves[steps])
        full = first(self.enter(images), told)
        half = self.attention(middle(self.down(full), told))
        grown = functional.interpolate(half, scale_factor=2.0, mode="nearest")
        return cast("Tensor", self.leave(last(torch.cat([grown, full], dim=1), told)))

    def _earlier(self, images: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        """The step of DDIM without noise (Song et al. 2021, eq. 12 with sigma 0)."""
        shares = self.get_buffer("_shares")
        now, before = (shares[at].view(-1, 1, 1, 1) for at in (steps, steps - 1))
        clean = (images - (1 - now).sqrt() * noise) / now.sqrt()
        return before.sqrt() * clean + (1 - before).sqrt() * noise


class _Block(nn.Module):
    """Two normalised convolutions with the step's embedding between them, added to the input."""

    def __init__(self, inputs: int, outputs: int, embedded: int, groups: int) -> None:
        super().__init__()
        self.first = _normed(inputs, outputs, groups)
        self.told = nn.Linear(embedded, outputs)
        self.second = _normed(outputs, outputs, groups)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, maps: Tensor, embedded: Tensor) -> Tensor:
        inner = self.first(maps) + self.told(embedded)[:, :, None, None]
        return cast("Tensor", self.shortcut(maps) + self.second(inner))


class _Attention(nn.Module):
    """Each pixel as a mean of all pixels' values, added to it."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.project_in = nn.Conv2d(channels, 3 * channels, 1)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        batch, channels, height, width = maps.shape
        parts = self.project_in(self.norm(maps))
        parts = parts.view(batch, 3, self._heads, channels // self._heads, height * width)
        query, key, value = parts.transpose(3, 4).unbind(1)
        pixels = functional.scaled_dot_product_attention(query, key, value)
        inner = pixels.transpose(2, 3).reshape(batch, channels, height, width)
        return cast("Tensor", maps + self.project_out(inner))


def _normed(inputs: int, outputs: int, groups: int) -> nn.Module:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return nn.Sequential(nn.GroupNorm(groups, inputs), nn.SiLU(), convolution)


def _waves(count: int, width: int) -> Tensor:
    """Sine and cosine of each number of steps at falling frequencies, shape (count, width)."""
    rates = torch.exp(torch.arange(width // 2) * (-math.log(_LONGEST) / (width // 2)))
    angles = torch.arange(count)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
