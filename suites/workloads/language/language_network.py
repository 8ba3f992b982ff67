"""Language modelling in PyTorch: what a text costs a decoder, and how it learns from one."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.language import decoder_network, experts
from accelbench.suites.workloads.language.adaptation import Adaptation
from accelbench.suites.workloads.language.decoder_geometry import expert_count
from accelbench.suites.workloads.language.decoder_phases import lowered_model, one_text_a_row
from accelbench.suites.workloads.lowering.subject import Subject

_AT_ONCE = 16
_IN_TRAINING = 1
"""What the clock of the routers' watch reads while the model is in training mode; 0 else."""


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
    held = read(weights) if weights is not None else {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NextToken(base if base is not None else decoder_network.built(config))
        before = held.keys() <= model.state_dict().keys()
        if held and before:
            put(model, held)
        adapted(model, how)
        if held and not before:
            put(model, held)
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


def read(weights: Path) -> Mapping[str, Tensor]:
    """The tensors of a file.

    Raises:
        ForeignError: It cannot be read.
    """
    with foreign("loading the weights", where=weights.name):
        held: Mapping[str, Tensor] = load_file(weights)
    return held


def put(model: nn.Module, held: Mapping[str, Tensor]) -> None:
    """Puts tensors into a model; of tensors that are one in the model, one is enough.

    Args:
        model: The model.
        held: The tensors by name.

    Raises:
        ForeignError: A tensor has another shape.
        TrialError: There are others than the model has.
    """
    with foreign("loading the weights", where="the model"):
        missing, unexpected = model.load_state_dict(held, strict=False)
    state = model.state_dict()
    there = {state[name].data_ptr() for name in held if name in state}
    lacking = [name for name in missing if state[name].data_ptr() not in there]
    if lacking or unexpected:
        name = (lacking or list(unexpected))[0]
        raise TrialError(
            f"the weights are of another model: {name!r} is in one of the two only",
            remedy="use the same geometry as the cell that trained them",
        )


def adamw(model: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW over the parameters that are trained; PyTorch's defaults else."""
    trained = [own for own in model.parameters() if own.requires_grad]
    return torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay)


class LanguageLesson:
    """Next tokens of windows of text.

    Args:
        train: Token ids to learn from, shape (windows, tokens).
        test: Token ids held out, likewise.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        facts: Optimiser and loss, in words.
    """

    def __init__(
        self,
        train: NDArray[np.int64],
        test: NDArray[np.int64],
        *,
        learning_rate: float,
        weight_decay: float,
        facts: Mapping[str, Plain],
    ) -> None:
        self.count = len(train)
        self._train, self._test = train, test
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._facts = facts
        self._routing: experts.Routing | None = None

    def batch(self, indices: Sequence[int], model: nn.Module) -> Tensor:
        """Token ids of these windows, where the model lies; shape (windows, tokens)."""
        return torch.from_numpy(self._train[list(indices)]).to(next(model.parameters()).device)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        """Mean negative log-likelihood of a token, nats."""
        found: Tensor = model(batch)
        return found.mean()

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW over the parameters that are trained; from now on routers are watched."""
        count = expert_count(getattr(model, "module", model).config)
        if count:
            self._routing = experts.watch(model, count, lambda: int(model.training))
        return adamw(model, self._learning_rate, self._weight_decay)

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """The decoder's layers."""
        wrapped: Any = getattr(model, "module", model)
        return list(wrapped.decoder.model.layers)

    def evaluate(self, model: nn.Module) -> Sequence[Quality]:
        """Mean loss of a held-out token, nats, and perplexity."""
        device, count = next(model.parameters()).device, len(self._test)
        parts = [
            model(torch.from_numpy(self._test[start : start + _AT_ONCE]).to(device))
            for start in range(0, count, _AT_ONCE)
        ]
        loss = torch.cat(parts).double().mean().item()
        return [
            Quality("loss", "test", loss, count),
            Quality("perplexity", "test", math.exp(loss), count),
        ]

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser and loss, in words; how evenly tokens were spread over experts in training."""
        if self._routing is None:
            return self._facts
        given = np.array(
            [
                count.value
                for count in self._routing.counts(_IN_TRAINING, _IN_TRAINING + 1)
                if count.name == "moe.expert_tokens"
            ]
        )
        return {
            **self._facts,
            "experts": {
                "cv": float(given.std() / given.mean()) if given.any() else None,
                "busiest_over_mean": float(given.max() / given.mean()) if given.any() else None,
                "balancing_loss": "none",
            },
        }
