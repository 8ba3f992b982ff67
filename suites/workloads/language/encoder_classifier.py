"""An encoder of the BERT architecture that learns what kind of text a stretch is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accelbench.harness.schema.builders import Training
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase, training_phases
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.data.provenance import KINDS, Stretch, stretches
from accelbench.suites.workloads.language import pretrained
from accelbench.suites.workloads.language.adaptation import Adaptation, Method
from accelbench.suites.workloads.language.encoder_shape import EncoderShape
from accelbench.suites.workloads.language.padded import PaddedSamples


@dataclass(frozen=True)
class EncoderClassifier(EncoderShape):
    """Tells stretches of literature, documentation and programs apart, after training on others.

    Attributes:
        split_seed: Seed of the split into training and test data, the same for every trial.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        adaptation: Which of the encoder's parameters are trained: all ("none"), low-rank factors,
            or adapters. The layer that tells the classes is trained in any case.
        rank: Width of the factors, or of an adapter's bottleneck.
        alpha: Scale of the factors.
    """

    split_seed: int = 0
    learning_rate: float = 0.001
    weight_decay: float = 0.01
    adaptation: Method = "none"
    rank: int = 8
    alpha: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("learning_rate must be above 0, weight_decay not below")
        if self.padding == "none":
            raise ValueError("stretches are of unequal length: padding=none is for `encoder`")
        self._adaptation()

    def model(self, weights: Path | None, seed: int) -> Any:
        """The classifier in float32, adapted as asked.

        Args:
            weights: Of a cell of this workload; it may have been trained with the same adaptation,
                or without one.
            seed: Seed of what is drawn: all weights without `path`, else those of the last layer
                and of the adaptation.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed, or the asset was not got yet.
            TrialError: The weights are of another model.
            ForeignError: The weights cannot be read.
        """
        config = self.config()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)

        how, classes = self._adaptation(), len(KINDS)
        return network.classifier(config, self.source(), classes, how, weights, seed)

    def facts(self) -> Mapping[str, Plain]:
        """Where weights, tokenizer and texts come from, and what is trained."""
        config = self.config()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)

        how = self._adaptation()
        return {
            **pretrained.weight_facts(self.source(), "the seed of the trial"),
            "attention": {"implementation": network.attention_implementation(config)},
            "pooling": "mean of the last hidden states over the tokens",
            "data": {
                **stretches(self.split_seed).facts,
                "order": "by length" if self.padding == "buckets" else "kind after kind",
            },
            "training": dict(self._lesson_facts()),
            "peft": dict(how.facts(network.on_meta(config, len(KINDS), how))),
        }

    def geometry(self) -> Mapping[str, Plain]:
        """That of the encoder, and the layer that tells the classes."""
        found = super().geometry()
        return {**found, "linear": [[found["hidden"], len(KINDS)]]}

    def samples(self) -> PaddedSamples:
        """The stretches of the test."""
        return self._padded(stretches(self.split_seed).test)

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run with AdamW and cross-entropy, on the device that the model lies on.

        Raises:
            ValueError: The batch size cannot be shared as the practice asks.
        """
        from accelbench.suites.workloads.language import encoder_lesson  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.training import GradientTraining  # noqa: PLC0415  (torch)

        found = stretches(self.split_seed)
        split = Split(self._padded(found.train), self._padded(found.test), found.facts)
        lesson = encoder_lesson.TextLesson(
            split, self.learning_rate, self.weight_decay, self._lesson_facts()
        )
        return GradientTraining(model, lesson, batch_size, seed, practice)

    def phases(self) -> Sequence[Phase]:
        """The forward pass of texts of so many tokens, and the parts of a training step."""
        return (Phase("forward", tokens=True), *training_phases(tokens=True))

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of texts of equal length, or of a part of a training step.

        Args:
            phase: "forward", "train.forward", "train.backward" or "train.optimizer".
            batch: Texts.
            tokens: Tokens of each; 1, the size of models without tokens, for the mean of those of
                the test.
            context: 0: nothing is kept.

        Raises:
            TrialError: It has no such phase.
        """
        config = self.config()
        from accelbench.suites.workloads.language import encoder_network as network  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.lowering.graphs import lower  # noqa: PLC0415  (torch)

        subject = network.classifier_subject(
            config, len(KINDS), self._adaptation(), self.learning_rate, self.weight_decay
        )
        asked = self.samples().mean_tokens() if tokens == 1 else tokens
        return lower(subject, self, phase, batch, asked, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering.graphs import recordings  # noqa: PLC0415  (torch)

        return recordings(self)

    def _adaptation(self) -> Adaptation:
        return Adaptation(self.adaptation, self.rank, self.alpha)

    def _padded(self, part: Sequence[Stretch]) -> PaddedSamples:
        ids = self.encoded([text for text, _ in part])
        order = self.pad().order(ids)
        kinds = np.array([part[place][1] for place in order], np.int64)
        arrays = self.pad().arrays([ids[place] for place in order])
        return PaddedSamples(arrays, kinds, pad=self.pad())

    def _lesson_facts(self) -> Mapping[str, Plain]:
        return {
            "optimizer": f"AdamW, learning rate {self.learning_rate:g}, weight decay"
            f" {self.weight_decay:g}, PyTorch's defaults else",
            "loss": "mean cross-entropy",
        }
