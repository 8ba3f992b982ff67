"""Keys and values in memory: bytes of a context, what fits, and what a decode step must read.

Pure functions of a layout (eq. 15), with what the equation leaves out: memory in whole blocks,
sliding windows, heads replicated over more devices than there are heads, and quantisation scales.
"""

import math

import numpy as np
import numpy.typing as npt

from accelbench.harness.metrics.observation import Numbers
from accelbench.harness.schema.trace import KvLayout


def bytes_per_token(layout: KvLayout) -> float:
    """Bytes of keys and values of one token, over all layers and devices."""
    heads = max(layout.kv_heads, layout.devices)
    return layout.layers * heads * (2 * layout.head_dim * layout.element_bytes + layout.scale_bytes)


def bytes_per_token_paper(layout: KvLayout) -> float:
    """Equation 15 for one token: no replication and no scales."""
    return layout.layers * 2 * layout.kv_heads * layout.head_dim * layout.element_bytes


def held_tokens(layout: KvLayout, tokens: npt.ArrayLike) -> Numbers:
    """Tokens that a context keeps: all of them, or those of the sliding window."""
    context = np.asarray(tokens, dtype=np.float64)
    return context if layout.window is None else np.minimum(context, layout.window)


def reserved_tokens(layout: KvLayout, tokens: npt.ArrayLike) -> Numbers:
    """Tokens that memory is taken for: those kept, rounded up to whole blocks."""
    return np.ceil(held_tokens(layout, tokens) / layout.block_tokens) * layout.block_tokens


def kv_bytes(layout: KvLayout, tokens: npt.ArrayLike) -> Numbers:
    """Bytes reserved for a context of so many tokens, over all devices."""
    return reserved_tokens(layout, tokens) * bytes_per_token(layout)


def kv_bytes_per_device(layout: KvLayout, tokens: npt.ArrayLike) -> Numbers:
    """The same on the device that holds most heads."""
    heads = max(layout.kv_heads, layout.devices)
    return kv_bytes(layout, tokens) * math.ceil(layout.kv_heads / layout.devices) / heads


def sequences_that_fit(capacity: float, weights: float, layout: KvLayout, tokens: int) -> int:
    """How many contexts of so many tokens fit into memory beside the weights.

    Args:
        capacity: Bytes of memory.
        weights: Bytes of the weights.
        layout: How keys and values are kept.
        tokens: Length of each context, at least 1.
    """
    return max(int((capacity - weights) // float(kv_bytes(layout, tokens))), 0)


def decode_floor_s(weights: float, kv: float, bandwidth: float) -> float:
    """The least time of one decode step: weights and all keys and values are read once.

    Args:
        weights: Bytes of the weights.
        kv: Bytes of keys and values of all sequences in the batch.
        bandwidth: Bytes a second.
    """
    return (weights + kv) / bandwidth


def decode_attention_intensity(query_heads_per_kv_head: float, element_bytes: float) -> float:
    """FLOP per byte of keys and values that decode attention reads.

    Each element meets every query head of its group in one multiply-add.
    """
    return 2 * query_heads_per_kv_head / element_bytes
