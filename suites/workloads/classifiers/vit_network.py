"""The vision transformer in PyTorch."""

from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_EPSILON = 1e-6
_SPREAD = 0.02


class Geometry(Protocol):
    """Sizes of a vision transformer; `accelbench.suites.workloads.classifiers.vit` says each."""

    @property
    def image_channels(self) -> int:
        """Channels of an image."""

    @property
    def classes(self) -> int:
        """Classes."""

    @property
    def tokens(self) -> int:
        """Patches and the class token."""

    @property
    def patch(self) -> int:
        """Side of a patch."""

    @property
    def hidden(self) -> int:
        """Width of the residual stream."""

    @property
    def blocks(self) -> int:
        """Blocks."""

    @property
    def heads(self) -> int:
        """Attention heads."""

    @property
    def intermediate(self) -> int:
        """Width of the feed-forward layer."""


class VisionTransformer(nn.Module):
    """Embedding of patches, blocks, and a fully connected layer on the class token.

    Args:
        geometry: Its sizes.

    Attributes:
        blocks: The blocks.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        hidden, patch = geometry.hidden, geometry.patch
        self.embed = nn.Conv2d(geometry.image_channels, hidden, patch, patch)
        self.class_token = nn.Parameter(torch.zeros(1, 1, hidden))
        self.places = nn.Parameter(torch.randn(1, geometry.tokens, hidden) * _SPREAD)
        self.blocks = nn.ModuleList(
            _Block(hidden, geometry.heads, geometry.intermediate) for _ in range(geometry.blocks)
        )
        self.norm = nn.LayerNorm(hidden, eps=_EPSILON)
        self.last = nn.Linear(hidden, geometry.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Scores, shape (batch, classes), of images, shape (batch, channels, side, side)."""
        patches = self.embed(images).flatten(2).transpose(1, 2)
        first = self.class_token.expand(patches.shape[0], -1, -1)
        stream = torch.cat([first, patches], dim=1) + self.places
        for block in self.blocks:
            stream = block(stream)
        return cast("Tensor", self.last(self.norm(stream[:, 0])))


class _Block(nn.Module):
    """Attention and feed-forward layer, each added to a stream that is normalised before it."""

    def __init__(self, hidden: int, heads: int, intermediate: int) -> None:
        super().__init__()
        self._heads = heads
        self.norm_attention = nn.LayerNorm(hidden, eps=_EPSILON)
        self.project_in = nn.Linear(hidden, 3 * hidden)
        self.project_out = nn.Linear(hidden, hidden)
        self.norm_feed = nn.LayerNorm(hidden, eps=_EPSILON)
        self.feed = nn.Sequential(
            nn.Linear(hidden, intermediate), nn.GELU(), nn.Linear(intermediate, hidden)
        )

    def forward(self, stream: Tensor) -> Tensor:
        stream = stream + self._attended(self.norm_attention(stream))
        return cast("Tensor", stream + self.feed(self.norm_feed(stream)))

    def _attended(self, stream: Tensor) -> Tensor:
        """Each token as a mean of all tokens' values, head by head."""
        batch, tokens, hidden = stream.shape
        parts = self.project_in(stream).view(batch, tokens, 3, self._heads, hidden // self._heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind()
        heads = functional.scaled_dot_product_attention(query, key, value)
        return cast(
            "Tensor", self.project_out(heads.transpose(1, 2).reshape(batch, tokens, hidden))
        )
