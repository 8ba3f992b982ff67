"""Sequences of tokens of unequal length as arrays, and what a batch of them is padded to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.data.labelled import Inputs, LabelledSamples

Policy: TypeAlias = Literal["none", "longest", "buckets", "full"]
Arrays: TypeAlias = Mapping[str, NDArray[Any]]
"""`input_ids` and `attention_mask` (1 for a token, 0 for padding), int64, shape (count, tokens)."""

_TOLD: Mapping[str, str] = {
    "none": "none: each text is exactly {tokens} tokens of running text",
    "longest": "each batch is padded to its longest text",
    "buckets": "texts by length; each batch is padded to a multiple of {bucket} tokens",
    "full": "every text is padded to {tokens} tokens",
}


@dataclass(frozen=True)
class Padding:
    """How texts of unequal length become a batch.

    Attributes:
        policy: "none": there is nothing to pad, as all are cut from running text at one length.
            "longest": to the longest of the batch. "buckets": to the next multiple of `bucket`
            above it, texts being ordered by length. "full": to `tokens`.
        tokens: Longest text; longer ones are cut.
        bucket: Step of the lengths of "buckets".
    """

    policy: Policy
    tokens: int
    bucket: int = 16

    def __post_init__(self) -> None:
        if self.policy not in _TOLD:
            raise ValueError(f"padding must be one of {', '.join(_TOLD)}")
        if min(self.tokens, self.bucket) < 1:
            raise ValueError("tokens and bucket must be above 0")

    def width(self, longest: int) -> int:
        """Tokens of each row of a batch.

        Args:
            longest: Tokens of its longest text.
        """
        if self.policy in ("none", "full"):
            return self.tokens
        step = self.bucket if self.policy == "buckets" else 1
        return min(self.tokens, -(-longest // step) * step)

    def order(self, texts: Sequence[Sequence[int]]) -> list[int]:
        """The places of texts in the order in which they become samples.

        Args:
            texts: Token ids of each.
        """
        places = range(len(texts))
        if self.policy == "buckets":
            return sorted(places, key=lambda place: len(texts[place]))
        return list(places)

    def arrays(self, texts: Sequence[Sequence[int]]) -> dict[str, NDArray[Any]]:
        """All texts, padded on the right to `tokens` with token 0.

        Args:
            texts: Token ids of each, at most `tokens`.
        """
        ids = np.zeros((len(texts), self.tokens), np.int64)
        mask = np.zeros_like(ids)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def trimmed(self, batch: Arrays) -> dict[str, NDArray[Any]]:
        """Rows of `arrays` at the width of their batch; without a mask where nothing is padded."""
        width = self.width(_longest(batch))
        names = ("input_ids",) if self.policy == "none" else ("input_ids", "attention_mask")
        return {name: batch[name][:, :width] for name in names}

    def elements(self, batch: Arrays) -> tuple[int, int]:
        """Tokens of a batch that carry text, and those that are run, padding included."""
        real = int(batch["attention_mask"].sum())
        return real, len(batch["attention_mask"]) * self.width(_longest(batch))

    def facts(self) -> Mapping[str, Plain]:
        """The policy in words; the share hangs on the batches, save where there is none."""
        told = _TOLD[self.policy].format(tokens=self.tokens, bucket=self.bucket)
        return {"policy": told} | ({"share": 0.0} if self.policy == "none" else {})


@dataclass(frozen=True, eq=False)
class PaddedSamples(LabelledSamples):
    """Texts and their classes, padded batch by batch.

    Attributes:
        pad: How; `inputs` are as its `arrays` makes them.
    """

    pad: Padding = field(kw_only=True)

    def batch(self, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
        """The texts at these indices, padded as a batch of their own."""
        return self.pad.trimmed(rows(self.inputs, indices))

    def elements(self, indices: Sequence[int]) -> tuple[int, int]:
        """Tokens of this batch that carry text, and those that are run, padding included."""
        return self.pad.elements(rows(self.inputs, indices))

    def mean_tokens(self) -> int:
        """The mean length of a text, rounded."""
        return mean_tokens(self.inputs)


def rows(inputs: Inputs, indices: Sequence[int]) -> Arrays:
    """The rows of all arrays at these indices."""
    chosen = list(indices)
    return {name: array[chosen] for name, array in dict(inputs).items()}


def mean_tokens(inputs: Inputs) -> int:
    """The mean length of the texts of some arrays, tokens, rounded."""
    mask = dict(inputs)["attention_mask"]
    return round(float(mask.sum() / len(mask)))


def _longest(batch: Arrays) -> int:
    return int(batch["attention_mask"].sum(axis=1).max(initial=1))
