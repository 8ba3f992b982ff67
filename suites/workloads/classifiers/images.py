"""What is given square images: real scans of digits, or noise of any size."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.classifiers.classifier import Classifier
from accelbench.suites.workloads.data import digits
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.data.noise import noise


@dataclass(frozen=True)
class OfImages(Classifier):
    """A family gives its network and the layers that this has, in words.

    Attributes:
        images: "digits": scikit-learn's scans, which are 8 x 8 pixels of one channel. "noise":
            synthetic ones of any size, for which no accuracy is told.
        image_channels: Channels of an image.
        image_side: Its height and width, pixels.
    """

    images: Literal["digits", "noise"] = "digits"
    image_channels: int = 1
    image_side: int = digits.SIDE

    def __post_init__(self) -> None:
        super().__post_init__()
        size = (self.image_channels, self.image_side)
        if min(size) < 1:
            raise ValueError("image_channels and image_side must be above 0")
        if self.images == "digits" and size != (1, digits.SIDE):
            raise ValueError("digits have 1 channel and 8 x 8 pixels; use images=noise")

    @abstractmethod
    def layers(self) -> Mapping[str, Plain]:
        """The layers of the network, in order."""

    def geometry(self) -> Mapping[str, Plain]:
        """The layers, and that all images have one size."""
        side = self.image_side
        return {
            "execution": "dense",
            "input_shapes": {f"{self.image_channels}x{side}x{side}": 1.0},
            "padding": {"policy": "none: all images have one size", "share": 0.0},
            **self.layers(),
        }

    def example(self, batch: int) -> Any:
        """Images, shape (batch, image_channels, image_side, image_side)."""
        import torch  # noqa: PLC0415  (torch)

        return torch.empty(batch, self.image_channels, self.image_side, self.image_side)

    def pictures(self, classes: int) -> Split:
        """The images and their classes.

        Args:
            classes: How many classes there are, for noise.
        """
        if self.images == "digits":
            return digits.digits(self.split_seed)
        return noise(self.image_channels, self.image_side, classes, self.split_seed)


@dataclass(frozen=True)
class ImageClassifier(OfImages):
    """Tells what an image shows.

    Attributes:
        classes: How many classes there are.
    """

    classes: int = digits.CLASSES

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes < 1:
            raise ValueError("classes must be above 0")
        if self.images == "digits" and self.classes != digits.CLASSES:
            raise ValueError("digits have 10 classes; use images=noise")

    def data(self) -> Split:
        """The images and their classes."""
        return self.pictures(self.classes)
