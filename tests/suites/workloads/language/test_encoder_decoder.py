"""The encoder-decoder that learns to sort letters."""

from dataclasses import replace

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Answers, Generates, KnowsAnswers, KnowsTruth, Trains
from accelbench.harness.schema.prompts import Ask
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.data.sorting import of_test
from accelbench.suites.workloads.language.encoder_decoder import EncoderDecoder

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

TINY = EncoderDecoder(hidden=32, encoder_layers=1, decoder_layers=2, head_dim=8, intermediate=48)
T5_BASE = EncoderDecoder(
    hidden=768,
    encoder_layers=12,
    decoder_layers=12,
    heads=12,
    head_dim=64,
    intermediate=3072,
    vocab=32128,
)


def quiet(_part):
    """Takes no note of the parts of a step."""


@torch.no_grad()
def generated(model, ids, steps, mask=None):
    """Greedy tokens as an engine asks for them, and what is kept at the end."""
    rows, kept = [], None
    for _ in range(steps):
        told = model(
            ids, past_key_values=kept, use_cache=True, logits_to_keep=1, attention_mask=mask
        )
        ids, kept = told.logits[:, -1].argmax(dim=-1, keepdim=True), told.past_key_values
        rows.append(ids)
    return torch.cat(rows, dim=1), kept


def counted(call):
    """FLOPs by torch's own counter; of attention it knows matrix products, but not the CPU's kernel."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return counter.get_total_flops()


def test_it_generates_is_trained_and_knows_what_is_right():
    """Its quality is what is right, not what its own weights say in float32."""
    assert isinstance(TINY, Generates)
    assert isinstance(TINY, Trains)
    assert isinstance(TINY, KnowsTruth)
    assert not isinstance(TINY, Answers | KnowsAnswers)


def test_prompts_are_strings_of_the_test_and_ask_for_an_end_token():
    """Never one that was learned; a token is a character."""
    prompts = TINY.prompts(50, 3)
    assert all(of_test(prompt.text) for prompt in prompts)
    assert all(bytes(prompt.tokens).decode() == prompt.text for prompt in prompts)
    assert all(prompt.output_tokens == len(prompt.text) + 1 for prompt in prompts)
    assert prompts[:10] == TINY.prompts(10, 3)
    assert prompts != TINY.prompts(50, 4)


def test_an_answer_is_read_up_to_its_end_token():
    """What follows counts for nothing; the truth has no end token."""
    (prompt,) = TINY.prompts(1, 0)
    (truth,) = TINY.truth([prompt])
    assert truth == "".join(sorted(prompt.text))
    assert TINY.text(prompt, [*truth.encode(), 1, 99]) == truth
    assert TINY.text(prompt, [*truth.encode()]) == truth


def test_a_recorded_request_becomes_a_string_of_its_length():
    """As far as there are letters; the tokens asked for stay."""
    made = TINY.prompts_for([Ask(0.0, 6, 3), Ask(1.0, 400, 9), Ask(2.0, None, None, "abc")], 0)
    assert [(len(p.text), p.output_tokens) for p in made] == [(6, 3), (26, 9), (3, 4)]
    assert TINY.truth(made)[0] == "".join(sorted(made[0].text))[:3]


def test_steps_with_a_cache_say_what_one_call_says():
    """Each token follows from those before it, as in training."""
    model = TINY.model(None, 4).eval()
    ids = torch.randint(97, 123, (3, 7))
    answers, _ = generated(model, ids, 6)
    with torch.inference_mode():
        logits = model(ids, use_cache=False, answers=answers).logits
    assert torch.equal(logits.argmax(-1), answers)


def test_padding_on_either_side_changes_nothing():
    """Positions are relative, and padding is masked for encoder and decoder."""
    model = TINY.model(None, 4).eval()
    ids = torch.randint(97, 123, (1, 5))
    alone, _ = generated(model, ids, 5)
    fill, ones = torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 5, dtype=torch.long)
    for order in (1, -1):
        padded = torch.cat([ids, fill][::order], dim=1)
        mask = torch.cat([ones, fill][::order], dim=1)
        assert torch.equal(generated(model, padded, 5, mask)[0], alone)


def test_what_is_kept_is_what_the_layout_says():
    """Prompt tokens in the attention to the prompt, answer tokens in the decoder's own."""
    _, kept = generated(TINY.model(None, 0).eval(), torch.zeros(2, 7, dtype=torch.long), 5)
    held = sum(
        layer.keys.nbytes + layer.values.nbytes
        for own in (kept.cache.self_attention_cache, kept.cache.cross_attention_cache)
        for layer in own.layers
    )
    layout = TINY.kv(4.0)
    each = 2 * layout.layers * layout.kv_heads * layout.head_dim * layout.element_bytes
    assert held == 2 * (7 + 5) * each


def test_it_learns_to_sort_in_seconds():
    """Two hundred steps bring most strings of the test to the last letter."""
    workload = EncoderDecoder(longest=6, train=12_800)
    training = workload.training(workload.model(None, 1), 64, 1, Practice())
    (before,) = training.evaluate()
    for batch in training.batches(0):
        training.step(batch, quiet)
    (after,) = training.evaluate()
    assert (after.metric, after.split, after.n) == ("exact_match", "test", 512)
    assert before.value == 0.0
    assert after.value > 0.7


def test_saved_weights_come_back_though_some_are_tied(tmp_path):
    """The embedding is saved once and is there for encoder, decoder and head."""
    model = TINY.model(None, 0)
    TINY.training(model, 8, 0, Practice()).save(tmp_path / "weights.safetensors")
    again = TINY.model(tmp_path / "weights.safetensors", 9)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    assert again.t5.lm_head.weight is again.t5.shared.weight
    with pytest.raises(TrialError, match="of another model"):
        replace(TINY, encoder_layers=2).model(tmp_path / "weights.safetensors", 0)


def test_the_layers_that_may_be_recomputed_are_those_of_both_sides():
    """With recomputation the loss of a step is the same."""
    model = TINY.model(None, 0)
    plain = TINY.training(model, 8, 0, Practice())
    batch = next(iter(plain.batches(0)))
    expected = float(plain.step(batch, quiet).loss)
    other = TINY.model(None, 0)
    recomputed = TINY.training(other, 8, 0, Practice(checkpointing=True))
    assert float(recomputed.step(batch, quiet).loss) == pytest.approx(expected, rel=1e-5)


def test_geometry_tells_both_attentions_and_both_lengths():
    """Cross-attention, and how many tokens either side has."""
    told = TINY.geometry()
    assert told["encoder_decoder"] == {
        "cross_attention": True,
        "encoder_tokens": {"shortest": 4, "longest": 10},
        "decoder_tokens": {"shortest": 5, "longest": 11},
    }
    assert (told["encoder_layers"], told["decoder_layers"], told["layers"]) == (1, 2, 3)
    facts = TINY.facts()
    assert facts["data"]["kind"] == "synthetic"
    assert facts["parameters"] == sum(p.numel() for p in TINY.model(None, 0).parameters())


@pytest.mark.slow
def test_t5_base_has_its_published_size():
    """222,903,552 parameters, told without weights in every phase of inference."""
    assert T5_BASE.lower("prefill", 1, 64, 0).parameters == 222_903_552
    assert T5_BASE.lower("decode", 1, 1, 64).parameters == 222_903_552


def test_reading_a_prompt_lowers_as_torch_counts_it():
    """Encoder, keys and values for the decoder, and its first step."""
    model = TINY.model(None, 0).eval()
    told = counted(lambda: model(torch.zeros(3, 20, dtype=torch.long)))
    assert TINY.lower("prefill", 3, 20, 0).flops == told


def test_a_step_costs_the_same_however_the_context_is_divided():
    """Twelve of the prompt and five of the answer, or seventeen of the prompt."""
    model = TINY.model(None, 0).eval()
    _, kept = generated(model, torch.zeros(2, 12, dtype=torch.long), 5)
    told = counted(lambda: model(torch.zeros(2, 1, dtype=torch.long), past_key_values=kept))
    assert TINY.lower("decode", 2, 1, 17).flops == told
    (recording,) = [own for own in TINY.recordings() if own.phase == "decode"]
    assert recording.holds(64, 1, 4096)


def test_a_training_step_lowers_as_torch_counts_it():
    """An answer as long as its prompt, forward and backward."""
    from accelbench.suites.workloads.language import encoder_decoder_network as network

    model, ids = TINY.model(None, 0).train(), torch.zeros(4, 9, dtype=torch.long)
    told = counted(lambda: network.loss(model, {"ids": ids}, ids).backward())
    phases = ("train.forward", "train.backward")
    assert sum(TINY.lower(phase, 4, 9, 0).flops for phase in phases) == told


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decoder_layers": 0}, "above 0"),
        ({"vocab": 100}, "a token is a character"),
        ({"longest": 27}, "lengths lie between"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_a_workload_that_cannot_be_is_refused(options, said):
    """The message names the fields."""
    with pytest.raises(ValueError, match=said):
        EncoderDecoder(**options)
