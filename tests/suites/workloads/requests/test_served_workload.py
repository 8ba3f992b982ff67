"""A model behind a server's API."""

import json
from pathlib import Path

import pytest

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.schema.builders import Answers, Exports, Generates, Trains
from accelbench.harness.schema.cell import Choice
from accelbench.harness.schema.decode import decode, encode
from accelbench.harness.schema.plain import file_digest
from accelbench.harness.schema.prompts import Ask
from accelbench.suites.workloads.language.export import save_character_tokenizer
from accelbench.suites.workloads.language.tokenizer import Tokenizer
from accelbench.suites.workloads.requests.passages import PASSAGES
from accelbench.suites.workloads.requests.served import Recorded, Served

TRACES = Path(__file__).parents[3] / "data" / "traces"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """A folder with a tokenizer of characters."""
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models") / "chars"
    save_character_tokenizer(folder, 256, 512)
    return folder


def test_prompts_are_real_words_of_about_the_asked_length():
    """Without a tokenizer there are no ids, and the facts say that lengths are about."""
    served = Served("m", prompt_tokens=65, output_tokens=7)
    made = served.prompts(4, 1)
    assert {len(prompt.text.split()) for prompt in made} == {50}
    assert {(prompt.tokens, prompt.output_tokens) for prompt in made} == {((), 7)}
    facts = served.facts()
    assert facts["model"] == "m"
    assert facts["data"]["kind"] == "real"
    assert facts["data"]["sha256"] == file_digest(PASSAGES)
    assert facts["data"]["lengths"]["counted"].startswith("about")
    assert facts["tokenizer"].startswith("none known")


@pytest.mark.torch
@pytest.mark.parametrize("of", ["folder", "file"])
def test_with_a_tokenizer_lengths_are_exact(tokenizer, of):
    """A Hugging Face folder or a tokenizer.json; facts name it by its digest, not by its place."""
    path = tokenizer if of == "folder" else tokenizer / "tokenizer.json"
    served = Served("m", prompt_tokens=65, words="random", tokenizer=Tokenizer(str(path)))
    assert {len(prompt.tokens) for prompt in served.prompts(4, 1)} == {65}
    facts = served.facts()
    assert file_digest(tokenizer / "tokenizer.json") in facts["tokenizer"]
    assert str(tokenizer.parent) not in str(facts)
    assert facts["data"]["kind"] == "synthetic"
    assert facts["data"]["lengths"]["counted"].startswith("exactly")


def test_a_path_without_a_tokenizer_is_told_in_one_line(tmp_path):
    """The message names the key."""
    with pytest.raises(ConfigError, match="holds no tokenizer") as found:
        Served("m", tokenizer=Tokenizer(str(tmp_path))).prompts(1, 0)
    assert str(found.value).startswith("workload.tokenizer: ")


@pytest.mark.torch
def test_a_broken_tokenizer_is_told_in_one_line(tmp_path):
    """What the library raised becomes one line of ours."""
    pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(Exception, match=r"tokenizer.json: reading the tokenizer") as found:
        Served("m", tokenizer=Tokenizer(str(tmp_path / "tokenizer.json"))).prompts(1, 0)
    assert "\n" not in str(found.value)


def test_a_model_needs_a_name():
    """It is asked for when prompts or facts are, so that a part can be made without options."""
    for use in (lambda s: s.prompts(1, 0), lambda s: s.prompts_for([], 0), lambda s: s.facts()):
        with pytest.raises(ConfigError, match="no name"):
            use(Served())


def test_only_the_server_knows_weights_and_operators():
    """Each refusal is one line; no geometry is made up."""
    served = Served("m")
    for use in (
        lambda: served.model(None, 0),
        lambda: served.lower("decode", 1, 1, 1),
    ):
        with pytest.raises(TrialError, match="only the server knows"):
            use()
    assert isinstance(served, Generates)
    assert not isinstance(served, Answers | Trains | Exports)
    assert served.geometry()["value"] is None
    assert "does not tell" in served.geometry()["reason"]
    assert served.kv(2.0) is None


def test_more_tokens_than_the_server_takes_are_refused():
    """Before anything is sent."""
    with pytest.raises(ConfigError, match="make 192, the model ends at 150"):
        Served("m", max_tokens_total=150)
    with pytest.raises(ValueError, match="at least 2"):
        Served("m", max_tokens_total=1)


def test_recorded_conversations_are_drawn_in_turn():
    """None comes twice before all came once; lengths of answers are the recorded ones."""
    source = Recorded(str(TRACES / "sharegpt.json"), "sharegpt")
    served = Served("m", recording=source)
    made = served.prompts(4, 0)
    assert {p.text for p in made[:2]} == {p.text for p in made[2:]}
    assert {p.text: p.output_tokens for p in made} == {
        "Name a river.": 3,
        "Wie heißt der Fluss?": 1,
    }
    assert [p.id for p in made] == ["0", "1", "2", "3"]
    orders = {tuple(p.text for p in served.prompts(2, seed)) for seed in range(12)}
    assert len(orders) == 2


@pytest.mark.torch
def test_answers_of_a_recording_are_counted_by_the_tokenizer(tokenizer):
    """And what is longer than the server takes is cut."""
    source = Recorded(str(TRACES / "alpaca.json"), "alpaca")
    served = Served("m", recording=source, tokenizer=Tokenizer(str(tokenizer)), max_tokens_total=16)
    lengths = {p.text: (len(p.tokens), p.output_tokens) for p in served.prompts(2, 0)}
    assert lengths == {"Name a pri": (10, 6), "Add these.\n\n2, ": (15, 1)}


def test_facts_of_a_recording_name_its_digest_and_no_place():
    """A reader finds the same file again."""
    path = TRACES / "sharegpt.json"
    data = Served("m", recording=Recorded(str(path), "sharegpt")).facts()["data"]
    assert data["sha256"] == file_digest(path)
    assert data["requests"] == 2
    assert data["name"] == "recorded conversations of sharegpt.json"
    assert str(TRACES) not in str(data)


def test_another_recording_than_the_one_meant_is_refused():
    """By its sha256."""
    source = Recorded(str(TRACES / "sharegpt.json"), "sharegpt", sha256="0" * 64)
    with pytest.raises(ConfigError, match="has the sha256"):
        Served("m", recording=source).prompts(1, 0)


def test_options_are_plain_data():
    """A recording is a mapping in a configuration."""
    options = {
        "model_name": "m",
        "recording": {"path": "a.json", "format": "alpaca"},
        "tokenizer": {"path": "b"},
    }
    made = decode(Served, Choice("served", options).options)
    assert made.recording == Recorded("a.json", "alpaca")
    assert made.tokenizer == Tokenizer("b")
    assert decode(Served, json.loads(json.dumps(encode(made)))) == made
    with pytest.raises(ConfigError, match="one of sharegpt, alpaca"):
        decode(Served, {"recording": {"path": "a", "format": "azure_llm"}})


def test_files_are_named_by_what_they_hold(tmp_path):
    """By their digests, so that a cell is the same wherever they lie."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tokenizer.json").write_text("{}")
    source, digest = TRACES / "sharegpt.json", file_digest(tmp_path / "a" / "tokenizer.json")
    for path in (tmp_path / "a", tmp_path / "b", tmp_path / "b" / "tokenizer.json"):
        served = Served(
            "m", tokenizer=Tokenizer(str(path)), recording=Recorded(str(source), "sharegpt")
        )
        made = served.with_digests()
        assert made.tokenizer == Tokenizer(str(path), digest)
        assert made.recording == Recorded(str(source), "sharegpt", file_digest(source))
        assert made.with_digests() == made
    assert Served("m").with_digests() == Served("m")


def test_another_tokenizer_than_the_one_meant_is_refused(tmp_path):
    """By its sha256, before a prompt is made."""
    (tmp_path / "tokenizer.json").write_text("{}")
    served = Served("m", tokenizer=Tokenizer(str(tmp_path), "0" * 64))
    for use in (served.with_digests, served.facts, lambda: served.prompts(1, 0)):
        with pytest.raises(ConfigError, match="has the sha256"):
            use()


def test_a_recorded_trace_is_replayed_with_its_lengths():
    """Prompts for requests that another scenario read."""
    (made,) = Served("m").prompts_for([Ask(0.0, 26, 9)], 0)
    assert (len(made.text.split()), made.output_tokens) == (20, 9)
