"""Where everything lies in a bundle."""

from pathlib import Path

MANIFEST = "manifest.json"
CAMPAIGN = "campaign.json"
CRATE = "ro-crate-metadata.json"
ENVIRONMENT = "environment"
RECORDS = "records"
DERIVED = "derived"
CALIBRATION = "calibration"

RECORD = "record.json"
TRACE = "trace"
ARTIFACTS = "artifacts"
LOG = "log.txt"


def record_folder(bundle: Path, cell: str, repeat: int) -> Path:
    """The folder of a finished trial."""
    return bundle / RECORDS / cell / str(repeat)


def partial_folder(bundle: Path, cell: str, repeat: int) -> Path:
    """The folder of a trial that is being done; never part of a sealed bundle."""
    return bundle / RECORDS / cell / f".{repeat}.partial"


def attempt_folder(bundle: Path, cell: str, repeat: int) -> Path:
    """A free name for a failed trial that is being tried again."""
    number = 1
    while (folder := bundle / RECORDS / cell / f"{repeat}.failed-{number}").exists():
        number += 1
    return folder


def is_hidden(relative: Path) -> bool:
    """Whether a path is working state of a running campaign, not part of the bundle."""
    return any(part.startswith(".") for part in relative.parts)
