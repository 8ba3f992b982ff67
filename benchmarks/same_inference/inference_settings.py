"""What both tools are asked: models as Hugging Face folders, shapes, and how often."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelbench.suites.workloads.language import export
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.language.encoder import Encoder

_NARROW = Decoder()
_WIDE = Decoder(hidden=1024, layers=8, heads=16, kv_heads=8, intermediate=2816)
_ENCODER = Encoder(hidden=384, layers=6, heads=12, intermediate=1536)


@dataclass(frozen=True)
class Setting:
    """One inference.

    Attributes:
        model: A key of `MODELS`.
        batch: Sequences at once.
        tokens: Of each prompt or text.
        new_tokens: That are generated for each; 0 for an encoder.
        runs: How often it is timed.
    """

    model: str
    batch: int
    tokens: int
    new_tokens: int
    runs: int

    @property
    def generates(self) -> bool:
        """Whether tokens are generated."""
        return self.new_tokens > 0

    @property
    def name(self) -> str:
        """For folders and progress."""
        return f"{self.model}-b{self.batch}-s{self.tokens}-n{self.new_tokens}"

    @property
    def told(self) -> str:
        """For a reader."""
        answers = f", {self.new_tokens} new tokens" if self.generates else ""
        return f"{TOLD[self.model]}, batch {self.batch}, {self.tokens} tokens{answers}"


TOLD: Mapping[str, str] = {
    "narrow": "decoder of 4 layers, hidden 256 (3.4 M parameters)",
    "wide": "decoder of 8 layers, hidden 1024 (94.9 M parameters)",
    "encoder": "encoder of 6 layers, hidden 384",
}

SETTINGS = (
    Setting("narrow", 1, 16, 16, runs=60),
    Setting("narrow", 4, 128, 64, runs=12),
    Setting("wide", 1, 128, 16, runs=8),
    Setting("encoder", 1, 16, 0, runs=300),
    Setting("encoder", 4, 128, 0, runs=40),
)
"""Corners: small and large in both shape and model."""

EVERY = tuple(
    Setting(model, batch, tokens, new, runs)
    for model, shapes in (
        ("narrow", ((16, 16, 60), (16, 64, 15), (128, 16, 40), (128, 64, 12))),
        ("wide", ((16, 16, 8), (128, 16, 8))),
        ("encoder", ((16, 0, 300), (128, 0, 40))),
    )
    for tokens, new, runs in shapes
    for batch in (1, 4)
)
"""All combinations."""


def make_model(name: str, folder: Path) -> Path:
    """Writes a model with random weights, in float32, with a tokenizer of characters.

    Args:
        name: A key of `MODELS`.
        folder: Takes it.
    """
    return MODELS[name](folder)


def _decoder(made: Decoder) -> Callable[[Path], Path]:
    return made.export


def _encoder(folder: Path) -> Path:
    export.save_model(_ENCODER.model(None, 0).body, folder, "float32")
    export.save_character_tokenizer(folder, _ENCODER.vocab, _ENCODER.max_positions)
    return folder


MODELS: Mapping[str, Callable[[Path], Path]] = {
    "narrow": _decoder(_NARROW),
    "wide": _decoder(_WIDE),
    "encoder": _encoder,
}
"""What writes each model."""
