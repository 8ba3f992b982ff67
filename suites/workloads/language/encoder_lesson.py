"""What an encoder is taught: the kinds of stretches of text."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.training import Lengths
from accelbench.suites.workloads.classifiers.lesson import ClassLesson
from accelbench.suites.workloads.data.labelled import Split
from accelbench.suites.workloads.language.language_lesson import adamw


class TextLesson(ClassLesson):
    """Cross-entropy with AdamW, scored by accuracy on the test texts.

    Args:
        split: The data.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        facts: Optimiser and loss, in words.
    """

    def __init__(
        self, split: Split, learning_rate: float, weight_decay: float, facts: Mapping[str, Plain]
    ) -> None:
        super().__init__(split, functional.cross_entropy, learning_rate, facts)
        self._decay = weight_decay

    def lengths(self, indices: Sequence[int]) -> Lengths:
        """Tokens of these texts, without padding."""
        mask = dict(self._split.train.inputs)["attention_mask"]
        return Counter(np.asarray(mask)[list(indices)].sum(axis=1).tolist())

    def optimiser(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW over the parameters that are trained; PyTorch's defaults else."""
        return adamw(model, self._learning_rate, self._decay)
