"""The decoder with random weights, and its prompts."""

import pytest

from accelbench.harness.errors import ConfigError, MissingPart, TrialError
from accelbench.suites.workloads import extras
from accelbench.suites.workloads.decoder import PASSAGES, Decoder, passages

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


@pytest.mark.torch
def test_the_default_is_a_few_million_parameters():
    """Small enough for a laptop's core."""
    pytest.importorskip("transformers")
    assert 2e6 < Decoder().facts()["parameters"] < 5e6


def test_it_is_neither_trained_nor_given_weights_of_another_cell(tmp_path):
    """Real weights come by `path` alone; it has no samples to classify."""
    with pytest.raises(TrialError, match="use path"):
        TINY.model(tmp_path / "weights.safetensors", 0)
    with pytest.raises(TrialError, match="not trained"):
        TINY.training(None, 1, 0)
    with pytest.raises(TrialError, match="no samples"):
        TINY.samples()


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

    from accelbench.suites.workloads import decoder_network as network

    layouts = [network.kv_layout(c(), 2.0) for c in (MistralConfig, Gemma2Config, LlamaConfig)]
    assert [layout.window for layout in layouts] == [4096, None, None]
    assert "13 of 26 layers" in network.geometry(Gemma2Config())["attention"]
    assert "whole context" in network.geometry(LlamaConfig())["attention"]
