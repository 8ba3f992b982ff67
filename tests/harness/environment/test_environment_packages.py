"""The installed distributions and their digests."""

import hashlib
import json
from pathlib import Path

from accelbench.harness.environment.packages import installed, packages_document, record_digest
from accelbench.harness.schema.plain import canonical


def dist(
    folder: Path, name: str, record: str | None, url: object = None, kind: str = "dist"
) -> None:
    """Installs a distribution of version 1 that consists of its metadata."""
    info = folder / f"{name}-1.{kind}-info"
    info.mkdir(parents=True)
    metadata = "METADATA" if kind == "dist" else "PKG-INFO"
    (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    if record is not None:
        (info / "RECORD").write_text(record)
    if url is not None:
        (info / "direct_url.json").write_text(url if isinstance(url, str) else json.dumps(url))


def test_packages_of_this_environment_have_digests() -> None:
    """What is installed here from wheels has a version and a digest of its RECORD."""
    found = {package.name: package for package in installed()}
    for name in ("numpy", "psutil", "pytest"):
        digest = found[name].record_sha256
        assert digest is not None
        assert len(digest) == 64
        assert found[name].version[0].isdigit()


def test_a_digest_is_of_the_wheel_not_of_the_installation() -> None:
    """Order, compiled files, scripts and the installer's own files do not count."""
    wheel = "b.py,sha256=B,1\na.py,sha256=A,1\n"
    ours = (
        "a.py,sha256=A,1\n__pycache__/a.pyc,,\n../../bin/tool,sha256=X,9\n"
        "p-1.dist-info/INSTALLER,sha256=Y,4\np-1.dist-info/RECORD,,\nb.py,sha256=B,1\n"
    )
    assert record_digest(wheel) == record_digest(ours)
    assert record_digest(wheel) == hashlib.sha256(b"a.py,sha256=A,1\nb.py,sha256=B,1").hexdigest()
    assert record_digest(wheel) != record_digest("b.py,sha256=B,1\na.py,sha256=C,1\n")


def test_an_origin_is_told_without_credentials(tmp_path: Path) -> None:
    """Editable, commit and archive digest are kept; passwords and local folders are not."""
    dist(tmp_path, "local", "", {"url": "file:///home/ada/x", "dir_info": {"editable": True}})
    vcs = {"url": "https://ada:pl4nted@host.example/x", "vcs_info": {"commit_id": "abc"}}
    dist(tmp_path, "vcs", "", vcs)
    archive = {"url": "https://host.example/x.whl", "archive_info": {"hashes": {"sha256": "d1"}}}
    dist(tmp_path, "wheel", "", archive)
    dist(tmp_path, "broken", "", "{not json")
    found = {package.name: package for package in installed([str(tmp_path)])}
    local, vcs_origin, wheel = (found[name].origin for name in ("local", "vcs", "wheel"))
    assert local is not None
    assert vcs_origin is not None
    assert wheel is not None
    assert (local.url, local.editable) == ("(withheld)", True)
    assert (vcs_origin.url, vcs_origin.commit) == ("https://host.example/x", "abc")
    assert (vcs_origin.editable, wheel.sha256) == (False, "d1")
    assert found["broken"].origin is None
    assert "direct_url.json" in found["broken"].detail
    stored = canonical(packages_document([str(tmp_path)])).decode()
    assert "ada" not in stored
    assert "pl4nted" not in stored


def test_no_record_is_told(tmp_path: Path) -> None:
    """Without a RECORD there is no digest but a reason."""
    dist(tmp_path, "bare", None)
    (package,) = installed([str(tmp_path)])
    assert (package.record_sha256, package.detail) == (None, "it has no RECORD")


def test_of_two_copies_the_first_counts_unless_only_the_second_has_a_record(tmp_path: Path) -> None:
    """The path decides, but the metadata a source folder holds gives way to the installation."""
    first, second = tmp_path / "source", tmp_path / "site"
    dist(first, "mine", None, kind="egg")
    dist(second, "mine", "a.py,sha256=A,1\n")
    dist(first, "other", "a.py,sha256=A,1\n")
    dist(second, "other", "a.py,sha256=B,1\n")
    mine, other = installed([str(first), str(second)])
    assert mine.record_sha256 == record_digest("a.py,sha256=A,1\n")
    assert other.record_sha256 == record_digest("a.py,sha256=A,1\n")


def test_an_unreadable_distribution_does_not_hide_the_others(tmp_path: Path) -> None:
    """Garbage in one folder is one entry that says so."""
    dist(tmp_path, "good", "a.py,sha256=A,1\n")
    dist(tmp_path, "garbage", None)
    (tmp_path / "garbage-1.dist-info" / "RECORD").write_bytes(b"\xff\xfe")
    found = {package.name: package for package in installed([str(tmp_path)])}
    assert found["good"].record_sha256
    assert "UnicodeDecodeError" in found["(unreadable)"].detail
