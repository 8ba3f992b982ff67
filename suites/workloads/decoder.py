"""A decoder-only language model of the Llama architecture that continues real prompts."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.protocols import Samples, Training
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads import export, pretrained, prompt_facts, prompt_text
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.mix import Mix, RequestClass, refuse_recorded
from accelbench.suites.workloads.passages import passages


@dataclass(frozen=True)
class Decoder:
    """Generates a fixed number of tokens a prompt, greedily.

    Without `path` the weights are random, drawn from `init_seed`, and a token is a character
    below 256 (of the shipped passages: a byte of UTF-8): speed, memory and energy do not depend
    on what the weights say, quality does, so none is reported. With `path` weights, geometry and
    tokenizer are those of the files.

    Attributes:
        hidden: Width of the residual stream.
        layers: Decoder layers.
        heads: Query heads.
        kv_heads: Key and value heads.
        intermediate: Width of the feed-forward layer.
        vocab: Entries of the vocabulary, at least 256.
        max_positions: Longest sequence.
        output_tokens: Tokens to generate for each prompt; an end-of-text token does not stop it.
        prompt_tokens: Longest prompt; longer ones are cut. With `words` real or random: the mean.
        path: A Hugging Face folder or a .gguf file on this machine.
        init_seed: Seed of random weights.
        words: What prompts are. "passages": one shipped passage each, as long as it is. "real":
            running text of the asked length that begins like no other. "random": random tokens.
        prompt_spread: Lengths of prompts are uniform within this share of the mean, up and down.
        output_spread: The same for answers.
        shared_prefix_tokens: Tokens at the beginning of each prompt that others have too.
        prefixes: How many such beginnings there are.
        export_dtype: Numbers of the weights where the model is written for a server.
        mix: Classes of requests in stated shares; their lengths and sharing are then those of
            each class, and those above are not used.
    """

    task: ClassVar[Literal["generate"]] = "generate"

    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 768
    vocab: int = export.CHARACTERS
    max_positions: int = 512
    output_tokens: int = 32
    prompt_tokens: int = 64
    path: str | None = None
    init_seed: int = 0
    words: Literal["passages", "real", "random"] = "passages"
    prompt_spread: float = 0.0
    output_spread: float = 0.0
    shared_prefix_tokens: int = 0
    prefixes: int = 1
    export_dtype: Literal["float32", "bfloat16"] = "float32"
    mix: tuple[RequestClass, ...] = ()

    def __post_init__(self) -> None:
        if min(self.layers, self.kv_heads) < 1:
            raise ValueError("layers and kv_heads must be above 0")
        if self.hidden % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("hidden must be a multiple of 2 * heads, heads one of kv_heads")
        if self.vocab < export.CHARACTERS:
            raise ValueError(f"vocab must be at least {export.CHARACTERS}: a token is a byte")
        if self.words == "passages" and (
            self.prompt_spread or self.output_spread or self.shared_prefix_tokens
        ):
            raise ValueError("spread and sharing need words=real or words=random")
        longest = self.max_positions if self.path is None else None
        if self.mix:
            self._check_mix(longest)
        else:
            self._wanted(longest).fit()

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
                "tokenizer": "UTF-8 bytes"
                if self.words == "passages"
                else "characters: Unicode code points below 256",
            }
        )
        mean = " on average" if self.output_spread else ""
        asked = (
            "as many tokens as its class asks" if self.mix else f"{self.output_tokens} tokens{mean}"
        )
        return weights | {
            "parameters": network.parameter_count(config),
            "attention": {"implementation": network.attention_implementation(config)},
            "sampling": f"greedy, {asked}, end-of-text ignored",
            "data": self._data_facts(),
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

    def count(self, text: str) -> int | None:
        """Tokens of a text, by the tokenizer of the weights; characters where these are random."""
        return _codec(pretrained.find(self.path) if self.path is not None else None).count(text)

    def export(self, folder: Path) -> Path:
        """The model as a Hugging Face folder, from which `model` and `prompts` do not differ.

        A folder of `path` is returned as it lies. Random weights go with a tokenizer of
        characters, and with no token that ends a text.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
            ForeignError: The files cannot be read or written.
        """
        if self.path is None:
            model = export.without_end(self.model(None, 0))
            export.save_model(model, folder, self.export_dtype)
            export.save_character_tokenizer(folder, self.vocab, self.max_positions)
            return folder
        source = pretrained.find(self.path)
        if source.gguf is None:
            return source.folder
        export.save_model(pretrained.model(source), folder, self.export_dtype)
        pretrained.save_tokenizer(source, folder)
        return folder

    def samples(self) -> Samples:
        """Refuses.

        Raises:
            TrialError: Always.
        """
        raise TrialError("a generating model has no samples to classify")

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Prompts drawn from the seed: passages, none of them twice before all came once, or text.

        Raises:
            ConfigError: `path` is wrong, or its model is too short for the tokens asked.
        """
        source = pretrained.find(self.path) if self.path is not None else None
        if self.mix:
            return self._mixed(self._longest(source)).prompts(_codec(source), count, seed)
        wanted = self._wanted(self._longest(source))
        if self.words != "passages":
            return prompt_text.prompts(wanted, _codec(source), count, seed)
        wanted.fit()
        chosen = _drawn(passages(), count, seed)
        return [self._prompt(number, text, source) for number, text in enumerate(chosen)]

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A prompt for each recorded request; what the model cannot take is cut.

        Random weights know characters below 256; of recorded texts others become "?".

        Raises:
            ConfigError: `path` is wrong, or a mix is asked for.
        """
        refuse_recorded(self.mix)
        source = pretrained.find(self.path) if self.path is not None else None
        if source is None:
            asks = [_in_known_characters(ask) for ask in asks]
        wanted = self._wanted(self._longest(source))
        return prompt_text.prompts_for(asks, wanted, _codec(source), seed)

    def reference(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The text of the model's own answers, greedily and in float32 on the CPU.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
        """
        model = self.model(None, 0)
        from accelbench.suites.workloads import greedy  # noqa: PLC0415  (torch)

        found = greedy.answers(model, prompts)
        return [self.text(prompt, ids) for prompt, ids in zip(prompts, found, strict=True)]

    def text(self, prompt: Prompt, tokens: Sequence[int]) -> str:
        """The text of an answer, as it goes on from its prompt.

        A tokenizer may write the same ids in another way at the beginning of a text.

        Raises:
            ConfigError: `path` is wrong.
        """
        if self.path is None:
            return export.text_of(tokens)
        source = pretrained.find(self.path)
        before = pretrained.decode(source, prompt.tokens)
        return pretrained.decode(source, (*prompt.tokens, *tokens))[len(before) :]

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

    def _check_mix(self, longest: int | None) -> None:
        if self.words == "passages":
            raise ValueError("a mix needs words=real or words=random: a passage has its own length")
        named = [one.name for one in self.mix if one.model is not None]
        if named:
            raise ValueError(f"class {named[0]} names a model, and a decoder is one: use served")
        self._mixed(longest)

    def _mixed(self, longest: int | None) -> Mix:
        return Mix(self.mix, "random" if self.words == "random" else "real", longest)

    def _data_facts(self) -> Mapping[str, Plain]:
        if self.mix:
            return self._mixed(None).facts(exact=True)
        if self.words == "passages":
            return prompt_facts.passage_facts()
        return prompt_facts.data_facts(self._wanted(None), exact=True)

    def _wanted(self, longest: int | None) -> prompt_text.Wanted:
        return prompt_text.Wanted(
            words="random" if self.words == "random" else "real",
            prompt_tokens=self.prompt_tokens,
            prompt_spread=self.prompt_spread,
            output_tokens=self.output_tokens,
            output_spread=self.output_spread,
            shared_prefix_tokens=self.shared_prefix_tokens,
            prefixes=self.prefixes,
            longest=longest,
        )

    def _longest(self, source: pretrained.Pretrained | None) -> int:
        if source is None:
            return self.max_positions
        return int(pretrained.config(source).max_position_embeddings)

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


def _drawn(texts: Sequence[str], count: int, seed: int) -> list[str]:
    draw = random.Random(seed)  # noqa: S311  (no secret hangs on it)
    order: list[str] = []
    while len(order) < count:
        order += draw.sample(texts, len(texts))
    return order[:count]


def _codec(source: pretrained.Pretrained | None) -> prompt_text.Codec:
    return export.CHARACTER_CODEC if source is None else pretrained.codec(source)


def _in_known_characters(ask: Ask) -> Ask:
    return ask if ask.text is None else replace(ask, text=export.known_characters(ask.text))
