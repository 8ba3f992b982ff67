"""The phases of a decoder that can be lowered to operator graphs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Cache, masking_utils
from transformers.cache_utils import DynamicLayer

from accelbench.suites.workloads.language.decoder_geometry import (
    expert_count,
    head_dim,
    kv_heads,
    slides,
)
from accelbench.suites.workloads.language.decoder_network import built, on_meta
from accelbench.suites.workloads.language.linear_network import LinearConfig, LinearState
from accelbench.suites.workloads.lowering.subject import Subject


def subject(config: Any) -> Subject:
    """Prefill, decode and the parts of a training step.

    Prefill and decode take `tokens` new tokens a sequence behind `context` cached ones. Keys and
    values lie in place: a step writes those of its own tokens and reads all that it attends to once,
    in attention. Only the logits of the last position are computed, as in generation. Experts
    compute their rows in groups, as many in each as even routing gives. Training learns each next
    token by cross-entropy, with AdamW.

    Args:
        config: Geometry, as a `transformers` configuration.
    """

    def step(model: nn.Module, batch: int, tokens: int, context: int) -> Any:
        ids = torch.empty(batch, tokens, dtype=torch.long, device="meta")
        kept = _kept(config, model, batch, tokens, context)
        return model(ids, past_key_values=kept, use_cache=True, logits_to_keep=1)

    return Subject(
        workload="decoder",
        build=lambda: lowered_model(config),
        calls={"prefill": step, "decode": step},
        loss=_loss,
        optimiser=lambda model: torch.optim.AdamW(model.parameters()),
        stacks=() if len(set(slides(config))) > 1 else stacks(on_meta(config)),
    )


def lowered_model(config: Any) -> Any:
    """A model whose operators and shapes do not depend on what its routers say.

    Args:
        config: Geometry, as a `transformers` configuration.
    """
    model = built(config)
    if expert_count(config):
        model.set_experts_implementation("grouped_mm")
    return model


def stacks(model: nn.Module) -> tuple[str, ...]:
    """Paths of a decoder's layers: its outermost list of modules."""
    paths = [name for name, part in model.named_modules() if isinstance(part, nn.ModuleList)]
    return tuple(name for name in paths if not any(name.startswith(f"{p}.") for p in paths))


@contextmanager
def one_text_a_row() -> Iterator[None]:
    """Tells `transformers` that no row of a batch holds several texts.

    It looks for them in the positions of tokens where there is neither cache nor mask, and tensors
    that hold no data cannot tell it.
    """
    found = masking_utils.find_packed_sequence_indices
    masking_utils.find_packed_sequence_indices = lambda _positions: None
    try:
        yield
    finally:
        masking_utils.find_packed_sequence_indices = found


def _loss(model: nn.Module, batch: int, tokens: int) -> Tensor:
    """Of `tokens` next tokens a sequence."""
    ids = torch.empty(batch, tokens + 1, dtype=torch.long, device="meta")
    with one_text_a_row():
        logits = model(ids[:, :-1], use_cache=False).logits
    return functional.cross_entropy(logits.mT, ids[:, 1:])


def _kept(config: Any, model: Any, batch: int, tokens: int, context: int) -> Any:
    """The cache of a model behind so many tokens."""
    if isinstance(config, LinearConfig):
        return _state(config, batch, context) if context else None
    (path,) = stacks(model)
    layers = len(list(model.get_submodule(path).children()))
    shape = (batch, kv_heads(config), tokens, head_dim(config))
    windows = [config.sliding_window if own else None for own in slides(config)[:layers]]
    return Cache(layers=[_InPlace(shape, context, window) for window in windows])


def _state(config: Any, batch: int, context: int) -> LinearState:
    heads, width = config.num_attention_heads, head_dim(config)
    layers = tuple(
        (torch.empty(batch, heads, width, width), torch.empty(batch, heads, width))
        for _ in range(config.num_hidden_layers)
    )
    return LinearState(context, layers)


class _InPlace(DynamicLayer):  # type: ignore[misc]  # transformers is read untyped
    """Keys and values of one layer with room for all tokens, as a server keeps them.

    Args:
        shape: Of the new keys: (batch, heads, tokens, head_dim).
        context: Tokens that were there before.
        window: Tokens that attention reaches back; None for all of them.
    """

    def __init__(self, shape: tuple[int, ...], context: int, window: int | None) -> None:
        super().__init__()
        batch, heads, tokens, width = shape
        self._context = context
        self._before = context if window is None or context < window else window - 1
        room = (batch, heads, self._before + tokens, width)
        self.keys = torch.empty(room, device="meta")
        self.values = torch.empty(room, device="meta")
        self.is_sliding = window is not None
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes the new keys and values behind the cached ones; returns all that are attended."""
        for stored, new in ((self.keys, key_states), (self.values, value_states)):
            stored.narrow(-2, self._before, new.shape[-2]).copy_(new)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens that were in the cache before."""
        return self._context

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """How many keys there are, and at which token the first stands."""
        return self._before + query_length, self._context - self._before
