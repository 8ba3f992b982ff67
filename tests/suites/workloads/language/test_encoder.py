"""The encoder that embeds sentences."""

import math

import numpy as np
import pytest

from accelbench.harness.errors import ConfigError, MissingPart, TrialError
from accelbench.harness.schema.builders import Answers, Generates, Padded, Records, Trains
from accelbench.harness.schema.quality import Quality
from accelbench.suites.workloads.assets import catalogue
from accelbench.suites.workloads.language import encoder_text, export
from accelbench.suites.workloads.language.encoder import Encoder
from accelbench.suites.workloads.language.encoder_text import EmbeddingSamples, Known
from accelbench.suites.workloads.language.padded import Padding

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

TINY = Encoder(hidden=32, layers=2, heads=4, intermediate=48)
BERT_BASE = Encoder(
    hidden=768,
    layers=12,
    heads=12,
    intermediate=3072,
    vocab=30522,
    tokens=512,
    padding="none",
)


def embedded(workload, indices, model=None):
    """What a workload's model makes of some of its texts, in evaluation mode."""
    own = (model or workload.model(None, 0)).eval()
    batch = workload.samples().batch(indices)
    with torch.inference_mode():
        return own(**{name: torch.from_numpy(array) for name, array in batch.items()}).numpy()


def counted(call):
    """FLOPs by torch's own counter; of attention it knows matrix products, but not the CPU's kernel."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return counter.get_total_flops()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Hugging Face folder with a tiny BERT and a tokenizer of characters."""
    from transformers import BertConfig, BertModel

    place = tmp_path_factory.mktemp("bert")
    config = BertConfig(
        vocab_size=256,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=64,
    )
    export.save_model(BertModel(config), place, "float32")
    export.save_character_tokenizer(place, 256, 64)
    return place


def test_it_answers_and_records_and_is_neither_trained_nor_generates():
    """What it is asked for follows from its methods."""
    assert isinstance(TINY, Answers)
    assert isinstance(TINY, Records)
    assert isinstance(TINY.samples(), Padded)
    assert not isinstance(TINY, Trains | Generates)


def test_an_embedding_has_length_one_and_does_not_depend_on_its_batch():
    """Padding is neither attended to nor in the mean."""
    together = embedded(TINY, [0, 1, 2, 3])
    assert together.shape == (4, 32)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    for place in range(4):
        assert embedded(TINY, [place])[0] == pytest.approx(together[place], abs=1e-5)


@pytest.mark.parametrize("padding", ["longest", "buckets", "full"])
def test_how_texts_are_padded_changes_no_embedding(padding):
    """The same texts have the same embeddings, whatever their order."""
    texts = sorted(tuple(row) for row in embedded(TINY, range(12)).round(4).tolist())
    workload = Encoder(hidden=32, layers=2, heads=4, intermediate=48, padding=padding)
    count = workload.samples().count
    others = embedded(workload, range(count)).round(4).tolist()
    assert all(any(row == pytest.approx(other, abs=2e-4) for other in others) for row in texts)


def test_texts_without_padding_have_exactly_the_tokens_asked():
    """Running text from each sentence on; the model takes no mask."""
    workload = Encoder(hidden=32, heads=4, tokens=300, padding="none")
    batch = workload.samples().batch(range(5))
    assert list(batch) == ["input_ids"]
    assert batch["input_ids"].shape == (5, 300)
    assert batch["input_ids"].all()
    assert workload.geometry()["padding"]["share"] == 0.0
    first = bytes(batch["input_ids"][0].tolist()).decode("latin-1")
    assert first.startswith(encoder_text.sentences()[0])


def test_random_weights_depend_on_the_init_seed_alone():
    """The seed of a trial does not change the model, and no quality is told of it."""
    one, same, other = (
        next(workload.model(None, seed).parameters())
        for workload, seed in ((TINY, 1), (TINY, 2), (Encoder(32, 2, init_seed=5), 1))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert TINY.samples().figures([([0], embedded(TINY, [0]))]) == ()


def test_facts_say_that_weights_are_random_and_texts_real():
    """Parameters are those of the model that runs."""
    facts = TINY.facts()
    assert facts["weights"] == "random"
    assert facts["references"] == 0
    assert facts["data"]["kind"] == "real"
    assert facts["parameters"] == sum(p.numel() for p in TINY.model(None, 0).parameters())
    assert facts["attention"]["implementation"] == "sdpa"


def test_geometry_says_that_a_text_is_processed_at_once():
    """Up to so many tokens, in both directions."""
    geometry = TINY.geometry()
    assert geometry["sequence"]["parallel"] == "all tokens of a text at once"
    assert geometry["input_shapes"] == {"up to 128": 1.0}
    assert "both directions" in geometry["attention"]
    assert geometry["head_dim"] == 8


def test_quality_is_the_least_cosine_with_the_known_embeddings():
    """Over the first answer to each text that is known; others do not count."""
    pad = Padding("full", 2)
    known = {0: np.array([1.0, 0.0]), 2: np.array([0.0, 1.0])}
    samples = EmbeddingSamples(pad.arrays([[1], [2], [3]]), pad, known)
    answers = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]])
    assert samples.figures([([0, 1, 2], answers)]) == (Quality("embedding", "test", 0.8, 2),)
    again = [([0, 1], answers[:2]), ([0], -answers[:1])]
    assert samples.figures(again) == (Quality("embedding", "test", 1.0, 1),)
    assert samples.figures([([1], answers[:1])]) == ()


def test_a_text_that_was_cut_has_no_known_embedding(folder, monkeypatch):
    """It is then another text."""
    long, short = (
        next(text for text in encoder_text.sentences() if (len(text) > 60) == cut)
        for cut in (True, False)
    )
    values = (1.0,) + (0.0,) * 31
    known = (Known(long, len(long), values), Known(short, len(short), values))
    monkeypatch.setattr(encoder_text, "known", lambda _: known)
    samples = Encoder(path=str(folder), tokens=60).samples()
    assert list(samples.references) == [encoder_text.sentences().index(short)]


def test_real_weights_bring_their_geometry_and_tokenizer(folder):
    """The model of the folder, whatever the options say of widths."""
    from transformers import AutoModel

    workload = Encoder(path=str(folder), tokens=64)
    theirs = AutoModel.from_pretrained(folder).eval()
    batch = workload.samples().batch([0])
    with torch.inference_mode():
        states = theirs(torch.from_numpy(batch["input_ids"])).last_hidden_state.mean(1)
    wanted = torch.nn.functional.normalize(states, dim=-1).numpy()
    assert embedded(workload, [0]) == pytest.approx(wanted, abs=1e-5)
    assert workload.geometry()["layers"] == 1
    facts = workload.facts()
    assert facts["weights"] == "real"
    assert len(facts["weights_sha256"]) == 64
    with pytest.raises(ConfigError, match="ends at 64"):
        Encoder(path=str(folder), tokens=65).geometry()


def test_weights_of_another_architecture_are_refused(folder, tmp_path):
    """The message says what it is."""
    from transformers import GPT2Config

    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    GPT2Config().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="is a gpt2"):
        Encoder(path=str(tmp_path)).geometry()


def test_it_takes_no_weights_of_another_cell(tmp_path):
    """Its weights come by path."""
    with pytest.raises(TrialError, match="use path"):
        TINY.model(tmp_path / "weights.safetensors", 0)


def test_minilm_embeds_as_it_is_known_to():
    """The real weights, with padding and in batches, against embeddings made without."""
    try:
        catalogue.find("minilm")
    except MissingPart as missing:
        pytest.skip(str(missing))
    workload = Encoder(path="asset:minilm", padding="buckets")
    model, samples = workload.model(None, 0), workload.samples()
    parts = [range(start, min(start + 32, samples.count)) for start in range(0, samples.count, 32)]
    found = samples.figures([(part, embedded(workload, part, model)) for part in parts])[0]
    assert found.n == workload.facts()["references"] == 8
    assert found.value > 0.99999


def test_the_known_embeddings_are_of_length_one_and_of_sentences_that_are_there():
    """Eight of MiniLM, 384 numbers each."""
    (asset,) = [m for m in catalogue.MINILM.members if m.name == "model.safetensors"]
    known = encoder_text.known(asset.sha256)
    assert len(known) == 8
    for one in known:
        assert one.text in encoder_text.sentences()
        assert math.hypot(*one.values) == pytest.approx(1, abs=1e-5)
        assert len(one.values) == 384
    assert encoder_text.known("0" * 64) == ()


def test_bert_base_lowers_without_weights():
    """109,482,240 parameters; matrix products and attention in closed form."""
    graph = BERT_BASE.lower("forward", 2, 128, 0)
    assert graph.parameters == 109_482_240
    layer = 2 * 2 * 128 * (4 * 768 * 768 + 2 * 768 * 3072) + 4 * 2 * 128 * 128 * 768
    pooler = 2 * 2 * 768 * 768
    assert graph.flops == 12 * layer + pooler
    (recording,) = BERT_BASE.recordings()
    assert recording.holds(64, 512, 0)


def test_flops_are_those_of_torch_s_own_counter():
    """For texts of one length, as they are lowered."""
    model = TINY.model(None, 0).eval()
    told = counted(lambda: model(torch.zeros(3, 40, dtype=torch.long)))
    assert TINY.lower("forward", 3, 40, 0).flops == told


def test_without_a_length_the_mean_text_is_lowered():
    """What an engine asks for a sample of this workload."""
    mean = round(TINY.facts()["data"]["tokens"]["mean"])
    assert TINY.lower("forward", 2, 1, 0) == TINY.lower("forward", 2, mean, 0)
    with pytest.raises(TrialError, match="no phase 'decode'"):
        TINY.lower("decode", 2, 1, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"hidden": 33}, "multiple of heads"),
        ({"layers": 0}, "above 0"),
        ({"vocab": 100}, "a token is a character"),
        ({"tokens": 600}, "the model ends at 512"),
        ({"padding": "left"}, "padding must be one of"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(options, said):
    """The message names the fields."""
    with pytest.raises(ValueError, match=said):
        Encoder(**options)
