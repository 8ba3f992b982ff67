"""Which machine and which code made a result, told by digests."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from accelbench.harness.environment.cpu import INFO, model, processors
from accelbench.harness.environment.reading import LINUX, Roots, file_fact, prefer, take
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.plain import Plain, digest

PARTS = ("adapters", "cli", "conf", "harness", "reports", "suites")
_CODE = (".csv", ".json", ".py", ".txt", ".yaml")


def machine_id(roots: Roots = LINUX, hostname: Callable[[], str] = platform.node) -> str:
    """A digest that tells one machine from another and names neither host nor person.

    It is the sha256 over the machine's id (or the host's name where it has none), the model of
    the processor and the number of logical processors.

    Args:
        roots: Where the file system begins.
        hostname: Gives the host's name.
    """
    ident = prefer(
        file_fact(roots, "/etc/machine-id", _machine),
        file_fact(roots, "/var/lib/dbus/machine-id", _machine),
        take("hostname", hostname),
    )

    def processor() -> Plain:
        logical = processors(roots.text(INFO))
        return {"model": model(logical[0]), "threads": len(logical)}

    cpu = prefer(
        take(INFO, processor),
        take("platform", lambda: {"model": platform.machine(), "threads": os.cpu_count()}),
    )
    return digest({"about": "accelbench.machine/1", "machine": ident.value, "cpu": cpu.value})


def code_digest(parts: Mapping[str, Path] | None = None) -> str:
    """A digest of the code and configuration of accelbench as it is installed.

    It is the sha256 over each file's place `<part>/<relative path>` and its own sha256, in order
    of the places; *.py, *.yaml, *.json, *.csv and *.txt count.

    Args:
        parts: The folder of each part, by name; the installed ones unless given.

    Raises:
        OSError: A file cannot be read.
    """
    folders = installed_parts() if parts is None else parts
    files = {
        f"{part}/{path.relative_to(folder).as_posix()}": path
        for part, folder in folders.items()
        for path in _code_files(folder)
    }
    whole = hashlib.sha256()
    for place in sorted(files):
        own = hashlib.sha256(files[place].read_bytes()).hexdigest()
        whole.update(f"{place}\0{own}\n".encode())
    return whole.hexdigest()


def installed_parts() -> dict[str, Path]:
    """The folder of each part of accelbench that is installed, by name; nothing is imported."""
    found = {}
    for part in PARTS:
        spec = importlib.util.find_spec(f"accelbench.{part}")
        if spec is not None and spec.submodule_search_locations:
            found[part] = Path(next(iter(spec.submodule_search_locations)))
    return found


def harness_version() -> str:
    """The version of accelbench that is installed, or that bare sources state in pyproject.toml.

    Raises:
        ForeignError: It was not installed, and these are no sources.
    """
    with foreign("reading the version of accelbench", remedy="install it with pip"):
        try:
            return importlib.metadata.version("accelbench")
        except importlib.metadata.PackageNotFoundError:
            path = Path(__file__).resolve().parents[2] / "pyproject.toml"
            if not path.is_file():
                raise
            return str(tomllib.loads(path.read_text())["project"]["version"])


def _machine(text: str) -> str:
    """The id of a machine; a fresh image holds an empty one or the word "uninitialized"."""
    if not re.fullmatch(r"[0-9a-f]{32}", text.strip()):
        raise ValueError("not 32 hexadecimal digits")
    return text.strip()


def _code_files(folder: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            if name.endswith(_CODE):
                yield Path(base, name)
