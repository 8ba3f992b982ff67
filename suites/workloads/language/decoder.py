"""A decoder-only language model that continues real prompts."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Counting
from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.phases import Phase, training_phases
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.prompts import Ask, Prompt
from accelbench.harness.schema.symbolic import SymbolicGraph
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads.language import export, pretrained
from accelbench.suites.workloads.language.decoder_prompts import Asked, Words, codec
from accelbench.suites.workloads.language.shape import Attention, Shape
from accelbench.suites.workloads.requests.mix import RequestClass


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
        intermediate: Width of the feed-forward layer, or of each expert.
        vocab: Entries of the vocabulary, at least 256.
        max_positions: Longest sequence.
        output_tokens: Tokens to generate for each prompt; an end-of-text token does not stop it.
        prompt_tokens: Longest prompt; longer ones are cut. With `words` real or random: the mean.
        path: A Hugging Face folder or a .gguf file on this machine, or "asset:NAME" for weights
            that `accelbench models get NAME` brings.
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
        attention: "full", over the whole context; "sliding", over a window; or "linear", by a
            state of constant size that takes the place of the cache.
        window: Tokens of a sliding window.
        experts: Experts in each layer, of which a router picks for each token; 0 for dense layers.
        experts_per_token: How many it picks.
        capacity: Room of an expert in each call as a multiple of its even share: a token beyond it
            is dropped, and so an answer may depend on what else is in the batch. None for room
            without end.
    """

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
    words: Words = "passages"
    prompt_spread: float = 0.0
    output_spread: float = 0.0
    shared_prefix_tokens: int = 0
    prefixes: int = 1
    export_dtype: Literal["float32", "bfloat16"] = "float32"
    mix: tuple[RequestClass, ...] = ()
    attention: Attention = "full"
    window: int | None = None
    experts: int = 0
    experts_per_token: int = 2
    capacity: float | None = None

    def __post_init__(self) -> None:
        if self.vocab < export.CHARACTERS:
            raise ValueError(f"vocab must be at least {export.CHARACTERS}: a token is a byte")
        self._shape()
        self._asked().check(self.max_positions if self.path is None else None)

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
        from accelbench.suites.workloads.language import decoder_network as network  # noqa: PLC0415  (torch)

        return network.random_model(config, self.init_seed)

    def facts(self) -> Mapping[str, Plain]:
        """Where weights, tokenizer and prompts come from."""
        config = self._config()
        from accelbench.suites.workloads.language import decoder_network as network  # noqa: PLC0415  (torch)

        weights = pretrained.weight_facts(self._source(), f"seed {self.init_seed}")
        if self.path is None and self.words == "passages":
            weights["tokenizer"] = "UTF-8 bytes"
        asked = self._asked()
        return weights | {
            "parameters": network.parameter_count(config),
            "attention": {"implementation": network.attention_implementation(config)},
            "sampling": f"greedy, {asked.answer_length()}, end-of-text ignored",
            "data": asked.facts(),
        }

    def geometry(self) -> Mapping[str, Plain]:
        """Layers, heads, widths and attention; each prompt is run alone, at its own length."""
        config = self._config()
        from accelbench.suites.workloads.language import decoder_geometry  # noqa: PLC0415  (torch)

        return {
            **decoder_geometry.geometry(config),
            "padding": {
                "policy": "none: each prompt is run alone, at its own length",
                "share": 0.0,
            },
        }

    def kv(self, element_bytes: float) -> KvLayout | None:
        """Keys and values of every layer, one token after another; None for linear attention."""
        config = self._config()
        from accelbench.suites.workloads.language import decoder_geometry  # noqa: PLC0415  (torch)

        return decoder_geometry.kv_layout(config, element_bytes)

    def counting(
        self, model: Any, now_ns: Callable[[], int]
    ) -> AbstractContextManager[Counting] | None:
        """Counts the tokens of each expert; None for dense layers."""
        config = self._config()
        from accelbench.suites.workloads.language import experts  # noqa: PLC0415  (torch)

        return experts.counting(model, config, now_ns)

    def count(self, text: str) -> int | None:
        """Tokens of a text, by the tokenizer of the weights; characters where these are random."""
        return codec(self._source()).count(text)

    def export(self, folder: Path) -> Path:
        """The model as a Hugging Face folder, from which `model` and `prompts` do not differ.

        A folder of `path` is returned as it lies. Random weights go with a tokenizer of
        characters, and with no token that ends a text.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
            ForeignError: The files cannot be read or written.
            TrialError: No other engine knows linear attention, or a capacity of experts.
        """
        if self.path is None:
            if self.attention == "linear" or self.capacity is not None:
                own = "linear attention" if self.attention == "linear" else "a capacity of experts"
                raise TrialError(
                    f"no other engine reads a model with {own}", remedy="use adapter=torch"
                )
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

    def prompts(self, count: int, seed: int) -> Sequence[Prompt]:
        """Prompts drawn from the seed: passages, none of them twice before all came once, or text.

        Raises:
            ConfigError: `path` is wrong, or its model is too short for the tokens asked.
        """
        source = self._source()
        return self._asked().prompts(source, self._longest(source), count, seed)

    def prompts_for(self, asks: Sequence[Ask], seed: int) -> Sequence[Prompt]:
        """A prompt for each recorded request; what the model cannot take is cut.

        Random weights know characters below 256; of recorded texts others become "?".

        Raises:
            ConfigError: `path` is wrong, or a mix is asked for.
        """
        source = self._source()
        return self._asked().recorded(asks, source, self._longest(source), seed)

    def reference(self, prompts: Sequence[Prompt]) -> Sequence[str]:
        """The text of the model's own answers, greedily and in float32 on the CPU.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: A library is not installed.
        """
        model = self.model(None, 0)
        from accelbench.suites.workloads.language import greedy  # noqa: PLC0415  (torch)

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

    def check_files(self) -> None:
        """Finds the weights that `path` names.

        Raises:
            ConfigError: `path` is wrong.
            MissingPart: The asset was not got yet.
        """
        self._source()

    def phases(self) -> Sequence[Phase]:
        """Prefill, decode and the parts of a training step, which is lowered and not run."""
        served = (Phase(name, tokens=True, context=True) for name in ("prefill", "decode"))
        return (*served, *training_phases(tokens=True))

    def lower(self, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
        """The operator graph of `tokens` new tokens a sequence behind `context` cached ones."""
        subject = _subject(self)
        from accelbench.suites.workloads.lowering import graphs  # noqa: PLC0415  (torch)

        return graphs.lower(subject, self, phase, batch, tokens, context)

    def recordings(self) -> Sequence[SymbolicGraph]:
        """Those that `lower` has made so far."""
        from accelbench.suites.workloads.lowering import graphs  # noqa: PLC0415  (torch)

        return graphs.recordings(self)

    def _asked(self) -> Asked:
        return Asked(
            words=self.words,
            prompt_tokens=self.prompt_tokens,
            prompt_spread=self.prompt_spread,
            output_tokens=self.output_tokens,
            output_spread=self.output_spread,
            shared_prefix_tokens=self.shared_prefix_tokens,
            prefixes=self.prefixes,
            mix=self.mix,
        )

    def _shape(self) -> Shape:
        return Shape(
            hidden=self.hidden,
            layers=self.layers,
            heads=self.heads,
            kv_heads=self.kv_heads,
            intermediate=self.intermediate,
            vocab=self.vocab,
            max_positions=self.max_positions,
            attention=self.attention,
            window=self.window,
            experts=self.experts,
            experts_per_token=self.experts_per_token,
            capacity=self.capacity,
        )

    def _source(self) -> pretrained.Pretrained | None:
        return pretrained.find(self.path) if self.path is not None else None

    def _longest(self, source: pretrained.Pretrained | None) -> int:
        if source is None:
            return self.max_positions
        return int(pretrained.config(source).max_position_embeddings)

    def _config(self) -> Any:
        source = self._source()
        return pretrained.config(source) if source else self._shape().config()


@cache
def _subject(decoder: Decoder) -> Any:
    config = decoder._config()  # noqa: SLF001  (its own)
    from accelbench.suites.workloads.language import decoder_phases  # noqa: PLC0415  (torch)

    return decoder_phases.subject(config)
