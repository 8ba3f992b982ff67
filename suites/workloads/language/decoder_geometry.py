"""What a decoder's configuration says of its layers, attention, experts and cache."""

from collections.abc import Mapping
from typing import Any

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.trace import KvLayout
from accelbench.suites.workloads.language.linear_network import CHUNK, LinearConfig, state_elements


def geometry(config: Any) -> Mapping[str, Plain]:
    """Layers, heads and widths, and what kind of attention they make.

    Args:
        config: Geometry, as a `transformers` configuration.
    """
    experts = expert_count(config)
    return {
        "architecture": config.model_type,
        "layers": config.num_hidden_layers,
        "hidden": config.hidden_size,
        "heads": config.num_attention_heads,
        "kv_heads": kv_heads(config),
        "head_dim": head_dim(config),
        "vocab": config.vocab_size,
        "attention": _attention(config),
        "context": {
            "longest": config.max_position_embeddings,
            "contained": _contained(config),
            **({"state_elements": state_elements(config)} if _is_linear(config) else {}),
        },
        "execution": f"{experts} experts" if experts else "dense",
        **({"experts": _experts(config)} if experts else {}),
    }


def kv_layout(config: Any, element_bytes: float) -> KvLayout | None:
    """Keys and values of every layer, as lists that grow by one token.

    None for linear attention, which keeps a state of constant size.

    Args:
        config: Geometry, as a `transformers` configuration.
        element_bytes: Size of an element, bytes.
    """
    if _is_linear(config):
        return None
    return KvLayout(
        layers=config.num_hidden_layers,
        kv_heads=kv_heads(config),
        head_dim=head_dim(config),
        element_bytes=element_bytes,
        window=_window(config),
    )


def kv_heads(config: Any) -> int:
    """Heads of keys and values."""
    return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)


def head_dim(config: Any) -> int:
    """Width of a head."""
    given = getattr(config, "head_dim", None)
    return int(given or config.hidden_size // config.num_attention_heads)


def slides(config: Any) -> list[bool]:
    """Of each layer, whether its attention sees a sliding window instead of the whole context."""
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        kinds = ["sliding_attention"] * config.num_hidden_layers
    used = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return [bool(used) and kind == "sliding_attention" for kind in kinds]


def expert_count(config: Any) -> int:
    """Experts of a layer; 0 where layers are dense."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    return next((int(found) for name in names if (found := getattr(config, name, None))), 0)


def capacity(config: Any) -> float | None:
    """Room of an expert as a multiple of its even share; None for room without end."""
    found = getattr(config, "expert_capacity", None)
    return None if found is None else float(found)


def _is_linear(config: Any) -> bool:
    return isinstance(config, LinearConfig)


def _experts(config: Any) -> Mapping[str, Plain]:
    room = capacity(config)
    return {
        "count": expert_count(config),
        "per_token": config.num_experts_per_tok,
        "capacity_factor": "none: every expert takes all that it is sent" if room is None else room,
        "routing": f"softmax over the experts, the {config.num_experts_per_tok} likeliest"
        + ("" if room is None else "; beyond capacity dropped, later tokens first"),
    }


def _attention(config: Any) -> str:
    heads, own = config.num_attention_heads, kv_heads(config)
    kind = {heads: "multi-head", 1: "multi-query"}.get(own, "grouped-query")
    if _is_linear(config):
        return f"linear, {kind}, causal over the whole context, features elu(x) + 1"
    return f"{kind}, causal over {_reach(config)}"


def _contained(config: Any) -> str:
    """How the cost of a long context is contained."""
    if _is_linear(config):
        elements = state_elements(config)
        return f"a state of {elements} float32 elements a sequence; in chunks of {CHUNK} tokens"
    if any(slides(config)):
        return f"{_reach(config)}; prefill computes and masks the rest"
    return "not: it grows with the square of the length, in tiles where the kernel is fused"


def _window(config: Any) -> int | None:
    """Tokens that attention reaches back in every layer; None where one sees the whole context."""
    return int(config.sliding_window) if all(slides(config)) else None


def _reach(config: Any) -> str:
    kinds = slides(config)
    if not any(kinds):
        return "the whole context"
    within = f"a sliding window of {config.sliding_window} tokens"
    return within if all(kinds) else f"{within} in {sum(kinds)} of {len(kinds)} layers"
