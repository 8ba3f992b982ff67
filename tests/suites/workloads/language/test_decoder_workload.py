"""The decoder with random weights, and its prompts."""

import pytest

from accelbench.harness.errors import ConfigError, MissingPart, TrialError
from accelbench.harness.schema.builders import Answers, Generates, Trains
from accelbench.harness.schema.plain import digest
from accelbench.harness.schema.prompts import Ask
from accelbench.suites.workloads import extras
from accelbench.suites.workloads.language.decoder import Decoder
from accelbench.suites.workloads.requests.passages import PASSAGES, passages

TINY = Decoder(hidden=32, layers=2, heads=4, kv_heads=2, intermediate=48)


def test_there_are_enough_real_passages_each_with_its_work():
    """At least 40, of 60 to 120 words, each under a line that names work and year."""
    blocks = PASSAGES.read_text(encoding="utf-8").strip().split("\n\n")
    assert len(blocks) == len(set(passages())) >= 40
    assert all(block.startswith("# ") for block in blocks)
    assert all(1500 < int(block.splitlines()[0][-4:]) < 1928 for block in blocks)
    assert all(60 <= len(text.split()) <= 120 for text in passages())


def test_a_token_of_the_random_model_is_a_byte():
    """Prompts are cut to the asked length, and their text is what was left."""
    (prompt,) = Decoder(prompt_tokens=20, output_tokens=3).prompts(1, 0)
    assert len(prompt.tokens) == 20
    assert bytes(prompt.tokens).decode() == prompt.text
    assert any(text.startswith(prompt.text) for text in passages())
    assert prompt.output_tokens == 3


def test_prompts_depend_on_the_seed_and_do_not_repeat_until_used_up():
    """One round has each passage once; the next round has each once more."""
    every = len(passages())
    asked = Decoder(prompt_tokens=200).prompts(2 * every, 3)
    texts = [prompt.text for prompt in asked]
    assert len(set(texts[:every])) == len(set(texts[every:])) == every
    assert texts[:every] != texts[every:]
    assert asked == Decoder(prompt_tokens=200).prompts(2 * every, 3)
    assert texts != [prompt.text for prompt in Decoder(prompt_tokens=200).prompts(2 * every, 4)]
    assert len({prompt.id for prompt in asked}) == 2 * every


def test_the_prompts_of_older_records_stay_as_they_were():
    """Whatever was added since, untouched options make the prompts of the first release."""
    asked = Decoder().prompts(70, 3)
    told = digest([[p.id, p.text, p.tokens, p.output_tokens] for p in asked])
    assert told == "23fd2d38ef6365d815dd0c6a7a035f7f1abb617332fd4d721abe001b7aad61f4"


@pytest.mark.parametrize("words", ["real", "random"])
def test_prompts_of_asked_lengths_are_characters(words):
    """Of exactly the mean without a spread; text and ids are the same characters, all ASCII."""
    asked = Decoder(words=words, prompt_tokens=90, output_tokens=5).prompts(20, 1)
    assert {len(prompt.tokens) for prompt in asked} == {90}
    assert {prompt.output_tokens for prompt in asked} == {5}
    assert all(prompt.text.encode("ascii") == bytes(prompt.tokens) for prompt in asked)
    assert len({prompt.tokens[:16] for prompt in asked}) == 20


def test_spread_and_sharing_reach_the_prompts():
    """Two beginnings, lengths about the mean."""
    options = {"prompt_spread": 0.5, "output_spread": 0.5, "shared_prefix_tokens": 20}
    asked = Decoder(words="real", prefixes=2, **options).prompts(40, 0)
    assert len({prompt.tokens[:20] for prompt in asked}) == 2
    assert len({len(prompt.tokens) for prompt in asked}) > 10
    assert len({prompt.output_tokens for prompt in asked}) > 10


def test_spread_and_sharing_are_refused_for_whole_passages():
    """A passage is as long as it is."""
    with pytest.raises(ValueError, match="need words=real"):
        Decoder(prompt_spread=0.1)
    with pytest.raises(ValueError, match="need words=real"):
        Decoder(shared_prefix_tokens=3)


def test_a_spread_counts_for_the_model_s_end():
    """The longest prompt and answer together must fit."""
    with pytest.raises(ConfigError, match="make 516, the model ends at 512"):
        Decoder(words="real", prompt_tokens=256, prompt_spread=0.5, output_tokens=132)


def test_a_recorded_request_is_cut_to_what_the_model_takes():
    """The prompt's end goes first; an answer is cut only where it alone is too long."""
    asks = [Ask(0.0, 30, 8), Ask(1.0, 4000, 100), Ask(2.0, 4000, 4000)]
    made = TINY.prompts_for(asks, 0)
    assert [(len(p.tokens), p.output_tokens) for p in made] == [(30, 8), (412, 100), (1, 511)]


def test_recorded_text_loses_characters_that_have_no_token():
    """Text and ids stay those of the exported tokenizer."""
    (made,) = TINY.prompts_for(
        [Ask(None, None, None, text="d\u00e9j\u00e0 \u4e2d", answer="abc")], 0
    )
    assert made.text == "d\u00e9j\u00e0 ?"
    assert made.tokens == tuple(made.text.encode("latin-1"))
    assert made.output_tokens == 3


@pytest.mark.torch
def test_random_weights_depend_on_the_init_seed_alone():
    """The seed of a trial changes prompts, never the model."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    one, same, other = (
        next(decoder.model(None, seed).parameters())
        for decoder, seed in ((TINY, 1), (TINY, 2), (Decoder(**_with(init_seed=5)), 1))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.torch
def test_facts_say_that_the_weights_are_random_and_the_text_is_real():
    """Nobody can take the output for language, or the tokenizer for a learned one."""
    pytest.importorskip("transformers")
    facts = TINY.facts()
    assert facts["weights"] == "random"
    assert facts["tokenizer"] == "UTF-8 bytes"
    assert facts["data"]["kind"] == "real"
    assert "end-of-text ignored" in facts["sampling"]
    assert facts["parameters"] == sum(p.numel() for p in TINY.model(None, 0).parameters())
    assert "weights_sha256" not in facts
    synthetic = Decoder(**_with(words="random")).facts()
    assert synthetic["data"]["kind"] == "synthetic"
    assert synthetic["tokenizer"].startswith("characters")


@pytest.mark.torch
def test_the_default_is_a_few_million_parameters():
    """Small enough for a laptop's core."""
    pytest.importorskip("transformers")
    assert 2e6 < Decoder().facts()["parameters"] < 5e6


def test_it_is_neither_trained_nor_given_weights_of_another_cell(tmp_path):
    """Real weights come by `path` alone; what answers and learns is `language_model`."""
    with pytest.raises(TrialError, match="use path"):
        TINY.model(tmp_path / "weights.safetensors", 0)
    assert isinstance(TINY, Generates)
    assert not isinstance(TINY, Trains | Answers)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": 36}, "multiple of 2"),
        ({"kv_heads": 3}, "multiple of 2"),
        ({"vocab": 100}, "a token is a byte"),
        ({"output_tokens": 0}, "above 0"),
    ],
)
def test_a_geometry_that_cannot_be_is_refused(options, said):
    """The message names the fields."""
    with pytest.raises(ValueError, match=said):
        Decoder(**_with(**options))


def test_more_tokens_than_positions_are_refused():
    """Prompt and output together must fit the model."""
    with pytest.raises(ConfigError, match="make 600, the model ends at 512"):
        Decoder(prompt_tokens=500, output_tokens=100)


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch):
    """The remedy is a command."""
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingPart, match=r'pip install "accelbench\[torch\]"'):
        TINY.model(None, 0)


def _with(**options):
    return {"hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48} | options


@pytest.mark.torch
def test_geometry_is_that_of_the_model():
    """Layers, heads and widths are those of the network that runs."""
    workload = Decoder(64, 3, 4, 2, 96)
    geometry, model = workload.geometry(), workload.model(None, 0)
    attention = model.model.layers[0].self_attn
    assert geometry["layers"] == len(model.model.layers)
    assert geometry["head_dim"] == attention.head_dim
    assert geometry["heads"] == attention.q_proj.out_features // attention.head_dim
    assert geometry["kv_heads"] == attention.k_proj.out_features // attention.head_dim
    assert geometry["padding"]["share"] == 0.0
    assert geometry["execution"] == "dense"


@pytest.mark.torch
@pytest.mark.parametrize(
    ("kv_heads", "kind"), [(4, "multi-head"), (2, "grouped"), (1, "multi-query")]
)
def test_the_kind_of_attention_follows_from_its_heads(kv_heads, kind):
    """As many heads of keys as of queries, fewer, or one."""
    assert kind in Decoder(64, 1, 4, kv_heads, 96).geometry()["attention"]


@pytest.mark.torch
def test_the_cache_of_the_model_has_the_layout_that_is_told():
    """Bytes of a real cache after nine tokens are nine times those of the layout (eq. 15)."""
    torch = pytest.importorskip("torch")
    workload = Decoder(64, 3, 4, 2, 96)
    with torch.inference_mode():
        answer = workload.model(None, 0)(torch.zeros(1, 9, dtype=torch.long), use_cache=True)
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in answer.past_key_values.layers)
    layout = workload.kv(4.0)
    each = 2 * layout.layers * layout.kv_heads * layout.head_dim * layout.element_bytes
    assert held == 9 * each


@pytest.mark.torch
def test_a_sliding_window_bounds_the_cache_only_where_every_layer_slides():
    """Half of Gemma's layers see the whole context, so its cache has no bound; Mistral's has."""
    from transformers import Gemma2Config, LlamaConfig, MistralConfig

    from accelbench.suites.workloads.language import decoder_geometry as network

    layouts = [network.kv_layout(c(), 2.0) for c in (MistralConfig, Gemma2Config, LlamaConfig)]
    assert [layout.window for layout in layouts] == [4096, None, None]
    assert "13 of 26 layers" in network.geometry(Gemma2Config())["attention"]
    assert "whole context" in network.geometry(LlamaConfig())["attention"]
