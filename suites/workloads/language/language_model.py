"""How well a decoder knows a text: perplexity, and training from scratch or from given weights."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.builders import Counting, Training
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase, training_phases
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.language import corpus, export, pretrained
from accelbench.suites.workloads.language.adaptation import Adaptation, Method
from accelbench.suites.workloads.language.decoder_prompts import codec
from accelbench.suites.workloads.language.shape import Attention, Shape


@dataclass(frozen=True)
class LanguageModel:
    """Answers windows of text with what each token costs the model, and learns from such windows.

    Without `path` the model is of the geometry below, and a token is a character below 256. With
    it, weights, geometry and tokenizer are those of the files. Texts are packed: one stands behind
    another, and they are cut into windows of equal length, so that nothing is padded. The first
    token of a window is given; every other is scored by those before it in the window.

    Attributes:
        hidden: Width of the residual stream.
        layers: Decoder layers.
        heads: Query heads.
        kv_heads: Key and value heads.
        intermediate: Width of the feed-forward layer, or of each expert.
        vocab: Entries of the vocabulary, at least 256.
        attention: Over the whole window, over a sliding one, or linear.
        window: Tokens of a sliding window of attention.
        experts: Experts in each layer; 0 for dense layers.
        experts_per_token: Of these, how many a token is sent to.
        capacity: Room of an expert as a multiple of its even share; None for room without end.
        path: A Hugging Face folder, a .gguf file, or "asset:NAME"; None for random weights.
        text: Which text: all shipped works, those in prose, those in verse, or the asset
            `shakespeare`.
        text_path: A file of text to take instead; empty for none.
        held_out: Share of the text that is held out for the test.
        split_seed: Seed that draws which works are held out.
        sequence_tokens: Tokens of a window.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        adaptation: Which parameters are trained: all ("none"), low-rank factors, or adapters.
        rank: Width of the factors, or of an adapter's bottleneck.
        alpha: Scale of the factors.
    """

    hidden: int = 128
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 384
    vocab: int = export.CHARACTERS
    attention: Attention = "full"
    window: int | None = None
    experts: int = 0
    experts_per_token: int = 2
    capacity: float | None = None
    path: str | None = None
    text: corpus.Kind = "all"
    text_path: str = ""
    held_out: float = 0.2
    split_seed: int = 0
    sequence_tokens: int = 129
    learning_rate: float = 0.003
    weight_decay: float = 0.1
    adaptation: Method = "none"
    rank: int = 8
    alpha: int = 16

    def __post_init__(self) -> None:
        if self.vocab < export.CHARACTERS:
            raise ValueError(f"vocab must be at least {export.CHARACTERS}: a token is a character")
        if self.sequence_tokens < 2:  # noqa: PLR2004  (one that is given and one that is scored)
            raise ValueError("sequence_tokens must be at least 2")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError("learning_rate must be above 0, weight_decay not below")
        self._shape()
        self._corpus()
        self._adaptation()

    def model(self, weights: Path | None, seed: int) -> Any:
        """The model in float32 that scores windows, adapted as asked.

        Args:
            weights: Of a cell of this workload; it may have been trained with the same adaptation,
                or without one.
            seed: Seed of what is drawn: all weights without `path`, else those of the adaptation.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
            TrialError: The weights are of another model.
        """
        config = self._config()
        from accelbench.suites.workloads.language import language_network as network  # noqa: PLC0415  (torch)

        source = self._source()
        base = pretrained.model(source) if source else None
        return network.built(base, config, self._adaptation(), weights, seed)

    def facts(self) -> Mapping[str, Plain]:
        """Where weights, tokenizer and text come from, and what is trained."""
        config = self._config()
        from accelbench.suites.workloads.language import decoder_network  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.language import language_network as network  # noqa: PLC0415  (torch)

        train, test = self._windows()
        return {
            **pretrained.weight_facts(self._source(), "the seed of the trial"),
            "attention": {"implementation": decoder_network.attention_implementation(config)},
            "data": {
                **self._corpus().facts(len(train), len(test)),
                "packing": "texts one behind another, cut into windows; what is left is dropped",
                "tokens": {"train": int(train.size), "test": int(test.size)},
            },
            "training": dict(self._lesson_facts()),
            "peft": dict(network.peft_facts(config, self._adaptation())),
        }

    def geometry(self) -> Mapping[str, Plain]:
        """Layers, heads, widths and attention; all windows have one length."""
        config = self._config()
        from accelbench.suites.workloads.language import decoder_geometry  # noqa: PLC0415  (torch)

        return {
            **decoder_geometry.geometry(config),
            "input_shapes": {str(self.sequence_tokens): 1.0},
            "sequence": {"tokens": self.sequence_tokens, "scored": self.sequence_tokens - 1},
            "padding": {
                "policy": "none: texts are packed into windows of one length",
                "share": 0.0,
            },
        }

    def samples(self) -> "Windows":
        """The windows that are held out."""
        return Windows(self._windows()[1])

    def training(self, model: Any, batch_size: int, seed: int, practice: Practice) -> Training:
        """A training run on next tokens, on the device that the model lies on.

        Raises:
            ValueError: The batch size cannot be shared as the practice asks.
        """
        from accelbench.suites.workloads.language import language_lesson  # noqa: PLC0415  (torch)
        from accelbench.suites.workloads.training import GradientTraining  # noqa: PLC0415  (torch)

        train, test = self._windows()
        lesson = language_lesson.LanguageLesson(
            train,
            test,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            facts=self._lesson_facts(),
            drops=self.capacity is not None,
        )
        return GradientTraining(model, lesson, batch_size, seed, practice)

    def check_files(self) -> None:
        """Finds weights and text.

        Raises:
            ConfigError: `path` or `text_path` is wrong.
            MissingPart: An asset was not got yet.
        """
        self._source()
        self._corpus().parts()

    def phases(self) -> Sequence[Phase]:
        """Scoring windows of so many tokens, and the parts of a training step."""
        return (Phase("forward", tokens=True), *training_phases(tokens=True))

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of scoring windows, or of a part of a training step.

        Args:
            phase: "forward", "train.forward", "train.backward" or "train.optimizer".
            batch: Windows.
            tokens: Tokens of a window; 1, the size of models without tokens, for those of this
                workload.
            context: 0: a window stands alone.

        Raises:
            TrialError: It has no such phase.
        """
        subject = _subject(self)
        from accelbench.suites.workloads.lowering import graphs  # noqa: PLC0415  (torch)

        asked = self.sequence_tokens if tokens == 1 else tokens
        return graphs.lower(subject, self, phase, batch, asked, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering import graphs  # noqa: PLC0415  (torch)

        return graphs.recordings(self)

    def counting(
        self, model: Any, now_ns: Callable[[], int]
    ) -> AbstractContextManager[Counting] | None:
        """Counts the tokens of each expert; None for dense layers."""
        config = self._config()
        from accelbench.suites.workloads.language import experts  # noqa: PLC0415  (torch)

        return experts.counting(model, config, now_ns)

    def _shape(self) -> Shape:
        return Shape(
            hidden=self.hidden,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.kv_heads,
            intermediate=self.intermediate,
            vocab=self.vocab,
            max_positions=self.sequence_tokens,
            attention=self.attention,
            window=self.window,
            experts=self.experts,
            experts_per_token=self.experts_per_token,
            capacity=self.capacity,
        )

    def _corpus(self) -> corpus.Corpus:
        return corpus.Corpus(self.text, self.text_path, self.held_out, self.split_seed)

    def _adaptation(self) -> Adaptation:
        return Adaptation(self.adaptation, self.rank, self.alpha)

    def _source(self) -> pretrained.Pretrained | None:
        return pretrained.find(self.path) if self.path is not None else None

    def _config(self) -> Any:
        source = self._source()
        return pretrained.config(source) if source else self._shape().config()

    def _windows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return _windows(self._corpus(), self._source(), self.sequence_tokens)

    def _lesson_facts(self) -> Mapping[str, Plain]:
        return {
            "optimizer": f"AdamW, learning rate {self.learning_rate:g}, weight decay"
            f" {self.weight_decay:g}, PyTorch's defaults else",
            "loss": "mean negative log-likelihood of the next token, nats",
        }


@dataclass(frozen=True)
class Windows:
    """Windows of text.

    Attributes:
        ids: Token ids, shape (count, tokens).
    """

    ids: NDArray[np.int64]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.ids)

    def batch(self, indices: Sequence[int]) -> NDArray[np.int64]:
        """The windows at these indices, shape (indices, tokens)."""
        return self.ids[list(indices)]

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """Perplexity over the first answer to each window, of those that were answered.

        Args:
            answered: Pairs of indices and negative log-likelihoods in nats, shape (indices,
                tokens - 1).
        """
        first: dict[int, float] = {}
        for indices, costs in answered:
            each = np.asarray(costs, dtype=np.float64).mean(axis=1)
            for index, cost in zip(indices, each, strict=True):
                first.setdefault(index, float(cost))
        if not first:
            return ()
        perplexity = math.exp(np.mean(list(first.values())))
        return (Quality("perplexity", "test", perplexity, len(first)),)


@cache
def _subject(workload: LanguageModel) -> Any:
    config = workload._config()  # noqa: SLF001  (its own)
    from accelbench.suites.workloads.language import language_network as network  # noqa: PLC0415  (torch)

    return network.subject(
        config,
        workload._adaptation(),  # noqa: SLF001  (likewise)
        workload.learning_rate,
        workload.weight_decay,
    )


@cache
def _windows(
    text: corpus.Corpus, source: pretrained.Pretrained | None, tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    known = codec(source)
    train, test = text.parts()
    return corpus.windows(train, known, tokens), corpus.windows(test, known, tokens)
