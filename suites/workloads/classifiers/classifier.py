"""What all classifiers have in common: a network, data with right answers, and a lesson."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from accelbench.harness.schema.builders import Samples, Training
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase, training_phases
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.extras import require


@dataclass(frozen=True)
class Classifier(ABC):
    """Answers a sample in one call with a score for each class.

    A family gives its data, its network, its geometry and an example of its inputs. Its `network`
    names the parts whose activations may be recomputed in an attribute `blocks`.

    Attributes:
        learning_rate: Step size of Adam.
        split_seed: Seed of the split into training and test data, the same for every trial.
    """

    name: ClassVar[str]

    learning_rate: float = 0.003
    split_seed: int = 0

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ValueError("learning_rate must be above 0")

    @abstractmethod
    def data(self) -> Split:
        """What it learns from and is scored on.

        Raises:
            MissingPart: What carries the data is not installed.
        """

    @abstractmethod
    def network(self) -> Any:
        """The network, an `nn.Module` whose weights come from PyTorch's global generator."""

    @abstractmethod
    def geometry(self) -> Mapping[str, Plain]:
        """Shapes of the model and its inputs, and padding; reads neither data nor weights."""

    @abstractmethod
    def example(self, batch: int) -> Any:
        """Inputs of so many samples for `network`, made on PyTorch's default device.

        Args:
            batch: Samples; a symbolic size where a graph is recorded for all of them.
        """

    def truths(self, batch: int) -> Any:
        """Truths of so many samples, as `example` makes their inputs.

        Args:
            batch: As there.
        """
        import torch  # noqa: PLC0415  (torch)

        return torch.empty(batch, dtype=torch.int64)

    def lowered_network(self) -> Any:
        """The network whose operators are counted; that which is run, unless a family differs."""
        return self.network()

    def loss(self, answer: Any, labels: Any) -> Any:
        """The mean cross-entropy of what the network answers in training mode, shape ().

        Args:
            answer: Scores by class, shape (batch, classes).
            labels: int64, shape (batch,).
        """
        from torch.nn import functional  # noqa: PLC0415  (torch)

        return functional.cross_entropy(answer, labels)

    def lesson(self) -> Any:
        """What it is taught, a `Lesson` of `accelbench.suites.workloads.training`."""
        from accelbench.suites.workloads.classifiers import lesson  # noqa: PLC0415  (torch)

        return lesson.ClassLesson(
            self.data(),
            self.loss,
            self.learning_rate,
            self.lesson_facts(),
            self.training_unlike_graph(),
        )

    def training_unlike_graph(self) -> str:
        """Why the graphs of `lower` are of other sizes than a training step; empty if they fit."""
        return ""

    def lesson_facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, in words."""
        return {
            "optimizer": f"Adam, learning rate {self.learning_rate:g}, PyTorch's defaults else",
            "loss": "mean cross-entropy",
        }

    def model(self, weights: Path | None, seed: int) -> Any:
        """The network in float32, from saved weights or initialised from the seed.

        Raises:
            MissingPart: PyTorch is not installed.
            ForeignError: The weights do not fit or cannot be read.
        """
        require("torch", "torch")
        from accelbench.suites.workloads.classifiers import networks  # noqa: PLC0415  (torch)

        if weights is None:
            return networks.initialised(self.network, seed)
        return networks.loaded(self.network, weights)

    def facts(self) -> Mapping[str, Plain]:
        """The data, its split, and weights that mean nothing until they are trained."""
        return {
            "weights": "random",
            "data": dict(self.data().facts),
            "training": dict(self.lesson_facts()),
        }

    def samples(self) -> Samples:
        """The test split."""
        return self.data().test

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run of this model, on the device that it lies on.

        Raises:
            ValueError: The batch size cannot be shared as the practice asks.
        """
        from accelbench.suites.workloads.training import GradientTraining  # noqa: PLC0415  (torch)

        return GradientTraining(model, self.lesson(), batch_size, seed, practice)

    def phases(self) -> Sequence[Phase]:
        """The forward pass, and the parts of a training step."""
        return (Phase("forward"), *training_phases())

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of the forward pass or of a part of a training step.

        Raises:
            TrialError: It has no such phase.
        """
        require("torch", "torch")
        from accelbench.suites.workloads.classifiers import phases  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.lowering.graphs import lower  # noqa: PLC0415  (torch)

        return lower(phases.subject(self), self, phase, batch, tokens, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering.graphs import recordings  # noqa: PLC0415  (torch)

        return recordings(self)
