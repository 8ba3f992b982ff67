"""Texts that an encoder embeds, and what real weights are known to make of some of them.

The known embeddings were made once: `AutoModel.from_pretrained` of `transformers` 5.19 in float32 on
a CPU, one sentence at a time and so without padding, the mean of the last hidden states over all
tokens, divided by its length; rounded to six decimals.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.language.padded import Arrays, Padding, rows
from accelbench.suites.workloads.requests.passages import passages

_KNOWN = Path(__file__).with_name("encoder_reference.json")
_END = re.compile(r"(?<=[.!?;])\s+")
_FEWEST_WORDS = 3
_LONGEST_TOKEN = 16


@cache
def sentences() -> tuple[str, ...]:
    """The sentences of the shipped passages, those of a few words left out, none of them twice."""
    parts = [part for text in passages() for part in _END.split(text)]
    return tuple(dict.fromkeys(part for part in parts if len(part.split()) >= _FEWEST_WORDS))


def running_texts(tokens: int) -> tuple[str, ...]:
    """Text from the beginning of each sentence on, through the passages in order and round again.

    Args:
        tokens: How many each has to have at least, by any tokenizer.
    """
    whole = " ".join(passages())
    enough = whole * (2 + _LONGEST_TOKEN * tokens // len(whole))
    starts = [whole.index(sentence) for sentence in sentences()]
    return tuple(enough[start : start + _LONGEST_TOKEN * tokens] for start in starts)


@dataclass(frozen=True)
class Known:
    """An embedding that is known.

    Attributes:
        text: The sentence.
        tokens: How many it has.
        values: The embedding, shape (hidden,), of length 1.
    """

    text: str
    tokens: int
    values: tuple[float, ...]


@cache
def known(weights_sha256: str) -> tuple[Known, ...]:
    """The embeddings that are known of some weights; none of most.

    Args:
        weights_sha256: Digest of the file of weights.
    """
    every = json.loads(_KNOWN.read_text(encoding="utf-8"))
    return tuple(
        Known(one["text"], one["tokens"], tuple(one["values"]))
        for one in every.get(weights_sha256, ())
    )


@dataclass(frozen=True, eq=False)
class EmbeddingSamples:
    """Texts to embed.

    Attributes:
        inputs: All of them, as `Padding.arrays` makes them.
        pad: How they become a batch.
        references: Of some texts, by their place, the embedding, shape (hidden,).
    """

    inputs: Arrays
    pad: Padding
    references: Mapping[int, NDArray[np.float64]]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.inputs["input_ids"])

    def batch(self, indices: Sequence[int]) -> dict[str, NDArray[Any]]:
        """The texts at these indices, padded as a batch of their own."""
        return self.pad.trimmed(rows(self.inputs, indices))

    def elements(self, indices: Sequence[int]) -> tuple[int, int]:
        """Tokens of this batch that carry text, and those that are run, padding included."""
        return self.pad.elements(rows(self.inputs, indices))

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:
        """The least cosine of the first answer to a text and its known embedding.

        Args:
            answered: Pairs of indices and embeddings, shape (indices, hidden).

        Returns:
            Nothing where no text was answered whose embedding is known.
        """
        first: dict[int, float] = {}
        for indices, answers in answered:
            for index, row in zip(indices, answers, strict=True):
                if index in self.references and index not in first:
                    first[index] = _cosine(np.asarray(row, np.float64), self.references[index])
        if not first:
            return ()
        return (Quality("embedding", "test", min(first.values()), len(first)),)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
