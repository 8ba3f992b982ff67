"""The encoder that learns to tell kinds of text apart."""

import numpy as np
import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Answers, Padded, Trains
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.data.provenance import stretches
from accelbench.suites.workloads.language.encoder_classifier import EncoderClassifier

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

pytestmark = pytest.mark.torch

TINY = EncoderClassifier(hidden=32, layers=1, intermediate=48, tokens=192)


def quiet(_part):
    """Takes no note of the parts of a step."""


def counted(call):
    """FLOPs by torch's own counter; of attention it knows matrix products, but not the CPU's kernel."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        call()
    return counter.get_total_flops()


def test_it_answers_and_is_trained():
    """What it is asked for follows from its methods."""
    assert isinstance(TINY, Answers)
    assert isinstance(TINY, Trains)
    assert isinstance(TINY.samples(), Padded)


def test_samples_are_the_test_stretches_with_their_kinds():
    """A batch is as wide as its longest stretch; scores that are right make an accuracy of 1."""
    samples, test = TINY.samples(), stretches(0).test
    batch = samples.batch([0, 1])
    assert batch["input_ids"].shape[1] == max(len(test[0][0]), len(test[1][0]))
    assert bytes(batch["input_ids"][0, : len(test[0][0])].tolist()).decode("latin-1") == test[0][0]
    right = np.eye(3)[[kind for _, kind in test]]
    assert samples.figures([(range(samples.count), right)])[0].value == 1.0


def test_in_buckets_kinds_go_with_their_texts():
    """Ordered by length, a stretch keeps its kind."""
    bucketed = EncoderClassifier(tokens=192, padding="buckets")
    samples = bucketed.samples()
    kinds = dict(stretches(0).test)
    for place in (0, 200, 449):
        batch = samples.batch([place])
        length = int(batch["attention_mask"].sum())
        text = bytes(batch["input_ids"][0, :length].tolist()).decode("latin-1")
        assert kinds.get(text, samples.labels[place]) == samples.labels[place]
    lengths = samples.inputs["attention_mask"].sum(1)
    assert (np.diff(lengths) >= 0).all()


def test_it_learns_real_text_in_one_epoch():
    """From a third by guessing to well above a half on stretches that it never saw."""
    training = TINY.training(TINY.model(None, 1), 32, 1, Practice())
    (before,) = training.evaluate()
    for batch in training.batches(0):
        training.step(batch, quiet)
    (after,) = training.evaluate()
    assert (after.metric, after.split, after.n) == ("accuracy", "test", 450)
    assert before.value < 0.5
    assert after.value > 0.65


def test_saved_weights_come_back_unchanged(tmp_path):
    """What a training run saves is the model that was trained; another's is refused."""
    model = TINY.model(None, 0)
    training = TINY.training(model, 8, 0, Practice())
    training.step(next(iter(training.batches(0))), quiet)
    training.save(tmp_path / "weights.safetensors")
    again = TINY.model(tmp_path / "weights.safetensors", 9)
    for one, other in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(TrialError, match="of another model"):
        EncoderClassifier(hidden=32, layers=2, intermediate=48).model(
            tmp_path / "weights.safetensors", 0
        )


@pytest.mark.parametrize("method", ["lora", "adapter"])
def test_adapted_the_encoder_is_frozen_and_begins_as_it_was(method, tmp_path):
    """A few of its parameters and the last layer are trained, from the same answers on."""
    if method == "lora":
        pytest.importorskip("peft")
    whole = TINY.model(None, 0).eval()
    TINY.training(whole, 8, 0, Practice()).save(tmp_path / "weights.safetensors")
    adapted = EncoderClassifier(
        hidden=32, layers=1, intermediate=48, tokens=192, adaptation=method, rank=2
    )
    model = adapted.model(tmp_path / "weights.safetensors", 3).eval()
    ids = torch.randint(1, 200, (2, 20))
    with torch.inference_mode():
        assert torch.allclose(model(ids), whole(ids), atol=1e-6)
    trained = {name for name, own in model.named_parameters() if own.requires_grad}
    assert {"head.weight", "head.bias"} < trained
    assert not any("embeddings" in name for name in trained)
    peft = adapted.facts()["peft"]
    assert peft["method"] == method
    assert peft["rank"] == 2
    assert peft["trained_parameters"] == sum(
        own.numel() for own in model.parameters() if own.requires_grad
    )
    assert peft["share"] < 0.2


def test_a_training_step_lowers_as_torch_counts_it():
    """Forward and backward pass, without padding."""
    model = TINY.model(None, 0).train()

    def step():
        scores = model(torch.zeros(4, 24, dtype=torch.long))
        torch.nn.functional.cross_entropy(scores, torch.zeros(4, dtype=torch.long)).backward()

    lowered = [TINY.lower(phase, 4, 24, 0).flops for phase in ("train.forward", "train.backward")]
    assert sum(lowered) == counted(step)


def test_stretches_of_unequal_length_are_padded():
    """A policy without padding has nothing to stand on here."""
    with pytest.raises(ValueError, match="padding=none"):
        EncoderClassifier(padding="none")
    with pytest.raises(ValueError, match="learning_rate"):
        EncoderClassifier(learning_rate=0)
