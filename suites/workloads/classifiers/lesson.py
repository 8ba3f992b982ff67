"""What a classifier is taught: the truths of its training samples."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Lengths
from accelbench.suites.workloads.classifiers.networks import answer
from accelbench.suites.workloads.data.labelled import Inputs, LabelledSamples, Split

_AT_ONCE = 512

Batch: TypeAlias = tuple[Tensor | dict[str, Tensor], Tensor]
"""Inputs, and the truth of each sample."""


class ClassLesson:
    """A loss of one answer a sample, with Adam; scored by the figures of the test samples.

    Samples stay on the host; those of a batch are copied to where the model lies.

    Args:
        split: The data.
        loss: Takes what the model answers in training mode and the truths; the mean loss.
        learning_rate: Step size of Adam, whose other settings are PyTorch's defaults.
        facts: Optimiser and loss, in words.
        unlike: Why the workload's operator graph is of other sizes than a training step; empty
            where it is not.
    """

    def __init__(
        self,
        split: Split,
        loss: Callable[[Tensor, Tensor], Tensor],
        learning_rate: float,
        facts: Mapping[str, Plain],
        unlike: str = "",
    ) -> None:
        self.count = split.train.count
        self._split, self._loss = split, loss
        self._learning_rate, self._facts, self._unlike = learning_rate, facts, unlike

    def batch(self, indices: Sequence[int], model: nn.Module) -> Batch:
        """Inputs and truths of these training samples."""
        return _batch(self._split.train, indices, next(model.parameters()))

    def lengths(self, indices: Sequence[int]) -> Lengths:
        """All alike, without tokens.

        Raises:
            TrialError: The workload's operator graph is of other sizes than a training step.
        """
        if self._unlike:
            raise TrialError(self._unlike)
        return {1: len(indices)}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The mean loss over the samples of a batch."""
        inputs, labels = batch
        return self._loss(answer(model, inputs), labels)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """Adam over all parameters that are trained."""
        return adam(model, self._learning_rate)

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """Those that the network names `blocks`, in order."""
        bare: Any = getattr(model, "module", model)
        return tuple(bare.blocks)

    def evaluate(self, model: nn.Module) -> Sequence[Quality]:
        """The figures of the test samples; none where no answer can be right."""
        test = self._split.test
        parts = [
            range(start, min(start + _AT_ONCE, test.count))
            for start in range(0, test.count, _AT_ONCE)
        ]
        like = next(model.parameters())
        answered = [
            (part, answer(model, _batch(test, part, like)[0]).float().cpu().numpy())
            for part in parts
        ]
        return test.figures(answered)

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, in words."""
        return self._facts


def adam(model: nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Adam over all parameters that are trained, with PyTorch's settings but for the step size."""
    trained = [own for own in model.parameters() if own.requires_grad]
    return torch.optim.Adam(trained, lr=learning_rate)


def _batch(samples: LabelledSamples, indices: Sequence[int], like: Tensor) -> Batch:
    labels = _tensor(samples.labels[list(indices)], like)
    return _placed(samples.batch(indices), like), labels


def _placed(inputs: Inputs, like: Tensor) -> Tensor | dict[str, Tensor]:
    if isinstance(inputs, Mapping):
        return {name: _tensor(array, like) for name, array in inputs.items()}
    return _tensor(inputs, like)


def _tensor(array: NDArray[Any], like: Tensor) -> Tensor:
    """Where the model lies; real numbers in its format, whole ones as they are."""
    tensor = torch.from_numpy(array)
    return tensor.to(like.device, like.dtype if tensor.is_floating_point() else tensor.dtype)
