"""The installed distributions, each with a digest of what its wheel brought."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from accelbench.harness.environment.redaction import without_credentials
from accelbench.harness.errors import ForeignError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain

PACKAGES_SCHEMA = "accelbench.packages/1"

_INSTALLER_FILES = ("INSTALLER", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json")


@dataclass(frozen=True)
class Origin:
    """Where a distribution came from when it was not an index of packages.

    Attributes:
        url: The address without credentials; withheld for a local folder.
        editable: Whether it is used where its source lies.
        commit: The commit of a version-controlled source.
        sha256: The digest of an archive.
    """

    url: str
    editable: bool
    commit: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Package:
    """One installed distribution.

    Attributes:
        name: Its name.
        version: Its version.
        record_sha256: Sha256 of the sorted lines of its RECORD, without the lines of files that
            the installer wrote: two installations of one wheel agree, wherever they lie.
        origin: Where it came from; None for an index of packages.
        detail: Why a digest or an origin is missing; empty if none is.
    """

    name: str
    version: str
    record_sha256: str | None
    origin: Origin | None
    detail: str = ""


def installed(path: list[str] | None = None) -> tuple[Package, ...]:
    """The distributions that are installed, in order of their names.

    Of several of one name the first on the path counts, as it does for an import; but one without
    a RECORD gives way to a later one of the same version that has it.

    Args:
        path: The folders to search; `sys.path` unless given.
    """
    found: dict[str, Package] = {}
    for distribution in distributions() if path is None else distributions(path=path):
        package = _package(distribution)
        key = package.name.lower().replace("_", "-").replace(".", "-")
        known = found.get(key)
        if known is None or (
            known.version == package.version
            and known.record_sha256 is None
            and package.record_sha256 is not None
        ):
            found[key] = package
    return tuple(found[key] for key in sorted(found))


def packages_document(path: list[str] | None = None) -> Mapping[str, Plain]:
    """The installed distributions as a bundle stores them.

    Args:
        path: The folders to search; `sys.path` unless given.
    """
    return {"schema": PACKAGES_SCHEMA, "packages": encode(installed(path))}


def record_digest(record: str) -> str:
    """The sha256 over the sorted lines of a RECORD that tell of files of the wheel.

    Left out are lines without a hash (compiled files, RECORD itself), scripts outside the
    packages' folder, which hold the path of their interpreter, and the installer's own files.

    Args:
        record: The text of the RECORD; each line is a path, a hash and a size.
    """
    lines = sorted(line for line in record.splitlines() if _from_wheel(line))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _from_wheel(line: str) -> bool:
    path, _, rest = line.rpartition(",")[0].rpartition(",")
    if not rest or path.startswith("../"):
        return False
    folder, _, name = path.rpartition("/")
    return not (folder.endswith(".dist-info") and name in _INSTALLER_FILES)


def _package(distribution: Distribution) -> Package:
    try:
        with foreign("reading a distribution"):
            return _described(distribution)
    except ForeignError as error:
        return Package("(unreadable)", "(unknown)", None, None, str(error))


def _described(distribution: Distribution) -> Package:
    metadata = distribution.metadata
    record = distribution.read_text("RECORD")
    origin, detail = _origin(distribution.read_text("direct_url.json"))
    return Package(
        name=metadata["Name"] or "(unnamed)",
        version=metadata["Version"] or "(unknown)",
        record_sha256=None if record is None else record_digest(record),
        origin=origin,
        detail="it has no RECORD" if record is None else detail,
    )


def _origin(text: str | None) -> tuple[Origin | None, str]:
    """What direct_url.json tells, or why it tells nothing."""
    if text is None:
        return None, ""
    try:
        with foreign("reading direct_url.json"):
            told = json.loads(text)
            origin = Origin(
                url=without_credentials(told["url"]),
                editable=bool(told.get("dir_info", {}).get("editable", False)),
                commit=told.get("vcs_info", {}).get("commit_id"),
                sha256=told.get("archive_info", {}).get("hashes", {}).get("sha256"),
            )
    except ForeignError as error:
        return None, str(error)
    return origin, ""
