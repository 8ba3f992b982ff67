"""`campaign.json`: what was asked for, by which code, on which machine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accelbench.harness.bundle.layout import CAMPAIGN
from accelbench.harness.bundle.storage import write_file
from accelbench.harness.errors import BundleError, ConfigError
from accelbench.harness.schema.cell import Cell
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import Plain, pretty


@dataclass(frozen=True)
class Campaign:
    """A campaign as it was asked for.

    Attributes:
        schema: "accelbench.campaign/1".
        id: Unique id.
        suite: Name of the suite.
        overrides: The user's overrides, in order.
        argv: The command line.
        cells: Every resolved cell by name.
        cell_names: The names in the suite's order.
        cell_hashes: The hash of each cell's identity.
        harness_version: Version of the distribution.
        code_sha256: Digest of the sources of every part.
        git: State of the checkouts of the harness and of the working directory.
        machine: Digest that tells this machine from others.
        started_utc: ISO 8601.
        finished_utc: ISO 8601, or None while it runs.
        order: Ids of the records in the order the trials were begun.
    """

    schema: Literal["accelbench.campaign/1"]
    id: str
    suite: str
    overrides: tuple[str, ...]
    argv: tuple[str, ...]
    cells: Mapping[str, Cell]
    cell_names: tuple[str, ...]
    cell_hashes: Mapping[str, str]
    harness_version: str
    code_sha256: str
    git: Mapping[str, Plain]
    machine: str
    started_utc: str
    finished_utc: str | None = None
    order: tuple[str, ...] = ()


def write_campaign(bundle: Path, campaign: Campaign) -> None:
    """Writes `campaign.json`.

    Raises:
        StorageError: The disk refused.
    """
    write_file(bundle / CAMPAIGN, pretty(encode(campaign)))


def read_campaign(bundle: Path) -> Campaign:
    """Reads `campaign.json`.

    Raises:
        BundleError: It is missing, truncated or wrong.
    """
    path = bundle / CAMPAIGN
    try:
        return decode(Campaign, json.loads(path.read_bytes()))
    except FileNotFoundError as error:
        raise BundleError(
            "no campaign.json, so this is no bundle", where=str(bundle), remedy="name a bundle"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"cannot be read as JSON: {error}", where=str(path)) from error
    except ConfigError as error:
        raise BundleError(str(error), where=str(path)) from error
