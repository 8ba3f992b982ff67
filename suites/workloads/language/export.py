"""Models as Hugging Face folders, and the tokenizer of those that have none: one of characters.

A token is a Unicode character below 256, so that every id decodes to one character and a server
that streams text never holds one back to wait for the rest of it. For ASCII this is UTF-8.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.extras import require
from accelbench.suites.workloads.requests.prompt_text import Codec

CHARACTERS = 256
_UNKNOWN = "?"


def known_characters(text: str) -> str:
    """A text with a question mark for each character that has no token."""
    return text.encode("latin-1", "replace").decode("latin-1")


CHARACTER_CODEC = Codec(
    encode=lambda text: text.encode("latin-1", "replace"),
    decode=lambda ids: bytes(ids).decode("latin-1"),
    plain=range(ord(" "), ord("~") + 1),
)
"""The tokenizer of characters; random tokens are printable ASCII."""


def text_of(ids: Sequence[int]) -> str:
    """What the tokenizer of characters makes of token ids, those beyond characters too."""
    return "".join(chr(code) if code < CHARACTERS else _unused(code) for code in ids)


def _unused(code: int) -> str:
    return f"<unused_{code}>"


def save_character_tokenizer(folder: Path, vocab: int, longest: int) -> None:
    """Writes the tokenizer of characters, as `transformers` and vLLM read it.

    Args:
        folder: Takes tokenizer.json and tokenizer_config.json.
        vocab: Entries of the model's vocabulary; those from 256 on have names that no text has.
        longest: Most tokens of a sequence.

    Raises:
        MissingPart: The library is not installed.
        ForeignError: The files cannot be written.
    """
    require("torch", "tokenizers")
    from tokenizers import Tokenizer, decoders, models  # noqa: PLC0415  (of the extra)

    names = {chr(code): code for code in range(CHARACTERS)}
    unused = {_unused(code): code for code in range(CHARACTERS, vocab)}
    tokenizer = Tokenizer(models.BPE(vocab=names | unused, merges=[], unk_token=_UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
        "chat_template": "{% for message in messages %}{{ message['content'] }}{% endfor %}",
    }
    with foreign("writing the tokenizer", where=str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))
        written = json.dumps(told, indent=2, sort_keys=True) + "\n"
        (folder / "tokenizer_config.json").write_text(written, encoding="utf-8")


def save_model(model: Any, folder: Path, dtype: str) -> None:
    """Writes a model's configuration and weights; the same model makes the same files.

    Args:
        model: Of `transformers`.
        folder: Takes config.json, generation_config.json and model.safetensors.
        dtype: Its numbers, "float32" or "bfloat16".

    Raises:
        ForeignError: The files cannot be written.
    """
    import torch  # noqa: PLC0415  (slow to import)
    from transformers import logging  # noqa: PLC0415  (likewise)

    logging.disable_progress_bar()
    with foreign("writing the weights", where=str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
        model.to(getattr(torch, dtype)).save_pretrained(folder)


def without_end(model: Any) -> Any:
    """The same model with no token that ends a text, so that a server does not stop at one."""
    for settings in (model.config, model.generation_config):
        for role in ("bos", "eos", "pad"):
            setattr(settings, f"{role}_token_id", None)
    return model
