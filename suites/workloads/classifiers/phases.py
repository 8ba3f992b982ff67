"""The phases of a classifier that can be lowered to operator graphs."""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from torch import Tensor, nn

from accelbench.suites.workloads.classifiers.lesson import adam
from accelbench.suites.workloads.classifiers.networks import answer
from accelbench.suites.workloads.lowering.subject import Subject


class Lowered(Protocol):
    """What a classifier tells of itself; its class says what each is."""

    @property
    def name(self) -> str:
        """Name of the workload."""

    @property
    def learning_rate(self) -> float:
        """Step size of Adam."""

    def lowered_network(self) -> Any:
        """The network."""

    def example(self, batch: int) -> Any:
        """Inputs."""

    def truths(self, batch: int) -> Any:
        """Truths."""

    def loss(self, answer: Any, labels: Any) -> Any:
        """The mean loss."""


def subject(classifier: Lowered) -> Subject:
    """The forward pass, and the parts of a training step."""
    return Subject(
        workload=classifier.name,
        build=classifier.lowered_network,
        calls={"forward": partial(_forward, classifier.example)},
        loss=partial(_loss, classifier),
        optimiser=partial(adam, learning_rate=classifier.learning_rate),
    )


def _forward(
    example: Callable[[int], Any],
    model: nn.Module,
    batch: int,
    tokens: int,  # noqa: ARG001  (has no tokens)
    context: int,  # noqa: ARG001  (has no tokens)
) -> Tensor:
    return answer(model, example(batch))


def _loss(classifier: Lowered, model: nn.Module, batch: int, tokens: int) -> Tensor:  # noqa: ARG001  (has no tokens)
    scores = answer(model, classifier.example(batch))
    loss: Tensor = classifier.loss(scores, classifier.truths(batch))
    return loss
