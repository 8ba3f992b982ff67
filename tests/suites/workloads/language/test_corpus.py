"""Text for language models: whole works on either side, packed into windows of one length."""

import numpy as np
import pytest

from accelbench.harness.errors import ConfigError, MissingPart
from accelbench.suites.workloads.language.corpus import Corpus, windows, works
from accelbench.suites.workloads.language.export import CHARACTER_CODEC
from accelbench.suites.workloads.requests.passages import passages


def test_works_hold_all_passages():
    """Those of one title are one text, in their order."""
    text = "\n\n".join(works().values())
    assert len(works()) < len(passages())
    assert sorted(text.split()) == sorted(" ".join(passages()).split())


@pytest.mark.parametrize("kind", ["all", "prose", "verse"])
def test_a_work_is_learned_from_or_held_out_but_not_both(kind):
    """About the asked share is held out, and the split depends on its seed alone."""
    train, test = Corpus(kind).parts()
    assert not {*train} & {*test}
    assert {*train, *test} <= {*works().values()}
    held = sum(map(len, test)) / sum(map(len, [*train, *test]))
    assert 0.2 <= held < 0.35
    assert Corpus(kind).parts() == (train, test)
    assert Corpus(kind, split_seed=1).parts() != (train, test)


def test_prose_and_verse_are_all_there_is():
    """No work is of both kinds."""
    sides = {kind: {text for part in Corpus(kind).parts() for text in part} for kind in ("prose", "verse")}  # fmt: skip
    assert not sides["prose"] & sides["verse"]
    assert sides["prose"] | sides["verse"] == {*works().values()}


def test_of_a_file_the_end_is_held_out(tmp_path):
    """A file has no works that could be told apart; its owner's licence holds."""
    file = tmp_path / "text.txt"
    file.write_text("a" * 80 + "b" * 20)
    corpus = Corpus(path=str(file))
    assert corpus.parts() == (["a" * 80], ["b" * 20])
    told = corpus.facts(8, 2)
    assert (told["name"], told["source"]) == ("text.txt", "a file of the user")
    assert str(tmp_path) not in str(told)


def test_windows_are_packed_and_never_padded():
    """Texts one behind another with two line ends between; what is left at the end is dropped."""
    found = windows(["abcd", "ef"], CHARACTER_CODEC, 3)
    assert found.tolist() == [[*b"abc"], [*b"d\n\n"]]
    assert found.dtype == np.int64


def test_too_little_text_is_refused():
    """With what to do about it."""
    with pytest.raises(ConfigError, match="4 tokens and a window 5"):
        windows(["abcd"], CHARACTER_CODEC, 5)


def test_a_file_that_is_not_there_and_a_share_that_cannot_be_are_refused(tmp_path):
    """So are a kind of work and a file at once."""
    with pytest.raises(ConfigError, match="is no file"):
        Corpus(path=str(tmp_path / "none.txt")).parts()
    with pytest.raises(ValueError, match="held_out"):
        Corpus(held_out=1.0)
    with pytest.raises(ValueError, match="leave text_path out"):
        Corpus("verse", path="x.txt")


def test_an_asset_that_was_not_got_says_how_to_get_it(tmp_path, monkeypatch):
    """The command is the remedy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match="accelbench models get shakespeare"):
        Corpus("shakespeare").parts()


def test_facts_tell_data_as_a_checklist_asks():
    """Kind, name, source, licence, digest, sizes of both sides, and how they were drawn."""
    told = Corpus("prose").facts(114, 31)
    assert told["kind"] == "real"
    assert told["licence"] == "public domain"
    assert (told["train"], told["test"], told["split_seed"]) == (114, 31, 0)
    assert len(told["sha256"]) == 64
    assert told["split"].startswith("by work")
