"""Real weights from a path of this machine: a Hugging Face folder or a GGUF file.

Nothing here ever asks a network.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from accelbench.harness.errors import ConfigError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain, digest, file_digest
from accelbench.suites.workloads.assets import catalogue
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.requests.prompt_text import Codec

ASSET = "asset:"
"""How a path begins that names an asset instead of a place."""

_TOKENIZERS = ("tokenizer.json", "tokenizer.model")


@dataclass(frozen=True)
class Pretrained:
    """Weights, geometry and tokenizer on disk.

    Attributes:
        folder: Where they lie.
        gguf: Name of the GGUF file in it, or None for a Hugging Face folder.
        files: Names of the files that hold weights.
    """

    folder: Path
    gguf: str | None
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the folder or the file, without what lies above it."""
        return self.gguf or self.folder.name

    @property
    def format(self) -> str:
        """How the weights are stored, and what becomes of them."""
        return "GGUF, quantised weights expanded" if self.gguf else "safetensors"

    def sha256(self) -> str:
        """Digest of the weights file; of several, the digest of their digests by name.

        Raises:
            ForeignError: A file cannot be read.
        """
        with foreign("reading the weights", where=self.name):
            each = {name: file_digest(self.folder / name) for name in self.files}
        return each[self.files[0]] if len(each) == 1 else digest(each)


def find(path: str) -> Pretrained:
    """What lies at a path.

    Args:
        path: A .gguf file, a Hugging Face folder, or "asset:NAME" for weights that
            `accelbench models get NAME` brings.

    Raises:
        ConfigError: Nothing is there, or neither a GGUF file nor a folder with config.json,
            safetensors and a tokenizer.
        MissingPart: The asset was not got yet.
        UnknownName: There is no such asset.
    """
    named = path.removeprefix(ASSET)
    place = Path(path).expanduser().absolute() if named == path else catalogue.find(named)
    if not place.exists():
        raise _wrong(path, "does not exist")
    if place.is_file():
        if place.suffix.lower() != ".gguf":
            raise _wrong(path, "is a file, but no .gguf")
        return Pretrained(place.parent, place.name, (place.name,))
    if not (place / "config.json").is_file():
        raise _wrong(path, "holds no config.json")
    files = tuple(sorted(file.name for file in place.glob("*.safetensors")))
    if not files:
        raise _wrong(path, "holds no *.safetensors")
    if not any((place / name).is_file() for name in _TOKENIZERS):
        raise _wrong(path, f"holds no tokenizer ({' or '.join(_TOKENIZERS)})")
    return Pretrained(place, None, files)


@cache
def config(source: Pretrained) -> Any:
    """The model's geometry, as a `transformers` configuration.

    Raises:
        MissingPart: A library that reads this kind of file is not installed.
        ForeignError: The file cannot be understood.
    """
    require_reader(source)
    from transformers import AutoConfig  # noqa: PLC0415  (slow to import)

    with foreign("reading the model's geometry", where=source.name):
        return AutoConfig.from_pretrained(source.folder, **_located(source))


@cache
def tokenizer(source: Pretrained) -> Any:
    """The tokenizer that belongs to the weights.

    Raises:
        MissingPart: A library that reads this kind of file is not installed.
        ForeignError: It cannot be read.
    """
    require_reader(source)
    from transformers import AutoTokenizer  # noqa: PLC0415  (slow to import)

    with foreign("reading the tokenizer", where=source.name):
        return AutoTokenizer.from_pretrained(source.folder, **_located(source))


def model(source: Pretrained) -> Any:
    """The model in float32; quantised GGUF weights are expanded.

    Raises:
        MissingPart: A library that reads this kind of file is not installed.
        ForeignError: It cannot be read.
    """
    require_reader(source)
    import torch  # noqa: PLC0415  (slow to import)
    from transformers import AutoModelForCausalLM, GgufConfig, logging  # noqa: PLC0415  (likewise)

    logging.disable_progress_bar()
    how = {"quantization_config": GgufConfig(dequantize=True)} if source.gguf else {}
    with foreign("loading the weights", where=source.name):
        return AutoModelForCausalLM.from_pretrained(
            source.folder, dtype=torch.float32, **how, **_located(source)
        )


def encode(source: Pretrained, text: str) -> Sequence[int]:
    """Token ids of a text, with whatever the tokenizer puts around it."""
    return _encode(tokenizer(source), source.name, text)


def decode(source: Pretrained, tokens: Sequence[int]) -> str:
    """The text of token ids, without special tokens."""
    return _decode(tokenizer(source), source.name, tokens)


def codec(source: Pretrained) -> Codec:
    """The tokenizer as a pair of functions.

    Raises:
        MissingPart: A library that reads this kind of file is not installed.
        ForeignError: It cannot be read.
    """
    return codec_of(tokenizer(source), source.name)


def codec_of(known: Any, name: str) -> Codec:
    """A tokenizer of `transformers` as a pair of functions.

    Its ids for text are all but special and added ones.

    Args:
        known: The tokenizer.
        name: What it is called in messages.
    """
    special = {*known.all_special_ids, *known.added_tokens_decoder}
    return Codec(
        encode=lambda text: _encode(known, name, text),
        decode=lambda tokens: _decode(known, name, tokens),
        plain=[number for number in range(len(known)) if number not in special],
    )


def save_tokenizer(source: Pretrained, folder: Path) -> None:
    """Writes the tokenizer as `transformers` and vLLM read it.

    Args:
        source: Where it comes from.
        folder: Takes its files.

    Raises:
        ForeignError: It cannot be read or written.
    """
    with foreign("writing the tokenizer", where=source.name):
        tokenizer(source).save_pretrained(folder)


def weight_facts(source: Pretrained | None, drawn: str) -> dict[str, Plain]:
    """What a record tells of the weights of a model and of its tokenizer.

    Args:
        source: Where they lie; None for random ones, with a tokenizer of characters.
        drawn: What random ones are drawn from.

    Raises:
        ForeignError: A file cannot be read.
    """
    if source is None:
        return {
            "weights": "random",
            "weights_source": f"drawn from {drawn}",
            "tokenizer": "characters: Unicode code points below 256",
        }
    return {
        "weights": "real",
        "weights_source": list(source.files),
        "weights_sha256": source.sha256(),
        "weights_format": source.format,
        "tokenizer": f"of {source.name}",
    }


def require_reader(source: Pretrained) -> None:
    """Makes sure that what reads this kind of file is installed.

    Raises:
        MissingPart: It is not.
    """
    require("torch", "torch", "transformers")
    if source.gguf:
        require("gguf", "gguf", "accelerate")


def _encode(known: Any, name: str, text: str) -> Sequence[int]:
    with foreign("encoding a prompt", where=name):
        ids: list[int] = known(text)["input_ids"]
    return ids


def _decode(known: Any, name: str, tokens: Sequence[int]) -> str:
    with foreign("decoding tokens", where=name):
        return str(known.decode(list(tokens), skip_special_tokens=True))


def _located(source: Pretrained) -> dict[str, Any]:
    return {"local_files_only": True} | ({"gguf_file": source.gguf} if source.gguf else {})


def _wrong(path: str, what: str) -> ConfigError:
    return ConfigError(
        f"{path!r} {what}",
        where="workload.path",
        remedy="name a .gguf file, a folder with config.json, *.safetensors and a tokenizer,"
        " or asset:NAME",
    )
