"""The encoder-decoder in PyTorch: a T5 that is called as a decoder is, and what is lowered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, EncoderDecoderCache, T5Config, T5ForConditionalGeneration
from transformers.cache_utils import DynamicLayer

from accelbench.suites.workloads.language.trained_weights import put_weights, trained_weights
from accelbench.suites.workloads.lowering.subject import Subject

IGNORED = -100
"""The truth of a place that has none, as `cross_entropy` leaves it out."""


@dataclass(frozen=True)
class Memory:
    """What is kept between two steps of the decoder.

    Attributes:
        cache: Keys and values of its own attention, which grow, and those of attention to the
            prompt, which do not.
        mask: 1 for a token of the prompt, 0 for padding, shape (batch, prompt tokens); None where
            nothing is padded.
        prompt_tokens: Of the longest prompt.
    """

    cache: EncoderDecoderCache
    mask: Tensor | None
    prompt_tokens: int


@dataclass(frozen=True)
class Told:
    """What the model tells.

    Attributes:
        logits: Shape (batch, tokens, vocabulary).
        past_key_values: What the next call is given; None in training.
    """

    logits: Tensor
    past_key_values: Memory | None


class PromptedT5(nn.Module):
    """A T5 that speaks as a causal decoder does: the first call has the prompt, later ones a token.

    The first call encodes the prompt and runs the decoder's first step on its start token; so the
    first answer comes out of it, as with a decoder. T5 has relative positions, so that prompts may
    be padded on either side.

    Args:
        config: Geometry.
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.t5 = T5ForConditionalGeneration._from_config(config)  # noqa: SLF001  (chooses attention)

    @property
    def config(self) -> T5Config:
        """The geometry."""
        return self.t5.config

    def forward(
        self,
        ids: Tensor,
        *,
        past_key_values: Memory | None = None,
        use_cache: bool = True,
        logits_to_keep: int = 1,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,  # noqa: ARG002  (its positions are relative)
        answers: Tensor | None = None,
    ) -> Told:
        """Encodes a prompt and begins to answer it, or goes on answering by a token.

        Args:
            ids: Of the prompt, or of the token before; shape (batch, tokens).
            past_key_values: What the call before told; None for a prompt.
            use_cache: Whether the next call is to be given what this one keeps.
            logits_to_keep: Of so many last places logits are told.
            attention_mask: 1 for a token, 0 for padding; that of the prompt counts.
            position_ids: Not used.
            answers: Tokens of known answers, to be told apart by the logits of all their places;
                shape (batch, answer tokens), `IGNORED` behind an answer's end.
        """
        if past_key_values is None:
            states = self.t5.encoder(input_ids=ids, attention_mask=attention_mask).last_hidden_state
            cache = EncoderDecoderCache(DynamicCache(), DynamicCache()) if use_cache else None
            mask, start = attention_mask, self._shifted(ids[:, :1], answers)
        else:
            # Their keys and values are in the cache; of the states only the shape is asked.
            shape = (ids.shape[0], past_key_values.prompt_tokens, self.config.d_model)
            states = self.t5.shared.weight.new_zeros(()).expand(shape)
            cache, mask, start = past_key_values.cache, past_key_values.mask, ids
        found = self.t5.decoder(
            input_ids=start,
            encoder_hidden_states=states,
            encoder_attention_mask=mask,
            past_key_values=cache,
            use_cache=use_cache,
        ).last_hidden_state
        kept = found if answers is not None else found[:, -logits_to_keep:]
        if self.config.scale_decoder_outputs:
            kept = kept * self.config.d_model**-0.5
        memory = Memory(cache, mask, states.shape[1]) if cache is not None else None
        return Told(self.t5.lm_head(kept), memory)

    def _shifted(self, like: Tensor, answers: Tensor | None) -> Tensor:
        """The start token, and behind it all tokens of the answers but the last."""
        start = torch.full_like(like, self.config.decoder_start_token_id)
        if answers is None:
            return start
        before = answers[:, :-1].clamp(min=0)
        return torch.cat((start, before), dim=1)


def built(config: T5Config, weights: Path | None, seed: int) -> PromptedT5:
    """A model in float32 with weights from a file, or such as depend on the seed alone.

    Raises:
        ForeignError: The weights cannot be read.
        TrialError: They are of another model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = PromptedT5(config)
    if weights is not None:
        put_weights(model, trained_weights(weights))
    return model


def geometry_of(config: T5Config) -> Mapping[str, Any]:
    """Layers, heads and widths."""
    return {
        "architecture": config.model_type,
        "layers": config.num_layers + config.num_decoder_layers,
        "encoder_layers": config.num_layers,
        "decoder_layers": config.num_decoder_layers,
        "hidden": config.d_model,
        "heads": config.num_heads,
        "kv_heads": config.num_heads,
        "head_dim": config.d_kv,
        "intermediate": config.d_ff,
        "vocab": config.vocab_size,
    }


def parameter_count(config: T5Config) -> int:
    """Parameters of a model of this geometry, shared ones once."""
    with torch.device("meta"):
        return sum(own.numel() for own in PromptedT5(config).parameters())


def attention_implementation(config: T5Config) -> str:
    """Which of transformers' attention functions a model of this geometry takes."""
    with torch.device("meta"):
        return str(PromptedT5(config).config._attn_implementation)  # noqa: SLF001  (no public way)


def loss(model: nn.Module, prompts: Mapping[str, Tensor], answers: Tensor) -> Tensor:
    """Mean negative log-likelihood of a token of the answers, nats, shape ().

    Args:
        model: A `PromptedT5`, maybe wrapped.
        prompts: `ids` and `attention_mask` of the prompts.
        answers: As `PromptedT5.forward` takes them.
    """
    logits: Tensor = model(**prompts, use_cache=False, answers=answers).logits
    return functional.cross_entropy(
        logits.flatten(0, 1).float(), answers.flatten(), ignore_index=IGNORED
    )


def subject(config: T5Config, optimiser: Callable[[nn.Module], torch.optim.Optimizer]) -> Subject:
    """What is lowered of prompts of equal length, so without a mask.

    "prefill" is the encoder, keys and values of attention to the prompt, and the decoder's first
    step. "decode" has all cached tokens in the prompt: attention reads as many keys and values, and
    computes as much, however they are divided between prompt and answer. In training an answer has
    as many tokens as its prompt.
    """

    def prefill(model: nn.Module, batch: int, tokens: int, context: int) -> object:  # noqa: ARG001  (nothing is cached)
        return model(_ids(batch, tokens))

    def decode(model: nn.Module, batch: int, tokens: int, context: int) -> object:
        memory = Memory(_prompt_cache(config, batch, context), None, context)
        return model(_ids(batch, tokens), past_key_values=memory)

    def step(model: nn.Module, batch: int, tokens: int) -> Tensor:
        return loss(model, {"ids": _ids(batch, tokens)}, _ids(batch, tokens))

    return Subject(
        workload="encoder_decoder",
        build=lambda: PromptedT5(config),
        calls={"prefill": prefill, "decode": decode},
        loss=step,
        optimiser=optimiser,
    )


def _ids(batch: int, tokens: int) -> Tensor:
    return torch.empty(batch, tokens, dtype=torch.long, device="meta")


def _prompt_cache(config: T5Config, batch: int, context: int) -> EncoderDecoderCache:
    """Keys and values of a prompt, and none of an answer."""
    shape = (batch, config.num_heads, context, config.d_kv)
    layers = range(config.num_decoder_layers)
    cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
    cache.cross_attention_cache.layers = [_Known(shape) for _ in layers]
    cache.is_updated = dict.fromkeys(layers, True)
    return cache


class _Known(DynamicLayer):  # type: ignore[misc]  # transformers is read untyped
    """Keys and values of one layer that are there already.

    Args:
        shape: (batch, heads, tokens, head_dim).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.keys = torch.empty(shape, device="meta")
        self.values = torch.empty(shape, device="meta")
        self.is_initialized = True
