"""Vision transformers (Dosovitskiy et al. 2021), from one for digits to ViT-B/16."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.images import ImageClassifier


@dataclass(frozen=True)
class Vit(ImageClassifier):
    """Patches as tokens behind a class token, through blocks that normalise first.

    Attributes:
        patch: Height and width of a patch, pixels.
        hidden: Width of the residual stream.
        blocks: Blocks of attention and feed-forward layer.
        heads: Attention heads.
        intermediate: Width of the feed-forward layer.
    """

    name: ClassVar[str] = "vit"

    patch: int = 2
    hidden: int = 64
    blocks: int = 3
    heads: int = 4
    intermediate: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.patch, self.hidden, self.blocks, self.heads, self.intermediate) < 1:
            raise ValueError("patch, hidden, blocks, heads and intermediate must be above 0")
        if self.image_side % self.patch or self.hidden % self.heads:
            raise ValueError("image_side must be a multiple of patch, hidden one of heads")

    @property
    def tokens(self) -> int:
        """Tokens of an image: its patches and the class token."""
        return (self.image_side // self.patch) ** 2 + 1

    def layers(self) -> Mapping[str, Plain]:
        """Layers, heads, widths, tokens and attention."""
        return {
            "layers": self.blocks,
            "heads": self.heads,
            "kv_heads": self.heads,
            "head_dim": self.hidden // self.heads,
            "hidden": self.hidden,
            "intermediate": self.intermediate,
            "patch": self.patch,
            "tokens_per_image": self.tokens,
            "sequence": {"tokens": self.tokens, "parallel": "all tokens of an image at once"},
            "attention": "full over all tokens of an image, multi-head",
        }

    def facts(self) -> Mapping[str, Plain]:
        """Data and weights, and which function of PyTorch attends."""
        return {**super().facts(), "attention": {"implementation": "sdpa"}}

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import vit_network  # noqa: PLC0415  (torch)

        return vit_network.VisionTransformer(self)
