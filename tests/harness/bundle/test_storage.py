"""Files are whole or not there."""

import errno
import os
from pathlib import Path

import pytest

from accelbench.harness.bundle.storage import settle, write_file
from accelbench.harness.errors import StorageError


def test_a_full_disk_leaves_the_old_file_and_says_what_to_do(tmp_path, monkeypatch):
    """The error names the file and the remedy; nothing half-written stays."""
    path = tmp_path / "record.json"
    path.write_bytes(b"old")

    def full(descriptor: int) -> None:
        """Stands in for the real `full`."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        write_file(path, b"new")
    assert "free some space" in str(caught.value)
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["record.json"]


def test_a_finished_folder_appears_whole(tmp_path):
    """The folder is renamed, with all it holds."""
    partial = tmp_path / ".0.partial"
    write_file(partial / "trace" / "a", b"1")
    settle(partial, tmp_path / "0")
    assert (tmp_path / "0/trace/a").read_bytes() == b"1"
    assert not partial.exists()


def test_a_folder_that_is_there_is_not_overwritten(tmp_path):
    """A finished trial is never replaced."""
    for name in (".0.partial", "0"):
        write_file(tmp_path / name / "a", name.encode())
    with pytest.raises(StorageError):
        settle(tmp_path / ".0.partial", tmp_path / "0")
    assert (Path(tmp_path) / "0/a").read_bytes() == b"0"
