"""The decoder in PyTorch: random weights of a given geometry, and its operator graph."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, Cache, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicLayer

from accelbench.harness.schema.opgraph import OpGraph
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads.lowering import graph_of


def random_model(config: LlamaConfig, seed: int) -> Any:
    """A model in float32 whose weights depend on geometry and seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def parameter_count(config: Any) -> int:
    """Parameters of a model of this geometry, shared ones once."""
    return sum(p.numel() for p in _on_meta(_Geometry(config)).parameters())


def attention_implementation(config: Any) -> str:
    """Which of transformers' attention functions a model of this geometry takes."""
    return str(_on_meta(_Geometry(config)).config._attn_implementation)  # noqa: SLF001  (no public way)


def geometry(config: Any) -> Mapping[str, Plain]:
    """Layers, heads and widths, and what kind of attention they make.

    Args:
        config: Geometry, as a `transformers` configuration.
    """
    heads, kv_heads = config.num_attention_heads, _kv_heads(config)
    kind = {heads: "multi-head", 1: "multi-query"}.get(kv_heads, "grouped-query")
    experts = getattr(config, "num_local_experts", None) or getattr(config, "num_experts", None)
    return {
        "architecture": config.model_type,
        "layers": config.num_hidden_layers,
        "hidden": config.hidden_size,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": _head_dim(config),
        "vocab": config.vocab_size,
        "attention": f"{kind}, causal over {_reach(config)}",
        "execution": f"{experts} experts" if experts else "dense",
    }


def kv_layout(config: Any, element_bytes: float) -> KvLayout:
    """Keys and values of every layer, as lists that grow by one token.

    Args:
        config: Geometry, as a `transformers` configuration.
        element_bytes: Size of an element, bytes.
    """
    return KvLayout(
        layers=config.num_hidden_layers,
        kv_heads=_kv_heads(config),
        head_dim=_head_dim(config),
        element_bytes=element_bytes,
        window=_window(config),
    )


def lowered(config: Any, phase: str, batch: int, tokens: int, context: int) -> OpGraph:
    """The operator graph of `tokens` new tokens a sequence behind `context` cached ones.

    Keys and values lie in place: a step writes those of its own tokens and reads all of them
    once, in attention. Only the logits of the last position are computed, as in generation.

    Args:
        config: Geometry, as a `transformers` configuration.
        phase: "prefill" or "decode".
        batch: Sequences.
        tokens: New tokens a sequence.
        context: Cached tokens a sequence.
    """
    model = _on_meta(_Geometry(config))
    ids = torch.zeros(batch, tokens, dtype=torch.long, device="meta")
    shape = (batch, _kv_heads(config), context + tokens, _head_dim(config))
    kept = Cache(layers=[_InPlace(shape, context) for _ in range(config.num_hidden_layers)])
    return graph_of(
        model,
        lambda: model(ids, past_key_values=kept, use_cache=True, logits_to_keep=1),
        workload="decoder",
        phase=phase,
        batch=batch,
        tokens=tokens,
        context=context,
    )


def _kv_heads(config: Any) -> int:
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def _head_dim(config: Any) -> int:
    given = getattr(config, "head_dim", None)
    return int(given or config.hidden_size // config.num_attention_heads)


def _slides(config: Any) -> list[bool]:
    """Of each layer, whether its attention sees a sliding window instead of the whole context."""
    kinds = getattr(config, "layer_types", None) or ["sliding_attention"]
    used = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return [bool(used) and kind == "sliding_attention" for kind in kinds]


def _window(config: Any) -> int | None:
    """Tokens that attention reaches back in every layer; None where one sees the whole context."""
    return int(config.sliding_window) if all(_slides(config)) else None


def _reach(config: Any) -> str:
    slides = _slides(config)
    if not any(slides):
        return "the whole context"
    within = f"a sliding window of {config.sliding_window} tokens"
    return within if all(slides) else f"{within} in {sum(slides)} of {len(slides)} layers"


class _Geometry:
    """A configuration as a key: two of the same content are equal."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self._content = config.to_json_string(use_diff=False)

    def __hash__(self) -> int:
        return hash(self._content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Geometry) and other._content == self._content


@cache
def _on_meta(geometry: _Geometry) -> Any:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(geometry.config, dtype=torch.float32).eval()


class _InPlace(DynamicLayer):  # type: ignore[misc]  # transformers is untyped here  # type: ignore[misc]  # transformers is read untyped
    """Keys and values of one layer with room for all tokens, as a server keeps them."""

    def __init__(self, shape: tuple[int, ...], context: int) -> None:
        super().__init__()
        self._context = context
        self.keys = torch.empty(shape, device="meta")
        self.values = torch.empty(shape, device="meta")
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes the new keys and values behind the cached ones; returns all of them."""
        for stored, new in ((self.keys, key_states), (self.values, value_states)):
            stored.narrow(-2, self._context, new.shape[-2]).copy_(new)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        """Tokens that were in the cache before."""
        return self._context
