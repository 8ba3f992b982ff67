"""A small convolutional network on scikit-learn's scans of handwritten digits."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.protocols import Quality, Training
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads.extras import require

CLASSES = 10
SIDE = 8
TEST_SHARE = 0.2
_BRIGHTEST = 16


@dataclass(frozen=True)
class DigitsCnn:
    """Classifies real scans of digits, 8 x 8 pixels, after training on four fifths of them.

    Attributes:
        channels: Filters of the first convolution; the second has twice as many.
        hidden: Neurons of the fully connected layer before the last.
        learning_rate: Step size of Adam.
        split_seed: Seed of the stratified split into training and test data, the same for
            every trial.
    """

    task: ClassVar[Literal["classify"]] = "classify"

    channels: int = 32
    hidden: int = 64
    learning_rate: float = 0.003
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.channels < 1 or self.hidden < 1 or self.learning_rate <= 0:
            raise ValueError("channels, hidden and learning_rate must be above 0")

    def model(self, weights: Path | None, seed: int) -> Any:
        """The network in float32, from saved weights or initialised from the seed.

        Raises:
            MissingPart: PyTorch is not installed.
            ForeignError: The weights do not fit or cannot be read.
        """
        require("torch", "torch", "safetensors")
        from accelbench.suites.workloads import digits_network as network  # noqa: PLC0415  (torch)

        if weights is None:
            return network.initialised(self.channels, self.hidden, seed)
        return network.loaded(self.channels, self.hidden, weights)

    def facts(self) -> Mapping[str, Plain]:
        """The data, its split, and weights that mean nothing until they are trained."""
        digits = load(self.split_seed)
        return {
            "weights": "random",
            "data": {
                "kind": "real",
                "name": "Optical Recognition of Handwritten Digits (UCI), its test part",
                "source": "sklearn.datasets.load_digits",
                "licence": "CC BY 4.0 (UCI); shipped in scikit-learn, BSD-3-Clause",
                "sha256": digits.sha256,
                "train": len(digits.train.labels),
                "test": len(digits.test.labels),
                "split": "stratified; test is scored",
                "split_seed": self.split_seed,
            },
            "training": {
                "optimizer": f"Adam, learning rate {self.learning_rate:g}, PyTorch's defaults else",
                "loss": "mean cross-entropy",
                "loss_scaling": "none",
                "gradient_accumulation": 1,
                "memory": {
                    "optimizer_sharding": "none",
                    "activation_checkpointing": "none",
                    "offload": "none",
                },
            },
        }

    def geometry(self) -> Mapping[str, Plain]:
        """Convolutions and fully connected layers, in order; every image has one size."""
        deep = 2 * self.channels
        return {
            "execution": "dense",
            "input_shapes": {f"1x{SIDE}x{SIDE}": 1.0},
            "convolutions": [
                _convolution(1, self.channels, SIDE),
                _convolution(self.channels, deep, SIDE // 2),
            ],
            "linear": [[deep * (SIDE // 4) ** 2, self.hidden], [self.hidden, CLASSES]],
            "padding": {"policy": "none: all images have one size", "share": 0.0},
        }

    def kv(self, element_bytes: float) -> KvLayout | None:  # noqa: ARG002  (keeps none)
        """There is no attention, so nothing is kept."""
        return None

    def count(self, text: str) -> int | None:  # noqa: ARG002  (there is no tokenizer)
        """None: it has no tokenizer."""
        return None

    def export(self, folder: Path) -> Path:  # noqa: ARG002  (refuses)
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError("a classifier is no Hugging Face folder", remedy="use tiny_llama")

    def samples(self) -> "DigitSamples":
        """The test split."""
        return load(self.split_seed).test

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError(f"a classifier has no prompts ({count} asked, seed {seed})")

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError(f"a classifier has no prompts ({len(asks)} asked, seed {seed})")

    def training(self, model: Any, batch_size: int, seed: int) -> Training:
        """A training run with Adam and cross-entropy, on the device the model is on."""
        from accelbench.suites.workloads import digits_network as network  # noqa: PLC0415  (torch)

        return network.DigitsTraining(
            model, load(self.split_seed), self.learning_rate, batch_size, seed
        )

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:  # noqa: ARG002  (has no tokens)
        """The operator graph of the forward pass."""
        require("torch", "torch", "safetensors")
        from accelbench.suites.workloads import digits_network as network  # noqa: PLC0415  (torch)

        return network.lowered(self.channels, self.hidden, phase, batch)


def _convolution(channels_in: int, channels_out: int, side: int) -> dict[str, Plain]:
    return {
        "in": channels_in,
        "out": channels_out,
        "kernel": [3, 3],
        "stride": [1, 1],
        "feature_map": [side, side],
        "depthwise": False,
    }


@dataclass(frozen=True)
class DigitSamples:
    """Images and their digits.

    Attributes:
        images: float32 in [0, 1], shape (count, 1, 8, 8).
        labels: int64, shape (count,).
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.labels)

    def batch(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """The images at these indices."""
        return self.images[list(indices)]

    def score(self, answered: Sequence[tuple[Sequence[int], Any]]) -> Quality | None:
        """Accuracy over the first answer to each sample, of those that were answered.

        Args:
            answered: Pairs of indices and scores by class, shape (indices, 10).
        """
        first: dict[int, int] = {}
        for indices, scores in answered:
            chosen = np.asarray(scores).argmax(axis=1)
            for index, digit in zip(indices, chosen, strict=True):
                first.setdefault(index, int(digit))
        if not first:
            return None
        right = sum(digit == self.labels[index] for index, digit in first.items())
        return Quality("accuracy", "test", float(right) / len(first), len(first))


@dataclass(frozen=True)
class Digits:
    """The data, split.

    Attributes:
        train: Four fifths.
        test: One fifth, each digit with the same share as in the whole.
        sha256: Digest of all pixels as float64, in the order of the source.
    """

    train: DigitSamples
    test: DigitSamples
    sha256: str


@cache
def load(split_seed: int) -> Digits:
    """The data, as shipped inside scikit-learn; nothing is downloaded.

    Args:
        split_seed: Seed of the split.

    Raises:
        MissingPart: scikit-learn is not installed.
    """
    require("torch", "sklearn")
    from sklearn.datasets import load_digits  # noqa: PLC0415  (slow to import)
    from sklearn.model_selection import train_test_split  # noqa: PLC0415  (likewise)

    pixels, digits = load_digits(return_X_y=True)
    images = (pixels / _BRIGHTEST).astype(np.float32).reshape(-1, 1, SIDE, SIDE)
    labels = digits.astype(np.int64)
    parts = train_test_split(
        np.arange(len(labels)), test_size=TEST_SHARE, random_state=split_seed, stratify=labels
    )
    train, test = (DigitSamples(images[part], labels[part]) for part in parts)
    return Digits(train, test, hashlib.sha256(pixels.tobytes()).hexdigest())
