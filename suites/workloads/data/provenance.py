"""Stretches of real text of three kinds, to be told apart: literature, documentation, programs."""

import hashlib
import importlib.util
import platform
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from accelbench.harness.errors import MissingPart
from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.requests.passages import passages

KINDS = ("literature", "documentation", "program")
"""The classes, in order: the shipped passages, the topics of Python's help, Python's own modules."""

SHORTEST, LONGEST = 64, 192
"""Characters of a stretch; its length is drawn uniformly."""

TEST_SHARE = 0.2
_STRETCHES = {"train": 1000, "test": 150}
_MODULES = ("_pydecimal", "argparse", "difflib", "inspect", "tarfile", "zipfile")

Stretch: TypeAlias = tuple[str, int]
"""A stretch of text and its class."""


@dataclass(frozen=True)
class Stretches:
    """The data, split; no character of the one part is in the other.

    Attributes:
        train: As many of each kind.
        test: Likewise.
        facts: Where they are from, and how they were split.
    """

    train: tuple[Stretch, ...]
    test: tuple[Stretch, ...]
    facts: Mapping[str, Plain]


@cache
def stretches(split_seed: int) -> Stretches:
    """Stretches of texts that lie in this package and in every Python.

    Passages are dealt whole to one part or the other; of the long texts the last fifth is for the
    test. White space of any kind is one space, so that the layout of a page tells nothing.

    Args:
        split_seed: Seed of the deal and of the stretches.

    Raises:
        MissingPart: This Python came without its help or its modules' sources.
    """
    draw = random.Random(f"{split_seed} provenance")  # noqa: S311  (no secret hangs on it)
    sources = [_passages(draw), _divided(_documentation()), _divided(_programs())]
    cut = {
        part: tuple(
            (stretch, kind)
            for kind, source in enumerate(sources)
            for stretch in _drawn(source[side], count, draw)
        )
        for side, (part, count) in enumerate(_STRETCHES.items())
    }
    whole = "\0".join(text for source in sources for text in source)
    facts: dict[str, Plain] = {
        "kind": "real",
        "name": f"stretches of {', '.join(KINDS)}: {SHORTEST} to {LONGEST} characters",
        "source": "the shipped passages; help topics and modules of Python"
        f" {platform.python_version()} ({', '.join(_MODULES)})",
        "licence": "public domain; PSF-2.0",
        "sha256": hashlib.sha256(whole.encode()).hexdigest(),
        "train": len(cut["train"]),
        "test": len(cut["test"]),
        "split": "passages dealt whole, the last fifth of the long texts; as many of each kind",
        "split_seed": split_seed,
    }
    return Stretches(cut["train"], cut["test"], facts)


def _passages(draw: random.Random) -> tuple[str, str]:
    dealt = draw.sample(passages(), len(passages()))
    held_out = round(TEST_SHARE * len(dealt))
    return " ".join(dealt[held_out:]), " ".join(dealt[:held_out])


def _divided(text: str) -> tuple[str, str]:
    end = round((1 - TEST_SHARE) * len(text))
    return text[:end], text[end:]


def _drawn(text: str, count: int, draw: random.Random) -> Sequence[str]:
    found = []
    for _ in range(count):
        length = draw.randint(SHORTEST, LONGEST)
        start = draw.randrange(len(text) - length)
        found.append(text[start : start + length])
    return found


def _documentation() -> str:
    if importlib.util.find_spec("pydoc_data") is None:
        raise _missing("pydoc_data")
    from pydoc_data.topics import topics  # noqa: PLC0415  (large, and not in every Python)

    return " ".join(" ".join(topics[name].split()) for name in sorted(topics))


def _programs() -> str:
    found = []
    for module in _MODULES:
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None or not Path(spec.origin).is_file():
            raise _missing(module)
        found.append(" ".join(Path(spec.origin).read_text(encoding="utf-8").split()))
    return " ".join(found)


def _missing(module: str) -> MissingPart:
    return MissingPart(
        f"this Python has no {module}, whose text is to be classified",
        remedy="use a Python with its whole standard library",
    )
