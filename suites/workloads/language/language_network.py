"""Language modelling in PyTorch: what a text costs a decoder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.language import decoder_network
from accelbench.suites.workloads.language.adaptation import Adaptation
from accelbench.suites.workloads.language.decoder_phases import lowered_model, one_text_a_row
from accelbench.suites.workloads.language.language_lesson import adamw
from accelbench.suites.workloads.language.trained_weights import put_weights, trained_weights
from accelbench.suites.workloads.lowering.subject import Subject


class NextToken(nn.Module):
    """Scores every token of a window but its first by those before it.

    Args:
        decoder: A causal language model, called as those of `transformers` are.
    """

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    @property
    def config(self) -> Any:
        """The decoder's geometry."""
        return self.decoder.config

    def forward(self, ids: Tensor) -> Tensor:
        """Negative log-likelihood of each next token, nats, float32.

        Args:
            ids: Token ids, shape (batch, tokens).

        Returns:
            Shape (batch, tokens - 1).
        """
        logits = self.decoder(ids[:, :-1], use_cache=False).logits
        return functional.cross_entropy(logits.float().mT, ids[:, 1:], reduction="none")


_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""What low-rank adaptation adapts: the projections of attention."""


def built(
    base: nn.Module | None, config: Any, how: Adaptation, weights: Path | None, seed: int
) -> NextToken:
    """A model in float32, adapted, whose random parts depend on the seed alone.

    Args:
        base: A decoder with weights, or None for one with weights from the seed.
        config: Its geometry.
        how: Which parameters are trained.
        weights: A file that a training run of such a model wrote, before or after it was adapted.
        seed: Seed of what is drawn.

    Raises:
        ForeignError: The weights cannot be read.
        TrialError: They are of another model.
    """
    held = trained_weights(weights) if weights is not None else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NextToken(base if base is not None else decoder_network.built(config))
        before = held.keys() <= model.state_dict().keys()
        if held and before:
            put_weights(model, held)
        adapted(model, how)
        if held and not before:
            put_weights(model, held)
    return model


def adapted(model: NextToken, how: Adaptation) -> NextToken:
    """The same model, adapted: the projections of attention, or behind the feed-forward layers."""
    places = {".mlp": model.config.hidden_size}
    done: NextToken = how.put_into(model, _TARGETS, places)
    return done


def peft_facts(config: Any, how: Adaptation) -> Mapping[str, Plain]:
    """What is trained of a model of this geometry."""
    with torch.device("meta"):
        return how.facts(adapted(NextToken(decoder_network.built(config)), how))


def subject(config: Any, how: Adaptation, learning_rate: float, weight_decay: float) -> Subject:
    """What is lowered: scoring windows, and the parts of a training step.

    Args:
        config: Geometry.
        how: Which parameters are trained.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
    """

    def scored(model: nn.Module, batch: int, tokens: int) -> Tensor:
        with one_text_a_row():
            found: Tensor = model(torch.empty(batch, tokens, dtype=torch.long, device="meta"))
        return found

    return Subject(
        workload="language_model",
        build=lambda: adapted(NextToken(lowered_model(config)), how),
        calls={"forward": lambda model, batch, tokens, _context: scored(model, batch, tokens)},
        loss=lambda model, batch, tokens: scored(model, batch, tokens).mean(),
        optimiser=lambda model: adamw(model, learning_rate, weight_decay),
        stacks=("decoder.model.layers",),
    )
