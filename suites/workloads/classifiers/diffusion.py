"""A denoiser of images: one small U-Net that is told how noisy they are (Ho et al. 2020)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.images import OfImages
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.data.noised import kept, noised

GROUPS = 4
"""Groups of channels that are normalised together."""


@dataclass(frozen=True)
class Diffusion(OfImages):
    """Answers noisy images with the same ones a step less noisy, by the step of DDIM without noise.

    It is taught like a classifier, but that its truth is the noise and its loss the squared error.

    Attributes:
        width: Channels at full size; at half size there are twice as many.
        heads: Heads of the attention at half size.
        steps: Steps from an image to noise alone.
    """

    name: ClassVar[str] = "diffusion"

    width: int = 32
    heads: int = 4
    steps: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.heads) < 1 or self.steps < 2:  # noqa: PLR2004  (one leads nowhere)
            raise ValueError("width and heads must be above 0, steps above 1")
        if self.width % GROUPS or 2 * self.width % self.heads:
            raise ValueError(f"width must be a multiple of {GROUPS}, 2 * width one of heads")
        if self.image_side % 2:
            raise ValueError("image_side must be even")

    def layers(self) -> Mapping[str, Plain]:
        """Blocks, widths, attention and the embedding of the step."""
        half = self.image_side // 2
        return {
            "blocks": [
                {"at": self.image_side, "channels": [self.width, self.width]},
                {"at": half, "channels": [2 * self.width, 2 * self.width]},
                {"at": self.image_side, "channels": [3 * self.width, self.width]},
            ],
            "heads": self.heads,
            "kv_heads": self.heads,
            "head_dim": 2 * self.width // self.heads,
            "tokens_per_image": half * half,
            "attention": "full over all pixels at half size, multi-head",
            "step_embedding": {"kind": "sine and cosine, two linear layers", "width": self.width},
            "steps": self.steps,
            "normalisation": f"of {GROUPS} groups of channels, an operator of its own",
        }

    def data(self) -> Split:
        """Images with noise, and what is true of them."""
        return noised(self.pictures(1), self.steps, self.split_seed)

    def example(self, batch: int) -> Any:
        """Images, shape (batch, image_channels, image_side, image_side), and steps, (batch,)."""
        import torch  # noqa: PLC0415  (torch)

        images = super().example(batch)
        return {"images": images, "steps": torch.zeros(batch, dtype=torch.int64)}

    def truths(self, batch: int) -> Any:
        """Noise in the shape of the images."""
        return super().example(batch)

    def lesson_facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, in words."""
        return {**super().lesson_facts(), "loss": "mean squared error of the noise"}

    def loss(self, answer: Any, labels: Any) -> Any:
        """The mean squared error of the noise, shape ().

        Args:
            answer: The noise that the network sees, shape (batch, channels, side, side).
            labels: The noise that there is, likewise.
        """
        from torch.nn import functional  # noqa: PLC0415  (torch)

        return functional.mse_loss(answer, labels)

    def network(self) -> Any:
        """The network in PyTorch."""
        from accelbench.suites.workloads.classifiers import diffusion_network  # noqa: PLC0415  (torch)

        shares = [float(share) for share in kept(self.steps)]
        return diffusion_network.Denoiser(
            self.image_channels, self.width, self.heads, GROUPS, shares
        )
