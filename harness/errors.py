"""Every error of accelbench, each one line: what happened, where, what to do.

AccelbenchError
├── RequestError        the request was wrong (exit code 2)
│   ├── UnknownName     no such suite, workload, adapter, metric ...
│   ├── ConfigError     a key, type or value in a configuration
│   ├── OutputRefused   an output folder that is not ours to write
│   └── MissingPart     a chosen part whose extra is not installed
├── BundleError         a bundle or trace that cannot be read
├── StorageError        the disk refused: full, read-only, gone
├── TrialError          a trial could not be done; it becomes a failed record
└── ForeignError        someone else's code raised (see `accelbench.harness.foreign`)
"""


class AccelbenchError(Exception):
    """An error told in one line.

    Attributes:
        what: What happened.
        where: The file, key or cell it happened in; may be empty.
        remedy: What to do about it; may be empty.
        exit_code: The exit code of a command that ends with this error.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return " ".join(f"{place}{self.what}{remedy}".split())


class RequestError(AccelbenchError):
    """The request was wrong; nothing was done."""

    exit_code = 2


class UnknownName(RequestError):  # noqa: N818  (the name says what is wrong)
    """A name that nothing installed answers to."""


class ConfigError(RequestError):
    """A key, a type or a value of a configuration is wrong."""


class OutputRefused(RequestError):  # noqa: N818
    """An output folder that is not ours, not writable, or holds something else."""


class MissingPart(RequestError):  # noqa: N818
    """A chosen part whose extra is not installed; the remedy names the `pip install`."""


class BundleError(AccelbenchError):
    """A bundle, record or trace cannot be read; the exit code is 2 where nothing can be."""

    exit_code = 2


class StorageError(AccelbenchError):
    """The disk refused to store something; what was finished before is kept."""


class TrialError(AccelbenchError):
    """A trial could not be done; it becomes a failed record with this reason."""


class ForeignError(AccelbenchError):
    """Someone else's code raised an exception."""
