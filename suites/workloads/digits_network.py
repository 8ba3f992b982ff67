"""The network of `digits_cnn` in PyTorch: its layers, its weights and how it is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from accelbench.harness.foreign import foreign
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.protocols import Quality
from accelbench.suites.workloads.digits_cnn import CLASSES, SIDE, Digits, DigitSamples
from accelbench.suites.workloads.lowering import graph_of


def network(channels: int, hidden: int) -> nn.Module:
    """Two convolutions, each with ReLU and 2 x 2 pooling, and two fully connected layers."""
    return nn.Sequential(
        nn.Conv2d(1, channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(channels, 2 * channels, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(2 * channels * (SIDE // 4) ** 2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, CLASSES),
    )


def initialised(channels: int, hidden: int, seed: int) -> nn.Module:
    """The network with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network(channels, hidden)


def loaded(channels: int, hidden: int, weights: Path) -> nn.Module:
    """The network with weights that `DigitsTraining.save` wrote.

    Raises:
        ForeignError: The file cannot be read, or holds other tensors.
    """
    with foreign("loading the weights", where=weights.name):
        model = network(channels, hidden)
        model.load_state_dict(load_file(weights))
    return model


def lowered(channels: int, hidden: int, phase: str, batch: int) -> OpGraph:
    """The operator graph of the forward pass."""
    with torch.device("meta"):
        model, images = network(channels, hidden), torch.empty(batch, 1, SIDE, SIDE)
    return graph_of(model, lambda: model(images), workload="digits_cnn", phase=phase, batch=batch)


class DigitsTraining:
    """One training run; the order of the images depends on the seed and the epoch alone.

    Args:
        model: The network; it decides device and precision.
        digits: The data.
        learning_rate: Of Adam, whose other settings are PyTorch's defaults.
        batch_size: Images in a step; the last step of an epoch takes what is left.
        seed: Seed of the order.
    """

    def __init__(
        self, model: nn.Module, digits: Digits, learning_rate: float, batch_size: int, seed: int
    ) -> None:
        self._model = model
        self._images, self._labels = _on(model, digits.train)
        self._test_images, self._test_labels = _on(model, digits.test)
        self._optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
        self._batch_size = batch_size
        self._seed = seed

    def batches(self, epoch: int) -> Sequence[tuple[Tensor, Tensor]]:
        """All training images once, in an order of their own for each epoch."""
        draw = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        order = torch.randperm(len(self._labels), generator=draw).to(self._labels.device)
        parts = [
            order[start : start + self._batch_size]
            for start in range(0, len(order), self._batch_size)
        ]
        return [(self._images[part], self._labels[part]) for part in parts]

    def step(self, batch: tuple[Tensor, Tensor]) -> int:
        """One step of Adam on the mean cross-entropy of the batch."""
        images, labels = batch
        self._model.train()
        self._optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self._model(images), labels)
        torch.autograd.backward(loss)
        self._optimiser.step()
        return len(labels)

    @torch.no_grad()
    def evaluate(self) -> Sequence[Quality]:
        """Accuracy on the test images."""
        self._model.eval()
        right = (self._model(self._test_images).argmax(1) == self._test_labels).sum()
        count = len(self._test_labels)
        return [Quality("accuracy", "test", int(right) / count, count)]

    def save(self, path: Path) -> None:
        """Writes the weights as safetensors.

        Raises:
            ForeignError: The file cannot be written.
        """
        state = {name: tensor.contiguous() for name, tensor in self._model.state_dict().items()}
        with foreign("saving the weights", where=path.name):
            save_file(state, path)


def _on(model: nn.Module, samples: DigitSamples) -> tuple[Tensor, Tensor]:
    like = cast("Tensor", next(model.parameters()))
    images = torch.from_numpy(samples.images).to(like.device, like.dtype)
    return images, torch.from_numpy(samples.labels).to(like.device)
