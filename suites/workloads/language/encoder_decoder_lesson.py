"""What an encoder-decoder is taught: to sort letters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Lengths
from accelbench.suites.workloads.data.sorting import answer
from accelbench.suites.workloads.language import encoder_decoder_network as network
from accelbench.suites.workloads.language.language_lesson import adamw

_AT_ONCE = 256


class SortingLesson:
    """Strings and their letters in order, an end token behind them.

    Args:
        train: Strings to learn from.
        test: Strings of the test.
        end: The end token.
        learning_rate: Of AdamW.
        facts: Optimiser, loss and data, in words.
    """

    def __init__(
        self,
        train: Sequence[str],
        test: Sequence[str],
        end: int,
        learning_rate: float,
        facts: Mapping[str, Plain],
    ) -> None:
        self.count = len(train)
        self._train, self._test, self._end = train, test, end
        self._learning_rate, self._facts = learning_rate, facts

    def batch(self, indices: Sequence[int], model: nn.Module) -> tuple[dict[str, Tensor], Tensor]:
        """Prompts, padded on the right to the longest, and their answers."""
        taken = [self._train[index] for index in indices]
        return self._prompts(taken, model), self._answers(taken, model)

    def lengths(self, indices: Sequence[int]) -> Lengths:  # noqa: ARG002  (whatever they are)
        """Not those of the operator graph.

        Raises:
            TrialError: Always.
        """
        raise TrialError("the operator graph has answers as long as prompts, these have an end too")

    def loss(self, model: nn.Module, batch: tuple[dict[str, Tensor], Tensor]) -> Tensor:
        """Mean negative log-likelihood of a token of the answers, nats."""
        return network.loss(model, *batch)

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW without weight decay."""
        return adamw(model, self._learning_rate, 0.0)

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """The layers of encoder and decoder."""
        bare: Any = getattr(model, "module", model)
        t5 = bare.t5
        return [*t5.encoder.block, *t5.decoder.block]

    def evaluate(self, model: nn.Module) -> Sequence[Quality]:
        """The share of the test's strings whose greedy answer is right to the last token."""
        right = 0
        for start in range(0, len(self._test), _AT_ONCE):
            taken = self._test[start : start + _AT_ONCE]
            wanted = self._answers(taken, model)
            found = _greedy(model, self._prompts(taken, model), wanted.shape[1])
            wrong = (found != wanted) & (wanted != network.IGNORED)
            right += int((~wrong.any(dim=1)).sum())
        return [Quality("exact_match", "test", right / len(self._test), len(self._test))]

    def facts(self) -> Mapping[str, Plain]:
        """Optimiser, loss and data, in words."""
        return self._facts

    def _prompts(self, texts: Sequence[str], model: nn.Module) -> dict[str, Tensor]:
        ids = _rows([list(text.encode()) for text in texts], 0, model)
        return {"ids": ids, "attention_mask": (ids != 0).long()}

    def _answers(self, texts: Sequence[str], model: nn.Module) -> Tensor:
        rows = [[*answer(text).encode(), self._end] for text in texts]
        return _rows(rows, network.IGNORED, model)


def _greedy(model: nn.Module, prompts: Mapping[str, Tensor], tokens: int) -> Tensor:
    """The likeliest tokens, one after another; shape (batch, tokens)."""
    told = model(**prompts)
    steps = [told.logits[:, -1].argmax(dim=-1, keepdim=True)]
    for _ in range(tokens - 1):
        told = model(steps[-1], past_key_values=told.past_key_values)
        steps.append(told.logits[:, -1].argmax(dim=-1, keepdim=True))
    return torch.cat(steps, dim=1)


def _rows(rows: Sequence[Sequence[int]], behind: int, model: nn.Module) -> Tensor:
    """Rows of one length, where the model lies; shape (rows, longest)."""
    longest = max(map(len, rows))
    filled = [[*row, *[behind] * (longest - len(row))] for row in rows]
    return torch.tensor(filled, device=next(model.parameters()).device)
