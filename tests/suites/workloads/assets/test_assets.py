"""Weights and data sets out of packages: whole and checked, or not there."""

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from accelbench.harness.errors import ForeignError, MissingPart, StorageError, UnknownName
from accelbench.harness.run import registry
from accelbench.suites.workloads.assets import wheel
from accelbench.suites.workloads.assets.asset import Asset
from accelbench.suites.workloads.assets.cache import Member, shelf
from accelbench.suites.workloads.assets.catalogue import ASSETS, asset, find

_FILES = {"carrier/data/table.csv": b"1,2,3\n", "carrier/data/more/names.txt": b"a\nb\n"}


def _member(path: str) -> Member:
    held = _FILES[path]
    return Member(path, len(held), hashlib.sha256(held).hexdigest())


CARRIED = Asset(
    name="carried",
    kind="data",
    summary="two small files",
    licence="CC0-1.0",
    package="carrier",
    version="1.0",
    members=tuple(_member(path) for path in _FILES),
)


@pytest.fixture(autouse=True)
def _index(tmp_path, monkeypatch):
    """A package index that is a folder, and a cache of this test alone."""
    index = tmp_path / "index"
    index.mkdir()
    about = "carrier-1.0.dist-info"
    with zipfile.ZipFile(index / "carrier-1.0-py3-none-any.whl", "w") as packed:
        for path, held in _FILES.items():
            packed.writestr(path, held)
        packed.writestr("carrier/__init__.py", "raise SystemExit('code of the package ran')\n")
        packed.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        packed.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr(f"{about}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _left() -> set[str]:
    """What lies on the shelf, but for locks."""
    return {item.name for item in shelf().iterdir() if item.suffix != ".lock"}


def test_the_files_are_taken_out_of_the_package_and_nothing_else_is(monkeypatch):
    """A second time nothing is asked of any index; the path is the folder of the files."""
    assert not CARRIED.here()
    assert CARRIED.get()
    assert CARRIED.find() == CARRIED.path
    found = {item.name: item.read_bytes() for item in CARRIED.path.iterdir()}
    del found[".checked.json"]
    assert found == {"table.csv": b"1,2,3\n", "names.txt": b"a\nb\n"}
    assert _left() == {"carried"}
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert not CARRIED.get()


def test_an_asset_of_one_file_is_that_file():
    """Builders take a path of a file."""
    one = replace(CARRIED, members=CARRIED.members[:1])
    one.get()
    assert one.find().read_bytes() == b"1,2,3\n"


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"size_bytes": 7}])
def test_another_file_in_its_place_is_refused_and_nothing_is_kept(wrong):
    """The line names the file and both digests or sizes."""
    spoiled = replace(CARRIED, members=(replace(CARRIED.members[0], **wrong),))
    with pytest.raises(ForeignError, match=r"table\.csv is not the file that is known"):
        spoiled.get()
    assert _left() == set()


def test_a_package_without_the_file_says_so():
    """The line names the file."""
    lacking = replace(CARRIED, members=(Member("carrier/none.csv", 1, "0" * 64),))
    with pytest.raises(ForeignError, match=r"carrier/none\.csv"):
        lacking.get()
    assert _left() == set()


def test_what_is_not_there_names_the_command_that_brings_it():
    """A builder ends with the remedy."""
    with pytest.raises(MissingPart, match="accelbench models get carried"):
        CARRIED.find()


def test_a_changed_file_is_noticed_and_brought_again():
    """Of the same size and changed at another time, it is read through."""
    CARRIED.get()
    path = CARRIED.path / "table.csv"
    path.write_bytes(b"1,2,4\n")
    with pytest.raises(MissingPart, match=r"table\.csv is not the file"):
        CARRIED.find()
    assert CARRIED.get()
    assert path.read_bytes() == b"1,2,3\n"
    assert _left() == {"carried"}


def test_a_copied_folder_is_read_through_and_taken():
    """Other times of change are no fault where the digests hold."""
    CARRIED.get()
    os.utime(CARRIED.path / "table.csv", (1, 1))
    assert CARRIED.find() == CARRIED.path


def test_no_index_and_no_such_package_is_one_line(monkeypatch):
    """What pip says last, and what to do."""
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(ForeignError, match="No matching distribution") as caught:
        CARRIED.get()
    assert "package index" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert _left() == set()


def test_without_pip_the_remedy_is_ensurepip(monkeypatch):
    """Some environments are made without it."""
    monkeypatch.setattr(wheel.PathFinder, "find_spec", lambda _: None)
    with pytest.raises(MissingPart, match="ensurepip"):
        CARRIED.get()


def test_a_full_disk_is_told_and_leaves_nothing(monkeypatch):
    """The half-written folder goes."""

    def full(descriptor: int) -> None:
        """Stands in for the real `fsync`."""
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="free some space"):
        CARRIED.get()
    assert _left() == set()


def _pip(tmp_path, error):
    """The folder of a pip that ends with an error that it did not expect."""
    package = tmp_path / "stand-in" / "pip"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        f"import sys\nprint('ERROR: Exception:', file=sys.stderr)\nraise {error}\n"
    )
    return str(package.parent)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_while_pip_works_is_told_as_such(monkeypatch, tmp_path, code):
    """Not as an index that is out of reach; the stand-in says what pip says then."""
    monkeypatch.setenv("PYTHONPATH", _pip(tmp_path, f"OSError({code}, 'in some language')"))
    with pytest.raises(StorageError, match="free some"):
        CARRIED.get()
    assert _left() == set()


def test_what_pip_does_not_expect_is_told_by_its_exception(monkeypatch, tmp_path):
    """The last line of its traceback."""
    monkeypatch.setenv("PYTHONPATH", _pip(tmp_path, "ValueError('a fault')"))
    with pytest.raises(ForeignError, match="pip download: ValueError: a fault"):
        CARRIED.get()


def test_what_lies_on_a_read_only_disk_is_here():
    """Neither lock nor note can be written; folders in their place refuse as such a disk does."""
    CARRIED.get()
    (CARRIED.path / "..checked.json.tmp").mkdir()
    lock = shelf() / ".carried.lock"
    lock.unlink()
    lock.mkdir()
    os.utime(CARRIED.path / "table.csv", (1, 1))
    assert not CARRIED.get()
    assert CARRIED.find() == CARRIED.path
    (CARRIED.path / "table.csv").write_bytes(b"1,2,4\n")
    with pytest.raises(StorageError, match="lock"):
        CARRIED.get()


def test_what_a_killed_process_left_is_cleared():
    """It never stood in the asset's place, and the next one begins anew."""
    stale = shelf() / ".carried.partial" / "ready"
    stale.mkdir(parents=True)
    (stale / "table.csv").write_bytes(b"1,")
    assert CARRIED.get()
    assert _left() == {"carried"}


def test_an_interrupted_command_leaves_nothing_and_says_so():
    """An index that never answers; the command is terminated while pip waits for it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        env = {**os.environ, "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple"}
        del env["PIP_NO_INDEX"]
        words = [sys.executable, "-m", "accelbench.cli.main", "models", "get", "cora"]
        with subprocess.Popen(words, env=env, stderr=subprocess.PIPE, text=True) as command:
            silent.settimeout(60)
            waiting = silent.accept()[0]
            with waiting:
                assert _left() == {".cora.partial"}
                command.send_signal(signal.SIGTERM)
                said = command.communicate(timeout=30)[1]
    assert command.returncode == 1
    assert said.splitlines()[-1] == "accelbench: interrupted"
    assert _left() == set()


def test_two_at_once_bring_it_once():
    """The second waits for the first, and finds it there."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from test_assets import CARRIED; print(CARRIED.get())"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert sorted(one.communicate(timeout=60)[0].strip() for one in both) == ["False", "True"]


@pytest.mark.parametrize("name", ["weights.pth", "table.npy", "run.py"])
def test_files_that_can_run_code_are_no_assets(name):
    """Pickled arrays among them."""
    with pytest.raises(ValueError, match="could run code"):
        replace(CARRIED, members=(Member(f"carrier/{name}", 1, "0" * 64),))


def test_two_files_of_one_name_are_no_asset():
    """They would lie in one place."""
    twice = Member("carrier/other/table.csv", 1, "0" * 64)
    with pytest.raises(ValueError, match="another name"):
        replace(CARRIED, members=(*CARRIED.members, twice))


def test_the_catalogue_is_what_the_command_line_finds():
    """Each asset has an entry point of its name."""
    entries = {name: registry.load("assets", name) for name in registry.names("assets")}
    assert entries == dict(ASSETS)
    for one in ASSETS.values():
        assert one.licence
        assert all(len(member.sha256) == 64 for member in one.members)
        assert one.facts()["source"] == f"{one.package} {one.version} (PyPI)"


def test_a_misspelled_asset_is_told_the_nearest():
    """Builders and commands alike."""
    with pytest.raises(UnknownName, match="did you mean 'cora'"):
        find("corra")
    assert asset("cora").kind == "data"
