"""Language modelling: what a token costs, how a decoder learns, and what of it is trained."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402  (after the check)

from accelbench.harness.errors import TrialError  # noqa: E402  (likewise)
from accelbench.harness.schema.builders import Answers, Generates, Trains  # noqa: E402  (likewise)
from accelbench.harness.schema.training import Practice  # noqa: E402  (likewise)
from accelbench.suites.workloads.language.language_model import (  # noqa: E402  (likewise)
    LanguageModel,
    Windows,
)

pytestmark = pytest.mark.torch

SIZES = {
    "hidden": 32, "layers": 2, "heads": 4, "kv_heads": 2, "intermediate": 48, "sequence_tokens": 33,
}  # fmt: skip
TINY = LanguageModel(**SIZES)
KINDS = [
    {},
    {"attention": "sliding", "window": 8},
    {"attention": "linear", "kv_heads": 4},
    {"experts": 4},
    {"adaptation": "lora"},
    {"adaptation": "adapter"},
]


def made(**options):
    """The small workload with these options."""
    if options.get("adaptation") == "lora":
        pytest.importorskip("peft")
    return LanguageModel(**SIZES | options)


def test_it_answers_and_is_trained_but_does_not_generate():
    """It is no second way to ask a decoder."""
    assert isinstance(TINY, Answers)
    assert isinstance(TINY, Trains)
    assert not isinstance(TINY, Generates)


@pytest.mark.parametrize("options", KINDS)
def test_a_token_costs_its_negative_log_likelihood(options):
    """That of each token but the first of a window, by the decoder's own logits."""
    model = made(**options).model(None, 0).eval()
    ids = torch.from_numpy(TINY.samples().batch([0, 1]))
    with torch.inference_mode():
        costs, logits = model(ids), model.decoder(ids, use_cache=False).logits[:, :-1]
    wanted = -logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    assert costs.shape == (2, 32)
    torch.testing.assert_close(costs, wanted, rtol=1e-4, atol=1e-4)


def test_perplexity_rests_on_the_first_answer_to_each_window():
    """It is e to the mean cost of a token; nothing answered has none."""
    windows = Windows(np.zeros((3, 3), dtype=np.int64))
    answered = [([0, 1], [[0.0, 2.0], [4.0, 6.0]]), ([0], [[9.0, 9.0]])]
    quality = windows.figures(answered)[0]
    assert (quality.metric, quality.split, quality.n) == ("perplexity", "test", 2)
    assert quality.value == pytest.approx(math.exp(3.0))
    assert windows.figures([]) == ()


def test_perplexity_of_training_is_that_of_its_answers():
    """Both tell the same of the same model and windows."""
    model = TINY.model(None, 0).eval()
    samples = TINY.samples()
    with torch.inference_mode():
        answers = model(torch.from_numpy(samples.ids)).numpy()
    told = {q.metric: q for q in TINY.training(model, 8, 0, Practice()).evaluate()}
    scored = samples.figures([(range(samples.count), answers)])[0]
    assert told["perplexity"].value == pytest.approx(scored.value, rel=1e-5)
    assert told["loss"].value == pytest.approx(math.log(scored.value), rel=1e-5)
    assert told["loss"].n == scored.n == samples.count


@pytest.mark.parametrize("options", KINDS)
def test_steps_lower_the_loss_and_train_what_is_told(options, tmp_path):
    """The weights come back from their file, adapted or not, and no frozen one has changed."""
    workload = made(**options, learning_rate=0.01)
    model = workload.model(None, 0)
    training = workload.training(model, 16, 0, Practice())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    first = training.evaluate()[0].value
    for _, batch in zip(range(12), training.batches(0), strict=False):
        training.step(batch, lambda _: None)
    assert training.evaluate()[0].value < first
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {name for name, p in model.named_parameters() if p.requires_grad}
    told = workload.facts()["peft"]
    assert told["trained_parameters"] == training.facts()["trained_parameters"]
    training.save(tmp_path / "weights.safetensors")
    again = workload.model(tmp_path / "weights.safetensors", 9).eval()
    ids = torch.from_numpy(workload.samples().batch([0]))
    with torch.inference_mode():
        torch.testing.assert_close(again(ids), model.eval()(ids))


@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_tuning_goes_on_from_weights_that_were_trained_without_it(method, tmp_path):
    """The model begins with their loss; the other way round they are of another model."""
    file = tmp_path / "weights.safetensors"
    base, tuned = TINY.model(None, 3), made(adaptation=method)
    TINY.training(base, 8, 0, Practice()).save(file)
    ids = torch.from_numpy(TINY.samples().batch([0]))
    begun = tuned.model(file, 0)
    with torch.inference_mode():
        torch.testing.assert_close(begun.eval()(ids), base.eval()(ids))
    tuned.training(begun, 8, 0, Practice()).save(file)
    with pytest.raises(TrialError, match="of another model"):
        TINY.model(file, 0)


def test_blocks_can_be_recomputed():
    """The decoder's layers give the same loss with activations dropped."""
    ids = torch.from_numpy(TINY.samples().batch([0, 1]))
    losses = []
    for checkpointing in (False, True):
        training = TINY.training(TINY.model(None, 0), 2, 0, Practice(checkpointing=checkpointing))
        losses.append(float(training.step([ids], lambda _: None).loss))
    assert losses[0] == pytest.approx(losses[1])


def test_training_tells_how_evenly_experts_were_used():
    """Steps count, evaluations do not; a dense model tells nothing of it."""
    workload = made(experts=4)
    training = workload.training(workload.model(None, 0), 16, 0, Practice())
    training.evaluate()
    assert training.facts()["experts"]["cv"] is None
    training.step(next(iter(training.batches(0))), lambda _: None)
    assert training.facts()["experts"]["cv"] > 0
    assert training.facts()["experts"]["busiest_over_mean"] > 1
    assert "experts" not in TINY.training(TINY.model(None, 0), 8, 0, Practice()).facts()


def test_weights_depend_on_the_seed_alone():
    """They are drawn from the seed of the trial, as of any model that is trained."""
    one, same, other = (next(TINY.model(None, seed).parameters()) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_facts_and_geometry_say_what_a_window_is():
    """Real text, packed; windows of one length, of which all tokens but the first are scored."""
    facts, geometry = TINY.facts(), TINY.geometry()
    assert facts["weights"] == "random"
    assert facts["data"]["kind"] == "real"
    assert facts["data"]["tokens"]["test"] == TINY.samples().ids.size
    assert facts["data"]["test"] == TINY.samples().count
    assert "cut into windows" in facts["data"]["packing"]
    assert facts["training"]["optimizer"].startswith("AdamW")
    assert geometry["sequence"] == {"tokens": 33, "scored": 32}
    assert geometry["padding"]["share"] == 0.0


@pytest.mark.parametrize("phase", ["forward", "train.forward", "train.backward"])
def test_flops_of_linear_attention_are_those_of_torchs_counter(phase):
    """A model all of whose products the counter knows agrees to the last operation."""
    workload = made(attention="linear", kv_heads=4)
    model, ids = workload.model(None, 0), torch.zeros(5, 33, dtype=torch.long)
    with FlopCounterMode(display=False) as forward:
        loss = model.train()(ids).mean()
    with FlopCounterMode(display=False) as backward:
        loss.backward()
    wanted = backward if phase == "train.backward" else forward
    assert workload.lower(phase, 5, 1, 0).flops == wanted.get_total_flops() > 0


def test_adaptation_saves_gradients_of_frozen_weights():
    """The backward pass of low-rank tuning asks for less than that of all parameters."""
    lean = made(adaptation="adapter")
    every, few = (own.lower("train.backward", 2, 1, 0).flops for own in (TINY, lean))
    assert 0 < few < every
    assert len(lean.recordings()) >= 1


def test_an_unknown_phase_is_refused():
    """With those there are."""
    with pytest.raises(TrialError, match="no phase 'prefill'"):
        TINY.lower("prefill", 1, 8, 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"vocab": 100}, "vocab must be at least 256"),
        ({"sequence_tokens": 1}, "at least 2"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"rank": 0}, "rank"),
        ({"held_out": 0.0}, "held_out"),
        ({"window": 3}, "attention=sliding"),
    ],
)
def test_options_that_cannot_be_are_refused(options, said):
    """The message names the field."""
    with pytest.raises(ValueError, match=said):
        LanguageModel(**SIZES | options)
