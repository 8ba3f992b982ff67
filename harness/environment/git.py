"""The state of the git checkout that a folder lies in, read without running its own programs."""

import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

from accelbench.harness.environment.identity import installed_parts
from accelbench.harness.environment.reading import AbsentError, Fact, take
from accelbench.harness.environment.redaction import without_credentials
from accelbench.harness.schema.decode import encode
from accelbench.harness.schema.plain import Plain, file_digest

GIT_SCHEMA = "accelbench.git/1"
TIME_LIMIT_S = 10.0
MOST_UNTRACKED = 1000
LARGEST_UNTRACKED_BYTES = 16 * 1024**2
MOST_UNTRACKED_BYTES = 64 * 1024**2

# What a checkout's own configuration could run, switched off.
_SAFE = ("core.fsmonitor=false", "core.hooksPath=/dev/null")
_SAFE_ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "LC_ALL": "C",
}
_FILTERS = r"^filter\..*\.(clean|smudge|process|required)$"
_DIFF = (
    *("diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--no-color"),
    *("--binary", "--full-index", "--no-renames", "--no-relative", "--unified=3"),
    *("--diff-algorithm=myers", "--src-prefix=a/", "--dst-prefix=b/"),
)


@dataclass(frozen=True)
class Untracked:
    """A file that git neither tracks nor ignores.

    Attributes:
        path: Its place in the checkout.
        sha256: Digest of its content, or of where it points if it is a link.
        detail: Why there is no digest; empty if there is one.
    """

    path: str
    sha256: str | None
    detail: str = ""


@dataclass(frozen=True)
class Checkout:
    """The state of a checkout.

    Attributes:
        commit: The commit checked out; None before the first one.
        branch: The branch; None if a commit is checked out without one.
        dirty: Whether a tracked file differs from the commit or an untracked one lies there.
        diff_sha256: Digest of what `git diff HEAD` prints; the work inside submodules is left out.
        untracked: The first `MOST_UNTRACKED` files neither tracked nor ignored.
        untracked_left_out: How many more there are.
        remotes: Address of each remote by name, without credentials.
        folder: The folder's place in the checkout; "." for its top.
        tracked: Whether the checkout tracks anything in the folder.
    """

    commit: str | None
    branch: str | None
    dirty: bool
    diff_sha256: str
    untracked: tuple[Untracked, ...]
    untracked_left_out: int
    remotes: Mapping[str, str]
    folder: str
    tracked: bool


def git_state(folder: Path) -> Fact:
    """The state of the checkout that a folder lies in, a `Checkout` in plain data.

    Absent if git is not installed or the folder is in no checkout; denied if git does not trust
    the checkout's owner.

    Args:
        folder: Any folder.
    """
    return take("git", lambda: encode(_checkout(folder)))


def git_document(working_directory: Path) -> Mapping[str, Plain]:
    """The git states of accelbench's own source and of the working directory, as stored.

    Args:
        working_directory: The folder a campaign was started in.
    """
    return {
        "schema": GIT_SCHEMA,
        "harness": encode(_own_state(installed_parts()["harness"])),
        "working_directory": encode(git_state(working_directory)),
    }


def _own_state(harness: Path) -> Fact:
    """A package installed in someone's checkout is not of that checkout unless tracked there."""
    state = git_state(harness)
    if isinstance(state.value, Mapping) and not state.value["tracked"]:
        detail = "accelbench is not part of the checkout it lies in"
        return Fact(None, state.source, "absent", detail)
    return state


def _checkout(folder: Path) -> Checkout:
    if not folder.is_dir():
        raise AbsentError("no such folder")
    git = _Git(folder, {})
    top = Path(_text(git, "rev-parse", "--show-toplevel"))
    place = _text(git, "rev-parse", "--show-prefix")
    git = _Git(top, _without_filters(git))
    commit = _maybe(git, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    with git.output(*_DIFF, commit or _empty_tree(git), "--") as diff:
        changed = os.fstat(diff.fileno()).st_size > 0
        diff_sha256 = hashlib.file_digest(diff, "sha256").hexdigest()
    names = _lines(git, "ls-files", "--others", "--exclude-standard", "-z")
    return Checkout(
        commit=commit,
        branch=_maybe(git, "symbolic-ref", "--quiet", "--short", "HEAD"),
        dirty=changed or bool(names),
        diff_sha256=diff_sha256,
        untracked=tuple(_untracked(top, sorted(names)[:MOST_UNTRACKED])),
        untracked_left_out=max(0, len(names) - MOST_UNTRACKED),
        remotes=_remotes(git),
        folder=_printable(place.rstrip("/")) or ".",
        tracked=bool(_lines(git, "ls-files", "-z", "--", place or ".")),
    )


@dataclass(frozen=True)
class _Git:
    """Runs git in a folder, with nothing of the caller's GIT_* variables."""

    folder: Path
    environment: Mapping[str, str]

    @contextmanager
    def output(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> Iterator[BufferedRandom]:
        """What git prints, however much, as a file at its beginning."""
        options = [word for setting in _SAFE for word in ("-c", setting)]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as complaints:
            try:
                done = subprocess.run(
                    ["git", *options, *arguments],  # noqa: S607  (the git of the search path)
                    cwd=self.folder,
                    env={**inherited, **_SAFE_ENVIRONMENT, **self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=complaints,
                    timeout=TIME_LIMIT_S,
                    check=False,
                )
            except FileNotFoundError as error:
                raise AbsentError("git is not installed") from error
            except subprocess.TimeoutExpired as error:
                raise TimeoutError(
                    f"git {arguments[0]} took more than {TIME_LIMIT_S:g} s"
                ) from error
            if done.returncode not in allowed:
                complaints.seek(0)
                raise _refusal(arguments[0], done.returncode, complaints.read(4096))
            out.seek(0)
            yield out


def _refusal(command: str, code: int, complaint: bytes) -> Exception:
    """What git's complaint means; its words are dropped, for they may name a person's folder."""
    if b"not a git repository" in complaint or b"must be run in a work tree" in complaint:
        return AbsentError("not in a git checkout")
    if b"dubious ownership" in complaint:
        return PermissionError("git does not trust the owner of the checkout")
    return OSError(f"git {command} ended with exit code {code}")


def _text(git: _Git, *arguments: str) -> str:
    with git.output(*arguments) as out:
        return os.fsdecode(out.read()).removesuffix("\n")


def _lines(git: _Git, *arguments: str, allowed: tuple[int, ...] = (0,)) -> list[str]:
    """What git prints with `-z`: texts that each end with a NUL."""
    with git.output(*arguments, allowed=allowed) as out:
        return os.fsdecode(out.read()).split("\0")[:-1]


def _maybe(git: _Git, *arguments: str) -> str | None:
    with git.output(*arguments, allowed=(0, 1)) as out:
        return _printable(os.fsdecode(out.read()).strip()) or None


def _empty_tree(git: _Git) -> str:
    return _text(git, "hash-object", "-t", "tree", "/dev/null")


def _without_filters(git: _Git) -> dict[str, str]:
    """Variables that empty each content filter which the checkout itself configures.

    Filters of the user's own configuration, such as those of large-file storage, are left.
    """
    names: set[str] = set()
    for scope in ("--local", "--worktree"):
        where = ("config", scope, "--includes", "--name-only", "-z", "--get-regexp", _FILTERS)
        names.update(_lines(git, *where, allowed=(0, 1)))
    variables = {"GIT_CONFIG_COUNT": str(len(names))}
    for n, name in enumerate(sorted(names)):
        variables[f"GIT_CONFIG_KEY_{n}"] = name
        variables[f"GIT_CONFIG_VALUE_{n}"] = "false" if name.endswith(".required") else ""
    return variables


def _remotes(git: _Git) -> dict[str, str]:
    pattern = r"^remote\..*\.url$"
    pairs = _lines(git, "config", "-z", "--get-regexp", pattern, allowed=(0, 1))
    remotes = {}
    for pair in pairs:
        key, _, url = pair.partition("\n")
        name = key.removeprefix("remote.").removesuffix(".url")
        remotes[_printable(name)] = _printable(without_credentials(url))
    return remotes


def _untracked(top: Path, names: list[str]) -> Iterator[Untracked]:
    left = MOST_UNTRACKED_BYTES
    for name in names:
        path = top / name
        try:
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                target = os.fsencode(path.readlink())
                yield Untracked(_printable(name), hashlib.sha256(target).hexdigest())
            elif not stat.S_ISREG(status.st_mode):
                yield Untracked(_printable(name), None, "not a plain file")
            elif status.st_size > min(left, LARGEST_UNTRACKED_BYTES):
                yield Untracked(_printable(name), None, f"too large: {status.st_size} bytes")
            else:
                left -= status.st_size
                yield Untracked(_printable(name), file_digest(path))
        except OSError as error:
            yield Untracked(_printable(name), None, error.strerror or "it cannot be read")


def _printable(name: str) -> str:
    return os.fsencode(name).decode(errors="backslashreplace")
