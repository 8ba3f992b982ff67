"""The decoder with weights, geometry and tokenizer from a path."""

import shutil

import numpy as np
import pytest

from accelbench.harness.errors import ConfigError, ForeignError, MissingPart
from accelbench.harness.schema.plain import digest, file_digest
from accelbench.harness.schema.prompts import Ask
from accelbench.suites.workloads import extras
from accelbench.suites.workloads.language.decoder import Decoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

LETTERS = (*(chr(code) for code in range(33, 127)), "\u0120", "an", "and")
WORDS = ("<unk>", "the", "of", "and", "to", "in", "a")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A Hugging Face folder with a tiny model and a tokenizer of whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder = tmp_path_factory.mktemp("models") / "tiny-model"
    config = transformers.LlamaConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=24,
        vocab_size=len(WORDS),
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>").save_pretrained(
        folder
    )
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it that a test may spoil."""
    return shutil.copytree(made, tmp_path / "tiny-model")


def decoder(path):
    """A decoder of this path that asks for few tokens."""
    return Decoder(path=str(path), prompt_tokens=30, output_tokens=4)


def test_a_hugging_face_folder_is_labelled_real_with_its_digest(folder):
    """Facts name files, never the folder they lie in, and count the shared embedding once."""
    facts = decoder(folder).facts()
    assert facts["weights"] == "real"
    assert facts["weights_source"] == ["model.safetensors"]
    assert facts["weights_sha256"] == file_digest(folder / "model.safetensors")
    assert facts["tokenizer"] == "of tiny-model"
    assert str(folder.parent) not in str(facts)
    assert facts["parameters"] == len(WORDS) * 16 + 16 + (2 * 16 * 16 + 2 * 16 * 8) + (
        3 * 16 * 24
    ) + (2 * 16)


def test_the_digest_of_several_files_covers_each_by_its_name(folder):
    """Renaming or changing one shard changes the digest."""
    shutil.copy(folder / "model.safetensors", folder / "more.safetensors")
    facts = decoder(folder).facts()
    one = file_digest(folder / "model.safetensors")
    assert facts["weights_source"] == ["model.safetensors", "more.safetensors"]
    assert facts["weights_sha256"] == digest({"model.safetensors": one, "more.safetensors": one})


def test_its_model_has_the_weights_of_the_file(folder):
    """In float32, ready for any engine."""
    from safetensors.torch import load_file

    model = decoder(folder).model(None, 0)
    stored = load_file(folder / "model.safetensors")
    assert all(torch.equal(model.state_dict()[name], value) for name, value in stored.items())
    assert model.dtype == torch.float32


def test_its_prompts_go_through_its_own_tokenizer(folder):
    """Unknown words become the tokenizer's own token for them."""
    prompts = decoder(folder).prompts(3, 0)
    assert {len(prompt.tokens) for prompt in prompts} == {30}
    assert {token for prompt in prompts for token in prompt.tokens} <= set(range(len(WORDS)))
    assert all(word in WORDS for word in prompts[0].text.split())


def test_it_lowers_from_its_geometry_even_without_weights(folder):
    """The operator graph needs config.json alone, though the files must be there."""
    (folder / "model.safetensors").write_bytes(b"")
    graph = decoder(folder).lower("decode", 1, 1, 8)
    assert graph.parameters == decoder(folder).facts()["parameters"]
    assert graph.flops > 0


def test_prompts_too_long_for_the_model_are_refused(folder):
    """The model's own limit holds, not the one of the random geometry."""
    with pytest.raises(ConfigError, match="make 104, the model ends at 64"):
        Decoder(path=str(folder), prompt_tokens=100, output_tokens=4).prompts(1, 0)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (shutil.rmtree, "does not exist"),
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), r"holds no \*.safetensors"),
        (lambda f: (f / "tokenizer.json").unlink(), "holds no tokenizer"),
    ],
)
def test_a_path_that_holds_no_model_is_told_in_one_line(folder, spoil, said):
    """The message names the key, the path and what lacks."""
    spoil(folder)
    for use in (lambda d: d.model(None, 0), lambda d: d.facts(), lambda d: d.prompts(1, 0)):
        with pytest.raises(ConfigError, match=said) as found:
            use(decoder(folder))
        assert str(found.value).startswith("workload.path: ")
        assert "\n" not in str(found.value)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    """Only the suffix .gguf is taken for a single file."""
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"is a file, but no \.gguf"):
        decoder(tmp_path / "weights.bin").model(None, 0)


def test_broken_weights_are_told_in_one_line(folder):
    """What the library raised becomes one line of ours."""
    (folder / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(ForeignError, match="tiny-model: loading the weights") as found:
        decoder(folder).model(None, 0)
    assert "\n" not in str(found.value)


def test_a_gguf_file_needs_its_own_extra(tmp_path, monkeypatch):
    """The remedy names the extra."""
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    find = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name)
    )
    with pytest.raises(MissingPart, match=r'gguf is not .* pip install "accelbench\[gguf\]"'):
        decoder(tmp_path / "model.gguf").model(None, 0)


@pytest.fixture
def gguf_file(tmp_path):
    """A GGUF file of one layer, its feed-forward weights quantised to 8 bits."""
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    width, inner = 32, 64
    draw = np.random.default_rng(0)
    path = tmp_path / "tiny.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(LETTERS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(LETTERS)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(LETTERS))
    writer.add_token_merges(["a n", "an d"])
    for name in ("add_bos_token_id", "add_eos_token_id", "add_unk_token_id"):
        getattr(writer, name)(0)
    shapes = {"token_embd": (len(LETTERS), width), "output_norm": (width,)}
    block = {
        **dict.fromkeys(("attn_norm", "ffn_norm"), (width,)),
        **dict.fromkeys(("attn_q", "attn_output"), (width, width)),
        **dict.fromkeys(("attn_k", "attn_v"), (width // 2, width)),
        **dict.fromkeys(("ffn_gate", "ffn_up"), (inner, width)),
        "ffn_down": (width, inner),
    }
    written = {}
    for name, shape in (shapes | {f"blk.0.{part}": size for part, size in block.items()}).items():
        tensor = written[name] = draw.standard_normal(shape).astype(np.float32)
        if "ffn_up" in name:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(f"{name}.weight", gguf.quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path, written


def test_a_gguf_file_is_expanded_and_labelled_real(gguf_file):
    """Plain weights arrive unchanged, quantised ones within their rounding; geometry as stated."""
    path, written = gguf_file
    facts = decoder(path).facts()
    model = decoder(path).model(None, 0)
    layer = model.model.layers[0]
    assert facts["weights"] == "real"
    assert facts["weights_source"] == ["tiny.gguf"]
    assert facts["weights_sha256"] == file_digest(path)
    assert facts["weights_format"] == "GGUF, quantised weights expanded"
    assert facts["parameters"] == sum(p.numel() for p in model.parameters())
    assert np.array_equal(layer.mlp.down_proj.weight.detach(), written["blk.0.ffn_down"])
    assert np.allclose(layer.mlp.up_proj.weight.detach(), written["blk.0.ffn_up"], atol=0.02)
    assert all(len(prompt.tokens) == 30 for prompt in decoder(path).prompts(2, 0))


def test_a_gguf_file_is_exported_expanded_with_its_tokenizer(gguf_file, tmp_path):
    """The folder holds the same weights and makes the same prompts."""
    path, _ = gguf_file
    workload = Decoder(path=str(path), words="real", prompt_tokens=30, output_tokens=4)
    folder = workload.export(tmp_path / "expanded")
    loaded = Decoder(path=str(folder), words="real", prompt_tokens=30, output_tokens=4)
    ours, theirs = (w.model(None, 0).state_dict() for w in (workload, loaded))
    assert all(torch.equal(theirs[name], value) for name, value in ours.items())
    assert loaded.prompts(3, 0) == workload.prompts(3, 0)
    assert {len(prompt.tokens) for prompt in loaded.prompts(3, 0)} == {30}


def test_recorded_requests_are_cut_to_the_model_s_own_length(folder):
    """Not to that of the random geometry."""
    (made,) = decoder(folder).prompts_for([Ask(0.0, 200, 14)], 0)
    assert (len(made.tokens), made.output_tokens) == (50, 14)
