"""The tokenizer of a served model, where it lies on this machine."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from accelbench.harness.errors import ConfigError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import file_digest
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.language import pretrained
from accelbench.suites.workloads.requests.prompt_text import Codec

_FILES = ("tokenizer.json", "tokenizer.model")
_WHERE = "workload.tokenizer"


@dataclass(frozen=True)
class Tokenizer:
    """A tokenizer on this machine.

    Attributes:
        path: A Hugging Face folder or a tokenizer.json.
        sha256: Of its file (of a folder, tokenizer.json or tokenizer.model), by which it is
            refused if it is another; empty to take any.
    """

    path: str
    sha256: str = ""

    def file(self) -> Path:
        """The file that holds it.

        Raises:
            ConfigError: There is none.
        """
        place = Path(self.path).expanduser()
        known = [place] if place.is_file() else [place / name for name in _FILES]
        for file in known:
            if file.is_file():
                return file
        raise ConfigError(
            f"{self.path!r} holds no tokenizer ({' or '.join(_FILES)})",
            where=_WHERE,
            remedy="name a Hugging Face folder or a tokenizer.json, or null for none",
        )

    def with_digest(self) -> "Tokenizer":
        """The same, named by the digest of its file.

        Raises:
            ConfigError: There is none, or it is not the one whose digest is given.
        """
        file = self.file()
        with foreign("reading the tokenizer", where=file.name):
            found = file_digest(file)
        if self.sha256 not in ("", found):
            raise ConfigError(
                f"{file.name} of {self.path!r} has the sha256 {found}, not {self.sha256}",
                where=_WHERE,
                remedy="name the tokenizer that is meant, or leave sha256 out",
            )
        return replace(self, sha256=found)

    def fact(self) -> str:
        """What the record tells of it: its name and digest, not its place.

        Raises:
            ConfigError: As `with_digest`.
        """
        name, file = Path(self.path).expanduser().absolute().name, self.file().name
        return f"of {name}, {file} has sha256 {self.with_digest().sha256}"

    def codec(self) -> Codec:
        """What turns text into tokens and back.

        Raises:
            ConfigError: As `with_digest`.
            MissingPart: The library that reads it is not installed.
            ForeignError: It cannot be read.
        """
        return _codec(self)


@cache
def _codec(tokenizer: Tokenizer) -> Codec:
    tokenizer.with_digest()
    file = tokenizer.file()
    require("torch", "transformers")
    from transformers import AutoTokenizer, PreTrainedTokenizerFast  # noqa: PLC0415  (slow to import)

    with foreign("reading the tokenizer", where=file.name):
        if Path(tokenizer.path).expanduser().is_file():
            known = PreTrainedTokenizerFast(tokenizer_file=str(file))
        else:
            known = AutoTokenizer.from_pretrained(file.parent, local_files_only=True)
    return pretrained.codec_of(known, file.name)
