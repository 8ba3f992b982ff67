"""A decoder-only language model of the Llama architecture that continues real prompts."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain, file_digest
from accelbench.harness.schema.prompts import Prompt
from accelbench.harness.schema.protocols import Samples, Training
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads import pretrained
from accelbench.suites.workloads.extras import require

PASSAGES = Path(__file__).with_name("prompts.txt")
BYTES = 256


@dataclass(frozen=True)
class Decoder:
    """Generates a fixed number of tokens a prompt, greedily.

    Without `path` the weights are random, drawn from `init_seed`, and a token is a byte of
    UTF-8: speed, memory and energy do not depend on what the weights say, quality does, so
    none is reported. With `path` weights, geometry and tokenizer are those of the files.

    Attributes:
        hidden: Width of the residual stream.
        layers: Decoder layers.
        heads: Query heads.
        kv_heads: Key and value heads.
        intermediate: Width of the feed-forward layer.
        vocab: Entries of the vocabulary, at least 256.
        max_positions: Longest sequence.
        output_tokens: Tokens to generate for each prompt; an end-of-text token does not stop it.
        prompt_tokens: Longest prompt; longer ones are cut.
        path: A Hugging Face folder or a .gguf file on this machine.
        init_seed: Seed of random weights.
    """

    task: ClassVar[Literal["generate"]] = "generate"

    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 768
    vocab: int = BYTES
    max_positions: int = 512
    output_tokens: int = 32
    prompt_tokens: int = 64
    path: str | None = None
    init_seed: int = 0

    def __post_init__(self) -> None:
        if min(self.layers, self.kv_heads, self.output_tokens, self.prompt_tokens) < 1:
            raise ValueError("layers, kv_heads, output_tokens and prompt_tokens must be above 0")
        if self.hidden % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("hidden must be a multiple of 2 * heads, heads one of kv_heads")
        if self.vocab < BYTES:
            raise ValueError(f"vocab must be at least {BYTES}: a token is a byte")
        if self.path is None:
            _fits(self.prompt_tokens + self.output_tokens, self.max_positions)

    def model(self, weights: Path | None, seed: int) -> Any:  # noqa: ARG002  (init_seed decides)
        """The model in float32.

        Raises:
            TrialError: A weights file was given; a decoder takes its weights from `path`.
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
        """
        if weights is not None:
            raise TrialError("a decoder takes no weights of another cell", remedy="use path")
        if self.path is not None:
            return pretrained.model(pretrained.find(self.path))
        config = self._config()
        from accelbench.suites.workloads import decoder_network as network  # noqa: PLC0415  (torch)

        return network.random_model(config, self.init_seed)

    def facts(self) -> Mapping[str, Plain]:
        """Where weights, tokenizer and prompts come from."""
        config = self._config()
        from accelbench.suites.workloads import decoder_network as network  # noqa: PLC0415  (torch)

        source = pretrained.find(self.path) if self.path is not None else None
        weights: dict[str, Plain] = (
            {
                "weights": "real",
                "weights_source": list(source.files),
                "weights_sha256": source.sha256(),
                "weights_format": source.format,
                "tokenizer": f"of {source.name}",
            }
            if source
            else {
                "weights": "random",
                "weights_source": f"drawn from seed {self.init_seed}",
                "tokenizer": "UTF-8 bytes",
            }
        )
        return weights | {
            "parameters": network.parameter_count(config),
            "attention": {"implementation": network.attention_implementation(config)},
            "sampling": f"greedy, {self.output_tokens} tokens, end-of-text ignored",
            "data": {
                "kind": "real",
                "name": "openings and passages of English classics, public domain",
                "sha256": file_digest(PASSAGES),
                "passages": len(passages()),
                "split": "none: nothing is learned from them",
            },
        }

    def geometry(self) -> Mapping[str, Plain]:
        """Layers, heads, widths and attention; each prompt is run alone, at its own length."""
        config = self._config()
        from accelbench.suites.workloads import decoder_network as network  # noqa: PLC0415  (torch)

        return {
            **network.geometry(config),
            "padding": {
                "policy": "none: each prompt is run alone, at its own length",
                "share": 0.0,
            },
        }

    def kv(self, element_bytes: float) -> KvLayout | None:
        """Keys and values of every layer, one token after another."""
        config = self._config()
        from accelbench.suites.workloads import decoder_network as network  # noqa: PLC0415  (torch)

        return network.kv_layout(config, element_bytes)

    def samples(self) -> Samples:
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError("a generating model has no samples to classify")

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Passages in an order drawn from the seed; none comes twice before all came once.

        Raises:
            ConfigError: `path` is wrong, or its model is too short for the tokens asked.
        """
        source = pretrained.find(self.path) if self.path is not None else None
        if source:
            longest = pretrained.config(source).max_position_embeddings
            _fits(self.prompt_tokens + self.output_tokens, longest)
        chosen = _drawn(passages(), count, seed)
        return [self._prompt(number, text, source) for number, text in enumerate(chosen)]

    def training(self, model: Any, batch_size: int, seed: int) -> Training:  # noqa: ARG002  (refuses)
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError("the decoder is not trained here", remedy="use digits_cnn")

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of `tokens` new tokens a sequence behind `context` cached ones."""
        config = self._config()
        from accelbench.suites.workloads import decoder_network as network  # noqa: PLC0415  (torch)

        return network.lowered(config, phase, batch, tokens, context)

    def _prompt(self, number: int, text: str, source: pretrained.Pretrained | None) -> Prompt:
        if source is None:
            tokens = tuple(text.encode())[: self.prompt_tokens]
            cut = bytes(tokens).decode(errors="ignore")
        else:
            tokens = tuple(pretrained.encode(source, text))[: self.prompt_tokens]
            cut = pretrained.decode(source, tokens)
        return Prompt(str(number), cut, tokens, self.output_tokens)

    def _config(self) -> Any:
        if self.path is not None:
            return pretrained.config(pretrained.find(self.path))
        require("torch", "torch", "transformers")
        from transformers import LlamaConfig  # noqa: PLC0415  (slow to import)

        return LlamaConfig(
            hidden_size=self.hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            intermediate_size=self.intermediate,
            vocab_size=self.vocab,
            max_position_embeddings=self.max_positions,
        )


@cache
def passages() -> tuple[str, ...]:
    """The passages of `prompts.txt`, each without the line that names its work."""
    blocks = PASSAGES.read_text(encoding="utf-8").strip().split("\n\n")
    return tuple(" ".join(block.splitlines()[1:]) for block in blocks)


def _drawn(texts: Sequence[str], count: int, seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311  (no secret hangs on it)
    order: list[str] = []
    while len(order) < count:
        order += draw.sample(texts, len(texts))
    return order[:count]


def _fits(asked: int, longest: int) -> None:
    if asked > longest:
        raise ConfigError(
            f"prompt_tokens and output_tokens make {asked}, the model ends at {longest}",
            where="workload",
            remedy="ask for fewer tokens",
        )
