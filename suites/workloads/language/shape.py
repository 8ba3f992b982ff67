"""The geometry of a decoder by a few numbers, and which architecture has it."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from accelbench.suites.workloads.extras import require

Attention: TypeAlias = Literal["full", "sliding", "linear"]


@dataclass(frozen=True)
class Shape:
    """Widths, heads and kinds of layers.

    Full attention and dense layers make a Llama, a sliding window a Mistral, experts a Mixtral;
    linear attention a decoder of our own with the layers of a Llama.

    Attributes:
        hidden: Width of the residual stream.
        layers: Decoder layers.
        heads: Query heads.
        kv_heads: Key and value heads: as many as query heads, fewer (grouped), or one.
        intermediate: Width of the feed-forward layer, or of each expert.
        vocab: Entries of the vocabulary.
        max_positions: Longest sequence.
        attention: Over the whole context, over a sliding window, or by a state of constant size.
        window: Tokens of a sliding window, the token's own included.
        experts: Experts in each layer; 0 for a dense feed-forward layer.
        experts_per_token: Of these, how many a token is sent to.
        capacity: Room of an expert in each call as a multiple of its even share; what is beyond is
            dropped. None for room without end.

    Raises:
        ValueError: No model can be so.
    """

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocab: int
    max_positions: int
    attention: Attention = "full"
    window: int | None = None
    experts: int = 0
    experts_per_token: int = 2
    capacity: float | None = None

    def __post_init__(self) -> None:
        if min(self.layers, self.kv_heads, self.heads, self.intermediate) < 1:
            raise ValueError("layers, heads, kv_heads and intermediate must be above 0")
        if self.hidden < 1 or self.hidden % (2 * self.heads) or self.heads % self.kv_heads:
            raise ValueError("hidden must be a multiple of 2 * heads, heads one of kv_heads")
        if (self.window is not None) != (self.attention == "sliding"):
            raise ValueError("a window belongs to attention=sliding, and that needs one")
        if self.window is not None and self.window < 1:
            raise ValueError(f"window must be at least 1, got {self.window}")
        if self.attention == "linear" and (self.kv_heads != self.heads or self.experts):
            raise ValueError("attention=linear has kv_heads=heads and no experts")
        if self.experts and not 1 <= self.experts_per_token <= self.experts:
            raise ValueError("experts_per_token must lie between 1 and experts")
        if self.capacity is not None and (not self.experts or self.capacity <= 0):
            raise ValueError("capacity is above 0 and needs experts")

    def config(self) -> Any:
        """The geometry as a `transformers` configuration.

        Raises:
            MissingPart: PyTorch or transformers is not installed.
        """
        require("torch", "torch", "transformers")
        sizes = {
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "intermediate_size": self.intermediate,
            "vocab_size": self.vocab,
            "max_position_embeddings": self.max_positions,
        }
        import transformers  # noqa: PLC0415  (slow to import)

        if self.experts:
            return transformers.MixtralConfig(
                **sizes,
                sliding_window=self.window,
                num_local_experts=self.experts,
                num_experts_per_tok=self.experts_per_token,
                expert_capacity=self.capacity,
            )
        if self.attention == "sliding":
            return transformers.MistralConfig(**sizes, sliding_window=self.window)
        if self.attention == "linear":
            from accelbench.suites.workloads.language import linear_network  # noqa: PLC0415  (torch)

            return linear_network.LinearConfig(**sizes)
        return transformers.LlamaConfig(**sizes)
