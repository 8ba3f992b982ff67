"""Models as Hugging Face folders that a server can load."""

import pytest

from accelbench.harness.schema.plain import file_digest
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

SMALL = {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48}


def small(**options):
    """A tiny decoder with random weights."""
    return Decoder(**SMALL | options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One exported."""
    return small().export(tmp_path_factory.mktemp("exported") / "model")


@pytest.fixture(scope="module")
def tokenizer(folder):
    """Its tokenizer."""
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def test_an_export_is_the_same_files_every_time(folder, tmp_path):
    """Byte by byte, so that a server's model has one digest."""
    again = small().export(tmp_path)
    names = sorted(file.name for file in folder.iterdir())
    assert names == sorted(file.name for file in again.iterdir())
    assert {"config.json", "model.safetensors", "tokenizer.json"} < set(names)
    assert all(file_digest(folder / name) == file_digest(again / name) for name in names)


def test_the_weights_are_those_that_run_in_process(folder):
    """In float32, all of them."""
    ours = small().model(None, 0).state_dict()
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert loaded.dtype == torch.float32
    assert loaded.state_dict().keys() == ours.keys()
    assert all(torch.equal(loaded.state_dict()[name], value) for name, value in ours.items())


def test_no_token_ends_a_text(folder, tokenizer):
    """A server that heeds the end of text still gives all tokens asked for."""
    loaded = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    assert loaded.eos_token_id is None
    assert tokenizer.eos_token_id is None
    generation = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
    assert generation.eos_token_id is None


def test_a_token_is_a_character(tokenizer):
    """Every id is one character and back, so that no stream waits for the rest of one."""
    text = bytes(range(256)).decode("latin-1")
    assert tokenizer(text)["input_ids"] == list(range(256))
    assert tokenizer.decode(list(range(256))) == text
    assert all(len(tokenizer.decode([code])) == 1 for code in range(256))
    assert tokenizer("\u4e2d")["input_ids"] == [ord("?")]


@pytest.mark.parametrize("words", ["passages", "real", "random"])
def test_the_exported_tokenizer_reads_prompts_as_the_ids_that_they_have(tokenizer, words):
    """A server counts what an engine in process is given."""
    for prompt in small(words=words).prompts(70, 2):
        assert tuple(tokenizer(prompt.text)["input_ids"]) == prompt.tokens


def test_a_larger_vocabulary_is_covered(tmp_path):
    """Entries that no text has still decode to something, and are never read."""
    folder = small(vocab=300).export(tmp_path)
    known = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert len(known) == 300
    assert known.decode([65, 299]) == "A<unused_299>"
    assert max(known("A<unused_299>")["input_ids"]) < 256


def test_a_chat_is_what_is_said(tokenizer):
    """No marks around a message, so that its length is that of the prompt."""
    said = [{"role": "user", "content": "Call me Ishmael."}]
    assert tokenizer.apply_chat_template(said, tokenize=False) == "Call me Ishmael."


def test_weights_can_be_written_in_bfloat16(tmp_path):
    """As most servers run them."""
    folder = small(export_dtype="bfloat16").export(tmp_path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert loaded.dtype == torch.bfloat16


def test_a_hugging_face_folder_is_returned_as_it_lies(folder, tmp_path):
    """Nothing is copied."""
    out = tmp_path / "out"
    assert Decoder(path=str(folder)).export(out) == folder
    assert not out.exists()
