"""The geometry of a BERT by a few numbers, or that of real weights, and how texts become its input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.harness.errors import ConfigError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.language import export, pretrained
from accelbench.suites.workloads.language.padded import Padding, Policy


@dataclass(frozen=True)
class EncoderShape:
    """Options that all encoders have.

    Without `path` the weights are random and a token is a character below 256. With it weights,
    geometry and tokenizer are those of the files.

    Attributes:
        hidden: Width of the residual stream.
        layers: Encoder layers.
        heads: Heads of attention.
        intermediate: Width of the feed-forward layer.
        vocab: Entries of the vocabulary, at least 256.
        max_positions: Longest sequence.
        path: A Hugging Face folder with a BERT, or "asset:NAME"; None for random weights.
        tokens: Longest text; longer ones are cut.
        padding: What texts of unequal length are padded to: nothing, as all are cut from running
            text at one length ("none"), the longest of the batch, a multiple of `bucket` ("buckets",
            texts being ordered by length), or `tokens` ("full").
        bucket: Step of the lengths of "buckets", tokens.
    """

    hidden: int = 64
    layers: int = 2
    heads: int = 4
    intermediate: int = 128
    vocab: int = export.CHARACTERS
    max_positions: int = 512
    path: str | None = None
    tokens: int = 128
    padding: Policy = "longest"
    bucket: int = 16

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers, self.heads, self.intermediate) < 1:
            raise ValueError("hidden, layers, heads and intermediate must be above 0")
        if self.hidden % self.heads:
            raise ValueError("hidden must be a multiple of heads")
        if self.vocab < export.CHARACTERS:
            raise ValueError(f"vocab must be at least {export.CHARACTERS}: a token is a character")
        if self.path is None and self.tokens > self.max_positions:
            raise ValueError(f"tokens is {self.tokens}, the model ends at {self.max_positions}")
        self.pad()

    def source(self) -> pretrained.Pretrained | None:
        """Where real weights lie; None for random ones.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: The asset was not got yet.
        """
        return pretrained.find(self.path) if self.path is not None else None

    def check_files(self) -> None:
        """Finds the weights that `path` names.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: The asset was not got yet.
        """
        self.source()

    def config(self) -> Any:
        """The geometry as a `transformers` configuration.

        Raises:
            ConfigError: `path` is wrong, is of no BERT, or of one that is too short.
            MissingPart: PyTorch or transformers is not installed.
        """
        source = self.source()
        if source is not None:
            return self._checked(pretrained.config(source), source.name)
        require("torch", "torch", "transformers")
        from transformers import BertConfig  # noqa: PLC0415  (slow to import)

        return BertConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=self.intermediate,
            max_position_embeddings=self.max_positions,
        )

    def pad(self) -> Padding:
        """How texts of unequal length become a batch."""
        return Padding(self.padding, self.tokens, self.bucket)

    def encoded(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, with whatever the tokenizer puts around it, cut to `tokens`.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: The library that reads the tokenizer is not installed.
        """
        source = self.source()
        if source is None:
            return [list(export.CHARACTER_CODEC.encode(text)[: self.tokens]) for text in texts]
        known = pretrained.tokenizer(source)
        with foreign("encoding a text", where=source.name):
            told = known(list(texts), truncation=True, max_length=self.tokens)
            ids: list[list[int]] = told["input_ids"]
        return ids

    def geometry(self) -> Mapping[str, Plain]:
        """Layers, heads, widths and attention; how many tokens there are and what is padded."""
        config = self.config()
        lengths = "" if self.padding in ("none", "full") else "up to "
        return {
            "architecture": config.model_type,
            "layers": config.num_hidden_layers,
            "hidden": config.hidden_size,
            "heads": config.num_attention_heads,
            "head_dim": config.hidden_size // config.num_attention_heads,
            "intermediate": config.intermediate_size,
            "vocab": config.vocab_size,
            "attention": "multi-head, in both directions over the whole text",
            "execution": "dense",
            "sequence": {"tokens": self.tokens, "parallel": "all tokens of a text at once"},
            "input_shapes": {f"{lengths}{self.tokens}": 1.0},
            "padding": dict(self.pad().facts()),
        }

    def _checked(self, config: Any, name: str) -> Any:
        if config.model_type != "bert":
            raise ConfigError(
                f"{name} is a {config.model_type}, and an encoder is a bert here",
                where="workload.path",
                remedy="name a folder with a BERT, or leave path out",
            )
        if self.tokens > config.max_position_embeddings:
            raise ConfigError(
                f"tokens is {self.tokens}, {name} ends at {config.max_position_embeddings}",
                where="workload.tokens",
                remedy="ask for fewer tokens",
            )
        return config
