"""Plain data: what JSON can hold. Its canonical bytes, and their digest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"
else:
    Plain = Any  # a recursive alias has no run-time form; the decoder checks Any as plain data


def canonical(data: object) -> bytes:
    """The one byte string that stands for this data: sorted keys, no spaces, UTF-8, finite.

    Raises:
        ValueError: The data holds NaN or an infinity.
        TypeError: The data is not plain.
    """
    text = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def pretty(data: object) -> bytes:
    """The same data for people: sorted keys, indented, one final newline, finite numbers."""
    text = json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def digest(data: object) -> str:
    """The sha256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(data)).hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
