"""The manifest: every file of a bundle with its sha256 and size, in canonical bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelbench.harness.bundle.layout import MANIFEST, is_hidden
from accelbench.harness.bundle.storage import storing, write_file
from accelbench.harness.errors import BundleError, ConfigError
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import canonical, digest, file_digest


@dataclass(frozen=True)
class FileEntry:
    """One file.

    Attributes:
        sha256: Digest of its bytes.
        size: Its bytes.
    """

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """All files of a bundle.

    Attributes:
        schema: "accelbench.manifest/1".
        id: The bundle's id: sha256 of the canonical manifest without this field.
        files: By path relative to the bundle, with "/".
    """

    schema: Literal["accelbench.manifest/1"]
    id: str
    files: Mapping[str, FileEntry]


def bundle_id(files: Mapping[str, FileEntry]) -> str:
    """The id that a bundle with these files has."""
    return digest({"schema": "accelbench.manifest/1", "files": encode(files)})


def files_of(bundle: Path) -> list[str]:
    """Every file that belongs to a bundle, but for the manifest, sorted.

    Raises:
        StorageError: The folder cannot be read.
    """
    with storing(bundle):
        return sorted(
            relative.as_posix()
            for path in bundle.rglob("*")
            if path.is_file() or path.is_symlink()
            if not is_hidden(relative := path.relative_to(bundle))
            if relative.as_posix() != MANIFEST
        )


def entry(bundle: Path, relative: str) -> FileEntry:
    """The entry of one file as it is now.

    Raises:
        OSError: The file cannot be read.
    """
    path = bundle / relative
    return FileEntry(file_digest(path), path.stat().st_size)


def seal(bundle: Path) -> Manifest:
    """Writes the manifest of all files as they are now.

    Raises:
        StorageError: The disk refused.
    """
    with storing(bundle):
        files = {relative: entry(bundle, relative) for relative in files_of(bundle)}
    manifest = Manifest("accelbench.manifest/1", bundle_id(files), files)
    write_file(bundle / MANIFEST, canonical(encode(manifest)))
    return manifest


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of a bundle.

    Raises:
        BundleError: There is none to read.
    """
    path = bundle / MANIFEST
    try:
        return decode(Manifest, json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise BundleError(
            "no manifest.json, so this is no finished bundle",
            where=str(bundle),
            remedy="name a bundle's folder, or finish the campaign with the command that began it",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    except ConfigError as error:
        raise BundleError(str(error), where=str(path)) from error
