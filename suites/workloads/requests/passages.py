"""The shipped passages, and running text made of them that begins like no other."""

import math
import random
import re
from functools import cache
from pathlib import Path

PASSAGES = Path(__file__).with_name("prompts.txt")

APART = 16
"""No two running texts of one key share so many characters at their beginning, as long as their
numbers are below `pairs()`; so no two share a block of 16 tokens, which servers cache."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_WORD = re.compile(r"\b[a-z]{4,9}\b")
_DIFFERENT = 4
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@cache
def passages() -> tuple[str, ...]:
    """The passages of `prompts.txt`, each without the line that names its work."""
    blocks = PASSAGES.read_text(encoding="utf-8").strip().split("\n\n")
    return tuple(" ".join(block.splitlines()[1:]) for block in blocks)


def running_text(key: str, number: int, draw: random.Random, size: int) -> str:
    """Two words of its own, a drawn sentence with what follows it, and further passages in order.

    Args:
        key: What the text is for, and a seed; the words differ from key to key.
        number: Which one of its kind.
        draw: Draws the sentence and the first further passage; how the text begins does not depend
            on its length.
        size: Characters.
    """
    begun = draw.choice(_beginnings())
    parts = [f"{_opening(key, number)}: {begun}"]
    left = size - len(parts[0])
    every = passages()
    place = draw.randrange(len(every))
    while left > 0:
        text = every[place % len(every)]
        if not text.endswith(begun):
            parts.append(text)
            left -= 1 + len(text)
        place += 1
    return " ".join(parts)[:size]


def random_letters(draw: random.Random, size: int) -> str:
    """Random letters, in words of two to eight.

    Args:
        draw: Draws them.
        size: Characters, spaces included.
    """
    letters = draw.choices(_LETTERS, k=size)
    place = draw.randint(2, 8)
    while place < size - 1:
        letters[place] = " "
        place += 1 + draw.randint(2, 8)
    return "".join(letters)


def pairs() -> int:
    """How many different pairs of words texts can begin with."""
    return len(_vocabulary()) ** 2


@cache
def _beginnings() -> tuple[str, ...]:
    """What follows from the beginning of each sentence to the end of its passage."""
    found: list[str] = []
    for text in passages():
        starts = [0, *(match.end() for match in _SENTENCE.finditer(text))]
        found += [text[start:] for start in starts]
    return tuple(found)


@cache
def _vocabulary() -> tuple[str, ...]:
    """Words of the passages that differ in their first letters already."""
    words = sorted({word for text in passages() for word in _WORD.findall(text)})
    return tuple({word[:_DIFFERENT]: word for word in words}.values())


def _opening(key: str, number: int) -> str:
    """Two words or more that no other number of the same key has, such as "Whale, nature".

    Numbers that follow each other differ in their first word.
    """
    words = _vocabulary()
    start, step = _walk(key, pairs())
    above, number = divmod(number % 2**64, pairs())
    second, first = divmod((start + number * step) % pairs(), len(words))
    chosen = [words[first], words[second]]
    while above:
        above, digit = divmod(above, len(words))
        chosen.append(words[digit])
    return ", ".join(chosen).capitalize()


@cache
def _walk(key: str, size: int) -> tuple[int, int]:
    """A start and a step, drawn from a key, that lead to each of `size` numbers once."""
    draw = random.Random(key)  # noqa: S311  (no secret hangs on it)
    while math.gcd(step := draw.randrange(1, size), size) > 1:
        pass
    return draw.randrange(size), step
