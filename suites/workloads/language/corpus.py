"""Text to learn from and text to be judged by: whole works on either side, cut into windows."""

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.errors import ConfigError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.assets.catalogue import SHAKESPEARE
from accelbench.suites.workloads.requests.passages import PASSAGES
from accelbench.suites.workloads.requests.prompt_text import Codec

Kind: TypeAlias = Literal["all", "prose", "verse", "shakespeare"]

_VERSE = (
    "William Shakespeare",
    "John Milton",
    "Edgar Allan Poe, The Raven",
    "Percy Bysshe Shelley",
    "Samuel Taylor Coleridge",
    "William Blake",
    "William Wordsworth",
)
"""How the titles begin of the shipped works that are poems or plays in verse."""


@dataclass(frozen=True)
class Corpus:
    """A text and how it is divided.

    Attributes:
        kind: All shipped works, those in prose, or those in verse; or the asset "shakespeare", his
            works without most of their punctuation.
        path: A file of text (UTF-8) to take instead; empty for none.
        held_out: Share of the text, in whole works, that is held out for the test.
        split_seed: Seed that draws which works these are.
    """

    kind: Kind = "all"
    path: str = ""
    held_out: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.held_out < 1.0:
            raise ValueError(f"held_out must lie between 0 and 1, got {self.held_out}")
        if self.path and self.kind != "all":
            raise ValueError(f"kind {self.kind!r} is no file: leave text_path out")

    def parts(self) -> tuple[Sequence[str], Sequence[str]]:
        """Texts to learn from and texts held out.

        Of the shipped works each goes to one side whole. A file has no works: its end is held out.

        Raises:
            ConfigError: The file is not there.
            MissingPart: The asset was not got yet.
        """
        if self._file:
            text = _read(self._file)
            cut = round(len(text) * (1.0 - self.held_out))
            return [text[:cut]], [text[cut:]]
        known = {title: text for title, text in works().items() if _chosen(title, self.kind)}
        titles = sorted(known)
        random.Random(self.split_seed).shuffle(titles)  # noqa: S311  (no secret hangs on it)
        wanted = self.held_out * sum(map(len, known.values()))
        kept_back: list[str] = []
        while sum(len(known[title]) for title in kept_back) < wanted:
            kept_back.append(titles.pop())
        return [known[title] for title in titles], [known[title] for title in kept_back]

    def facts(self, train: int, test: int) -> Mapping[str, Plain]:
        """What a record tells of the data.

        Args:
            train: Windows to learn from.
            test: Windows held out.

        Raises:
            ConfigError, MissingPart: As `parts`.
        """
        learned, kept_back = self.parts()
        whole = "\n".join([*learned, *kept_back]).encode()
        return {
            "kind": "real",
            **self._origin(),
            "sha256": sha256(whole).hexdigest(),
            "characters": {
                "train": sum(map(len, learned)),
                "test": sum(map(len, kept_back)),
            },
            "train": train,
            "test": test,
            "split": "the end of the file is held out"
            if self._file
            else f"by work: {len(learned)} are learned from, {len(kept_back)} held out",
            "split_seed": self.split_seed,
            "split_share": self.held_out,
        }

    @property
    def _file(self) -> str:
        return str(SHAKESPEARE.find()) if self.kind == SHAKESPEARE.name else self.path

    def _origin(self) -> Mapping[str, Plain]:
        if self.path:
            name = Path(self.path).name
            return {"name": name, "source": "a file of the user", "licence": "as its owner says"}
        if self.kind == SHAKESPEARE.name:
            told = f"{SHAKESPEARE.package} {SHAKESPEARE.version}"
            return {"name": SHAKESPEARE.summary, "source": told, "licence": SHAKESPEARE.licence}
        return {
            "name": f"openings and passages of English classics: {self.kind}",
            "source": "shipped with accelbench",
            "licence": "public domain",
        }


@cache
def works() -> Mapping[str, str]:
    """The shipped works by author and title: all passages of one as a text."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for block in PASSAGES.read_text(encoding="utf-8").strip().split("\n\n"):
        title, *lines = block.splitlines()
        found[title.removeprefix("# ")].append("\n".join(lines))
    return {title: "\n\n".join(parts) for title, parts in found.items()}


def windows(texts: Sequence[str], codec: Codec, tokens: int) -> NDArray[np.int64]:
    """Texts packed one behind another, two line ends between, and cut into windows.

    No window is padded; what is left at the end is dropped.

    Args:
        texts: What is packed.
        codec: The tokenizer.
        tokens: Tokens of a window.

    Returns:
        Token ids, shape (windows, tokens).

    Raises:
        ConfigError: There is not enough text for one window.
    """
    ids = np.asarray(list(codec.encode("\n\n".join(texts))), dtype=np.int64)
    count = len(ids) // tokens
    if not count:
        raise ConfigError(
            f"the text has {len(ids)} tokens and a window {tokens}",
            where="workload.sequence_tokens",
            remedy="name a longer text, or ask for shorter windows",
        )
    return ids[: count * tokens].reshape(count, tokens)


def _chosen(title: str, kind: Kind) -> bool:
    return kind == "all" or (kind == "verse") == title.startswith(_VERSE)


@cache
def _read(path: str) -> str:
    place = Path(path).expanduser()
    if not place.is_file():
        raise ConfigError(
            f"{path!r} is no file", where="workload.text_path", remedy="name a text in UTF-8"
        )
    with foreign("reading the text", where=place.name):
        return place.read_text(encoding="utf-8")
