"""The decoder in PyTorch: random weights of a given geometry."""

from functools import cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from accelbench.suites.workloads.language import experts
from accelbench.suites.workloads.language.decoder_geometry import capacity
from accelbench.suites.workloads.language.linear_network import LinearConfig, LinearDecoder


def random_model(config: Any, seed: int) -> Any:
    """A model in float32 whose weights depend on geometry and seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return built(config)


def built(config: Any) -> Any:
    """A model of this geometry, its weights drawn from PyTorch's global generator.

    Args:
        config: Geometry, as a `transformers` configuration.
    """
    if isinstance(config, LinearConfig):
        return LinearDecoder(config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    room = capacity(config)
    if room is not None:
        experts.limit(model, room)
    return model


def parameter_count(config: Any) -> int:
    """Parameters of a model of this geometry, shared ones once."""
    return sum(p.numel() for p in on_meta(config).parameters())


def attention_implementation(config: Any) -> str:
    """Which of transformers' attention functions a model of this geometry takes."""
    if isinstance(config, LinearConfig):
        return "linear, this package's own"
    return str(on_meta(config).config._attn_implementation)  # noqa: SLF001  (no public way)


def on_meta(config: Any) -> Any:
    """The model of a geometry without its weights, the same one for the same geometry."""
    return _on_meta(_Geometry(config))


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
        return built(geometry.config).eval()
