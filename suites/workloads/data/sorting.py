"""A task that an encoder-decoder learns in seconds: to put letters into the order of the alphabet.

Which strings are for the test hangs on the string alone, so that training and test data are disjoint
however many are drawn.
"""

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from accelbench.harness.schema.plain import Plain

LETTERS = string.ascii_lowercase
TEST_SHARE = 0.125
"""Share of all strings that are for the test."""

_BYTE = 256


@dataclass(frozen=True)
class Sorting:
    """Strings of different letters, of drawn lengths.

    Attributes:
        shortest: Letters of the shortest string.
        longest: Letters of the longest.
    """

    shortest: int
    longest: int

    def __post_init__(self) -> None:
        if not 2 <= self.shortest <= self.longest <= len(LETTERS):  # noqa: PLR2004  (1 is sorted)
            raise ValueError(f"lengths lie between 2 and {len(LETTERS)}, the shortest first")

    def strings(self, count: int, seed: int, *, test: bool) -> list[str]:
        """Strings of one of the two parts; the first of them are the same however many are drawn.

        Args:
            count: How many; one may come twice.
            seed: What they are drawn from.
            test: Whether they are for the test.
        """
        drawn = self._drawn(f"{seed} {'test' if test else 'train'} strings")
        return [next(found for found in drawn if of_test(found) == test) for _ in range(count)]

    def facts(self) -> dict[str, Plain]:
        """What the strings are, for the record."""
        return {
            "kind": "synthetic",
            "name": f"strings of {self.shortest} to {self.longest} different letters, to be sorted",
            "generator": "lengths and letters drawn uniformly",
            "split": f"by the sha256 of a string: {TEST_SHARE:g} of all are for the test",
        }

    def _drawn(self, key: str) -> Iterator[str]:
        draw = random.Random(key)  # noqa: S311  (no secret hangs on it)
        while True:
            yield "".join(draw.sample(LETTERS, draw.randint(self.shortest, self.longest)))


def answer(text: str) -> str:
    """What is right: the same letters in the order of the alphabet."""
    return "".join(sorted(text))


def of_test(text: str) -> bool:
    """Whether a string is for the test."""
    return sha256(text.encode()).digest()[0] < TEST_SHARE * _BYTE
