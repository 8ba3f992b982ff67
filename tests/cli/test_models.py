"""`accelbench models get`, on the command line."""

import json

from accelbench.cli import models
from accelbench.suites.workloads.assets.asset import Asset
from accelbench.suites.workloads.assets.cache import Member, note, shelf

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
PUT = Asset(
    "put", "weights", "an empty file", "CC0-1.0", "none", "1.0", (Member("a/b", 0, _EMPTY),)
)


def test_what_is_here_is_told_at_once(monkeypatch, tmp_path, capsys):
    """Path last, licence before it; as JSON with every digest."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(models.registry, "load", lambda *_: PUT)
    (shelf() / "put").mkdir(parents=True)
    PUT.path.touch()
    note(shelf() / "put", PUT.members)
    asked = models.argparse.Namespace(name="put", json=False)
    assert models.command(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "CC0-1.0" in lines[0]
    assert lines[-1] == str(PUT.path)
    asked.json = True
    assert models.command(asked) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "accelbench.models/1"
    assert (document["brought"], document["path"]) == (False, str(PUT.path))
    assert document["files"] == [{"name": "b", "size_bytes": 0, "sha256": _EMPTY}]


def test_a_misspelled_name_is_told_the_nearest(accelbench_here):
    """Nothing is fetched; the request was wrong."""
    ended = accelbench_here("models", "get", "smolm2")
    assert ended.code == 2
    assert "did you mean 'smollm2'?" in ended.complaint()


def test_what_is_not_here_is_listed_with_the_way_to_get_it(accelbench_here, tmp_path):
    """A null path stands beside its reason."""
    ended = accelbench_here("list", "models", "--json", env={"XDG_CACHE_HOME": str(tmp_path)})
    for item in ended.document()["items"]:
        assert item["path"] is None
        assert item["reason"].endswith(f"accelbench models get {item['name']}")


def test_no_index_ends_with_one_line_and_a_failure(accelbench, tmp_path):
    """Nothing on standard output, with or without JSON: a script sees the exit code."""
    env = {"XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    for words in ((), ("--json",)):
        ended = accelbench("models", "get", "cora", *words, env=env)
        assert (ended.code, ended.out) == (1, "")
        assert "see that pip reaches a package index" in ended.complaint()


def test_a_cache_that_cannot_be_made_is_one_line(accelbench, tmp_path):
    """A file stands where its folder should."""
    (tmp_path / "file").touch()
    ended = accelbench("models", "get", "cora", env={"XDG_CACHE_HOME": str(tmp_path / "file")})
    assert ended.code == 1
    assert "Not a directory" in ended.complaint()


def test_both_listings_tell_the_same_names(accelbench):
    """A line each, as in JSON."""
    lines = accelbench("list", "models").out.splitlines()
    items = accelbench("list", "models", "--json").document()["items"]
    assert [line.split()[0] for line in lines] == [item["name"] for item in items]
    for item in items:
        assert item["size_bytes"] == sum(one["size_bytes"] for one in item["files"])
