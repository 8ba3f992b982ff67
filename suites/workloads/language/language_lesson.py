"""What a decoder is taught: the next tokens of windows of text."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Lengths
from accelbench.suites.workloads.language import experts
from accelbench.suites.workloads.language.decoder_geometry import expert_count

_AT_ONCE = 16
_IN_TRAINING = 1
"""What the clock of the routers' watch reads while the model is in training mode; 0 else."""


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
        drops: Whether experts have limited room, so that tokens pass some by.
    """

    def __init__(
        self,
        train: NDArray[np.int64],
        test: NDArray[np.int64],
        *,
        learning_rate: float,
        weight_decay: float,
        facts: Mapping[str, Plain],
        drops: bool = False,
    ) -> None:
        self.count = len(train)
        self._train, self._test = train, test
        self._learning_rate, self._weight_decay = learning_rate, weight_decay
        self._facts, self._drops = facts, drops
        self._routing: experts.Routing | None = None

    def batch(self, indices: Sequence[int], model: nn.Module) -> Tensor:
        """Token ids of these windows, where the model lies; shape (windows, tokens)."""
        return torch.from_numpy(self._train[list(indices)]).to(next(model.parameters()).device)

    def lengths(self, indices: Sequence[int]) -> Lengths:
        """All windows have one length.

        Raises:
            TrialError: Experts drop tokens, which the operator graph does not know.
        """
        if self._drops:
            raise TrialError("the operator graph has experts that take all tokens, these drop some")
        return {self._train.shape[1]: len(indices)}

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
