"""The user's own sheet of this machine: where it lies, and when it holds.

`accelbench run peaks` measures the machine and puts the sheet into the user's configuration;
from then on every cell on the platform `this_host` is held against it. A sheet that was measured on
another machine, or cannot be read, is not used, and the sheet that is says so.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.host_sheet import HOST, HOST_FILE, machine_note
from accelbench.harness.environment.cpu import cpu_facts
from accelbench.harness.environment.reading import LINUX
from accelbench.harness.errors import AccelbenchError, StorageError
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.platform import Platform

SUITE = "peaks"


def sheet_path(family: str = "cpu") -> Path:
    """Where the user's sheet of this machine lies, whether it is there or not.

    Args:
        family: That of the device whose figures it holds: "cpu" or "gpu".
    """
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    name = HOST if family == "cpu" else f"{HOST}_{family}"
    return Path(base) / "accelbench" / "platform" / f"{name}.yaml"


def with_measured(platform: Mapping[str, Any], device: str = "cpu") -> Mapping[str, Any]:
    """A platform preset, replaced by what was measured if it is that of this machine.

    Args:
        platform: A preset as plain data.
        device: Where the work is done: "cpu", or "cuda" for a GPU, which has a sheet of its own.
    """
    if platform.get("name") != HOST:
        return platform
    path = sheet_path("cpu" if device == "cpu" else "gpu")
    how = f"accelbench run {SUITE}" + ("" if device == "cpu" else f" adapter.device={device}")
    if not path.is_file():
        return _unused(platform, f"not measured: {how}")
    try:
        sheet = decode(Platform, json.loads(path.read_bytes()), str(path))
    except (AccelbenchError, OSError, ValueError):
        return _unused(platform, f"not measured: the sheet in {path.name} cannot be read; {how}")
    if machine_note(_facts()) not in sheet.notes:
        return _unused(
            platform, f"not measured: the sheet in {path.name} is of another machine; {how}"
        )
    told = encode(sheet)
    assert isinstance(told, Mapping)
    return told


def keep_measured(bundle: Path) -> Path | None:
    """Makes the sheet of a bundle the user's own; returns where it lies, None if it has none.

    Args:
        bundle: The folder of a finished bundle, measured on this machine.

    Raises:
        StorageError: It cannot be written.
    """
    source = bundle / HOST_FILE
    if not source.is_file():
        return None
    path = sheet_path(json.loads(source.read_bytes())["family"])
    beside = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, beside)
        beside.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot keep the sheet of this machine: {error.strerror}", where=str(path)
        ) from error
    return path


def _unused(platform: Mapping[str, Any], why: str) -> Mapping[str, Any]:
    return {**platform, "sources": [why]}


def _facts() -> Mapping[str, Any]:
    return {name: fact.value for name, fact in cpu_facts(LINUX).items()}
