"""The state of checkouts made for the purpose, also of hostile ones."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from accelbench.harness.environment import git as git_module
from accelbench.harness.environment.git import git_document, git_state
from accelbench.harness.schema.plain import Plain, canonical

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in the checkout `tmp_path/work`, which has one commit."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    work = tmp_path / "work"

    def run(*arguments: str) -> str:
        """Stands in for the real `run`."""
        who = ("-c", "user.name=x", "-c", "user.email=x@host.example")
        command = ["git", *who, *arguments]
        return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout

    (work / "part").mkdir(parents=True)
    (work / "part" / "a.txt").write_text("one\n")
    (work / ".gitignore").write_text("ignored\n")
    run("init", "--quiet", "--initial-branch=main")
    run("add", ".")
    run("commit", "--quiet", "--message=first")
    return run


def state(folder: Path) -> Mapping[str, Plain]:
    """The state of a folder that has one."""
    fact = git_state(folder)
    assert fact.status == "ok", fact.detail
    assert isinstance(fact.value, Mapping)
    return fact.value


def test_a_clean_checkout_is_clean(git: Git, tmp_path: Path) -> None:
    """Commit, branch and place are told; nothing differs."""
    (tmp_path / "work" / "ignored").write_text("x")
    told = state(tmp_path / "work" / "part")
    assert told["commit"] == git("rev-parse", "HEAD").strip()
    assert (told["branch"], told["folder"]) == ("main", "part")
    assert told["dirty"] is False
    assert told["diff_sha256"] == hashlib.sha256(b"").hexdigest()
    assert (told["untracked"], told["tracked"], told["remotes"]) == ([], True, {})


def test_a_change_makes_it_dirty_with_a_digest_of_the_diff(git: Git, tmp_path: Path) -> None:
    """The digest is of what `git diff HEAD` prints, staged or not."""
    (tmp_path / "work" / "part" / "a.txt").write_text("two\n")
    shown = git("diff", "--binary", "--full-index", "HEAD")
    told = state(tmp_path / "work")
    assert told["dirty"] is True
    assert told["diff_sha256"] == hashlib.sha256(shown.encode()).hexdigest()
    git("add", ".")
    assert state(tmp_path / "work") == told


def test_untracked_files_are_listed_with_digests(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links are not followed, large ones not read, and the list has an end; each says so."""
    work = tmp_path / "work"
    (work / "b.txt").write_bytes(b"new")
    (work / "c").symlink_to("/etc/passwd")
    (work / "d.bin").write_bytes(b"0123456789")
    os.mkfifo(work / "e")
    (work / "f.txt").write_text("")
    monkeypatch.setattr(git_module, "LARGEST_UNTRACKED_BYTES", 9)
    monkeypatch.setattr(git_module, "MOST_UNTRACKED", 3)
    told = state(work)
    assert told["dirty"] is True
    assert told["untracked"] == [
        {"path": "b.txt", "sha256": hashlib.sha256(b"new").hexdigest(), "detail": ""},
        {"path": "c", "sha256": hashlib.sha256(b"/etc/passwd").hexdigest(), "detail": ""},
        {"path": "d.bin", "sha256": None, "detail": "too large: 10 bytes"},
    ]
    listed = git("ls-files", "--others", "--exclude-standard").split()
    assert told["untracked_left_out"] == len(listed) - 3


def test_remotes_lose_their_password(git: Git, tmp_path: Path) -> None:
    """The stored address of a remote names host and path only."""
    git("remote", "add", "origin", "https://ada:pl4nted@host.example/repo.git")
    (tmp_path / "work" / "part" / "a.txt").write_text("dirty\n")
    told = state(tmp_path / "work")
    assert told["remotes"] == {"origin": "https://host.example/repo.git"}
    assert "pl4nted" not in canonical(git_document(tmp_path / "work")).decode()


def test_before_the_first_commit_everything_differs_from_nothing(git: Git, tmp_path: Path) -> None:
    """There is no commit to name, but staged files are in the diff."""
    git("update-ref", "-d", "HEAD")
    told = state(tmp_path / "work")
    assert (told["commit"], told["branch"], told["dirty"]) == (None, "main", True)
    assert told["diff_sha256"] != hashlib.sha256(b"").hexdigest()


def test_a_commit_without_a_branch_has_none(git: Git, tmp_path: Path) -> None:
    """A detached head has a commit and no branch."""
    git("checkout", "--quiet", "--detach")
    told = state(tmp_path / "work")
    assert told["branch"] is None
    assert told["commit"]


def test_no_checkout_and_no_git_are_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside a checkout, in no folder and without git there is a reason and no value."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    outside = git_state(tmp_path)
    assert (outside.status, outside.detail) == ("absent", "not in a git checkout")
    assert git_state(tmp_path / "nowhere").detail == "no such folder"
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = git_state(tmp_path)
    assert (missing.status, missing.detail) == ("absent", "git is not installed")


def test_a_git_that_does_not_end_is_an_error(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that takes too long is given up, and the fact says which."""
    git("status")

    def late(*_: object, **__: object) -> None:
        """Stands in for the real `late`."""
        raise subprocess.TimeoutExpired("git", 10.0)

    monkeypatch.setattr(subprocess, "run", late)
    fact = git_state(tmp_path / "work")
    assert (fact.status, fact.detail) == ("error", "git rev-parse took more than 10 s")


def test_a_checkout_of_another_owner_is_denied() -> None:
    """What git does not trust is not read, and no folder is named."""
    refusal = git_module._refusal(
        "rev-parse", 128, b"fatal: detected dubious ownership in '/x/ada'"
    )
    assert isinstance(refusal, PermissionError)
    assert "ada" not in str(refusal)


def test_the_variables_of_a_surrounding_git_do_not_mislead(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a hook, GIT_DIR names another checkout; the folder asked for is read."""
    commit = git("rev-parse", "HEAD").strip()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert state(tmp_path / "work")["commit"] == commit


def test_a_hostile_checkout_runs_nothing(git: Git, tmp_path: Path) -> None:
    """Its monitor, hooks, diff programs and filters stay still while its state is read."""
    work, mark = tmp_path / "work", tmp_path / "mark"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {mark}\ncat\n')
    program.chmod(0o755)
    (work / ".gitattributes").write_text("*.txt filter=evil=x diff=evil\n")
    git("add", ".")
    for key in (
        "core.fsmonitor",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil=x.clean",
        "filter.evil=x.process",
    ):
        git("config", key, str(program))
    git("config", "filter.evil=x.required", "true")
    hooks = work / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "post-index-change").write_text(program.read_text())
    (hooks / "post-index-change").chmod(0o755)
    (work / "part" / "a.txt").write_text("changed\n")
    os.utime(work / ".gitignore", (1, 1))
    told = state(work)
    assert told["dirty"] is True
    assert not mark.exists(), mark.read_text()


def test_accelbench_in_a_foreign_checkout_is_not_of_it(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package installed below someone's project does not claim the project's commit."""
    installed = tmp_path / "work" / "venv"
    installed.mkdir()
    monkeypatch.setattr(git_module, "installed_parts", lambda: {"harness": installed})
    document = git_document(tmp_path / "work")
    assert isinstance(document["harness"], Mapping)
    assert document["harness"]["status"] == "absent"
    monkeypatch.setattr(
        git_module, "installed_parts", lambda: {"harness": tmp_path / "work" / "part"}
    )
    document = git_document(tmp_path / "work")
    assert isinstance(document["harness"], Mapping)
    assert isinstance(document["harness"]["value"], Mapping)
    assert document["harness"]["value"]["commit"] == git("rev-parse", "HEAD").strip()
