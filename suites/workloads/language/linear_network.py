"""A decoder with causal linear attention: a state of constant size in place of a growing cache.

The features of a query or key x are elu(x) + 1 (Katharopoulos et al. 2020, "Transformers are
RNNs", eq. 7), so that attention is a sum over what came before, kept for each head as

    S = sum over j of rotated(k_j) v_j^T    and    z = sum over j of k_j,

and a token's answer is rotated(q_i) S / (q_i z). Where a token stands is told by rotating features
in the numerator alone (Su et al. 2021, "RoFormer", eq. 19). Tokens are taken `CHUNK` at a time:
within a chunk by a product of queries and keys, between chunks by the state. The work grows with
the length, not with its square. Sums are in float32 whatever the format of the weights.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import LlamaConfig
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.models.llama.modeling_llama import (
    LlamaMLP,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
)

CHUNK = 64
"""Tokens between which attention is computed by products of queries and keys."""


class LinearConfig(LlamaConfig):  # type: ignore[misc]  # transformers is read untyped
    """The sizes of a Llama; every layer's attention is linear."""

    model_type = "linear_decoder"


@dataclass(frozen=True)
class LinearState:
    """What is kept of the tokens so far.

    Attributes:
        tokens: How many there were, padding included.
        layers: Of each layer S, shape (batch, heads, head_dim, head_dim), and z, shape
            (batch, heads, head_dim), in float32.
    """

    tokens: int
    layers: tuple[tuple[Tensor, Tensor], ...]


def state_elements(config: Any) -> int:
    """Elements of the state of one sequence, all layers together."""
    width = config.hidden_size // config.num_attention_heads
    return int(config.num_hidden_layers * config.num_attention_heads * width * (width + 1))


def attend(
    features: tuple[Tensor, Tensor],
    rotated: tuple[Tensor, Tensor],
    values: Tensor,
    before: tuple[Tensor, Tensor],
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Causal linear attention of new tokens behind a state.

    Args:
        features: Features of queries and keys, each of shape (batch, heads, tokens, head_dim).
        rotated: The same, rotated by where each token stands.
        values: Shape as these.
        before: S and z of what came before.

    Returns:
        The answers, shape (batch, heads, tokens, head_dim), and S and z with the new tokens in.
    """
    (queries, keys), (turned_queries, turned_keys), (state, total) = features, rotated, before
    tokens = values.shape[-2]
    seen = total.unsqueeze(-2) + keys.cumsum(dim=-2)
    size = min(CHUNK, tokens)
    parts = [_chunks(each, size) for each in (turned_queries, turned_keys, values)]
    near = torch.tril(parts[0] @ parts[1].transpose(-1, -2)) @ parts[2]
    added = parts[1].transpose(-1, -2) @ parts[2]
    after = state.unsqueeze(2) + added.cumsum(dim=2)
    far = parts[0] @ (after - added)
    answers = (near + far).flatten(2, 3)[:, :, :tokens]
    divided = answers / (queries * seen).sum(dim=-1, keepdim=True).clamp(min=1e-6)
    return divided, (after[:, :, -1], seen[:, :, -1])


def _chunks(each: Tensor, size: int) -> Tensor:
    """Shape (batch, heads, chunks, size, head_dim); the last chunk is filled up with zeros."""
    *outer, tokens, width = each.shape
    missing = -tokens % size
    if (
        missing
    ):  # not by `functional.pad`, which copies where nothing is missing, and pins the batch
        each = torch.cat((each, each.new_zeros(*outer, missing, width)), dim=-2)
    return each.reshape(*outer, -1, size, width)


class _Attention(nn.Module):
    """Linear attention with projections as a Llama names them."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.head_dim = width // config.num_attention_heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(
        self, hidden: Tensor, places: tuple[Tensor, Tensor], real: Tensor | None, before: Any
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Answers of shape (batch, tokens, hidden), and the state with these tokens in.

        Args:
            hidden: Shape (batch, tokens, hidden).
            places: Cosines and sines that turn features by where tokens stand.
            real: 1 for a token and 0 for padding, shape (batch, tokens), or None for no padding.
            before: S and z, or None at the beginning.
        """
        queries, keys, values = (
            self._by_head(project(hidden)) for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        queries, keys = functional.elu(queries) + 1.0, functional.elu(keys) + 1.0
        if real is not None:
            keys = keys * real[:, None, :, None]
        turned = apply_rotary_pos_emb(queries, keys, *places)
        if before is None:
            batch, heads, _, width = keys.shape
            before = keys.new_zeros(batch, heads, width, width), keys.new_zeros(batch, heads, width)
        answers, after = attend((queries, keys), turned, values, before)
        joined = answers.transpose(1, 2).flatten(2).to(hidden.dtype)
        return self.o_proj(joined), after

    def _by_head(self, projected: Tensor) -> Tensor:
        """Shape (batch, heads, tokens, head_dim), float32."""
        batch, tokens, _ = projected.shape
        return projected.view(batch, tokens, -1, self.head_dim).transpose(1, 2).float()


class _Layer(nn.Module):
    """Attention and feed-forward layer, each behind a norm and beside the residual stream."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.self_attn = _Attention(config)
        self.mlp = LlamaMLP(config)
        self.input_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, hidden: Tensor, places: tuple[Tensor, Tensor], real: Tensor | None, before: Any
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The residual stream, shape (batch, tokens, hidden), and the state; as `_Attention`."""
        answer, after = self.self_attn(self.input_layernorm(hidden), places, real, before)
        hidden = hidden + answer
        return hidden + self.mlp(self.post_attention_layernorm(hidden)), after


class _Body(nn.Module):
    """Embedding, layers and the last norm, under the names that a Llama gives them."""

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = LlamaRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = LlamaRotaryEmbedding(config)


class LinearDecoder(nn.Module):
    """The decoder; it is called as the causal language models of `transformers` are.

    Args:
        config: Its geometry. Weights are drawn as a Llama's: normal, of the configured deviation.
    """

    def __init__(self, config: LinearConfig) -> None:
        super().__init__()
        self.config = config
        self.model = _Body(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=config.initializer_range)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: LinearState | None = None,
        *,
        use_cache: bool = True,
        logits_to_keep: int = 0,
    ) -> Any:
        """Logits of the next token and the state behind these.

        Args:
            input_ids: Token ids, shape (batch, tokens).
            attention_mask: 1 for a token and 0 for padding on the left, shape (batch, all tokens so
                far); None for no padding.
            position_ids: Where each token stands, shape (batch, tokens).
            past_key_values: The state of what came before.
            use_cache: Whether to return the state.
            logits_to_keep: How many positions from the end get logits; 0 for all.

        Returns:
            A `CausalLMOutputWithPast`: `logits`, shape (batch, positions, vocab), and the state as
            `past_key_values`.
        """
        tokens, seen = input_ids.shape[1], past_key_values.tokens if past_key_values else 0
        if position_ids is None:
            position_ids = torch.arange(seen, seen + tokens, device=input_ids.device)[None]
        real = None if attention_mask is None else attention_mask[:, -tokens:].float()
        hidden = self.model.embed_tokens(input_ids)
        places = self.model.rotary_emb(hidden.float(), position_ids=position_ids)
        kept: list[tuple[Tensor, Tensor]] = []
        for number, layer in enumerate(self.model.layers):
            before = past_key_values.layers[number] if past_key_values else None
            hidden, after = layer(hidden, places, real, before)
            kept.append(after)
        hidden = self.model.norm(hidden[:, -logits_to_keep:])
        state = LinearState(seen + tokens, tuple(kept)) if use_cache else None
        return CausalLMOutputWithPast(logits=self.lm_head(hidden), past_key_values=state)
