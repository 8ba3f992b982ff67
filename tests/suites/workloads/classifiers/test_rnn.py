"""Recurrent networks on sequences of various lengths."""

import numpy as np
import pytest

from accelbench.harness.errors import MissingPart
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.rnn import Recurrent
from accelbench.suites.workloads.data import vowels

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

DIGITS = "digit_columns"


def _inputs(workload, count):
    batch = workload.samples().batch(range(count))
    return {name: torch.from_numpy(array) for name, array in batch.items()}


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_packed_and_padded_sequences_get_the_same_answers(cell):
    """Each is read at its own last step, and alone it gets the same answer as among others."""
    packed = Recurrent(sequences=DIGITS, cell=cell, layers=2)
    padded = Recurrent(sequences=DIGITS, cell=cell, layers=2, lengths="padded")
    inputs = _inputs(packed, 16)
    with torch.no_grad():
        one, other = (work.model(None, 3).eval()(**inputs) for work in (packed, padded))
        length = int(inputs["lengths"][5])
        alone = packed.model(None, 3).eval()(inputs["sequences"][5:6, :length])
    assert torch.allclose(one, other, atol=1e-6)
    assert torch.allclose(one[5:6], alone, atol=1e-6)


def test_what_lies_after_a_sequence_is_never_read():
    """Both directions of a packed network."""
    workload = Recurrent(sequences=DIGITS, bidirectional=True)
    inputs = _inputs(workload, 8)
    model = workload.model(None, 0).eval()
    spoiled = inputs["sequences"].clone()
    for place, length in enumerate(inputs["lengths"].tolist()):
        spoiled[place, length:] = 100.0
    with torch.no_grad():
        assert torch.equal(model(**inputs), model(spoiled, inputs["lengths"]))


def test_padding_is_told_with_its_share():
    """None is computed if packed; filled up to 8 columns a quarter is."""
    packed = Recurrent(sequences=DIGITS).geometry()["padding"]
    padded = Recurrent(sequences=DIGITS, lengths="padded").geometry()["padding"]
    assert packed["share"] == 0
    assert padded["share"] == packed["share_stored"] == pytest.approx(0.2617, abs=1e-4)
    assert "packed" in packed["policy"]
    assert "8 steps" in padded["policy"]


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
@pytest.mark.parametrize("lengths", ["packed", "padded"])
def test_flops_are_those_of_the_gates_and_of_the_steps_that_are_computed(cell, gates, lengths):
    """In closed form: all gates of input and state in every step, and one layer at the end."""
    workload = Recurrent(sequences=DIGITS, cell=cell, hidden=16, lengths=lengths)
    steps = {"packed": 6, "padded": 8}[lengths]
    assert workload.geometry()["rnn"]["lowered_steps"] == steps
    expected = 2 * 5 * (steps * gates * 16 * (8 + 16) + 16 * 10)
    assert workload.lower("forward", 5, 1, 0).flops == expected


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_it_learns_digits_column_by_column(cell):
    """A few epochs come near the gate."""
    workload = Recurrent(sequences=DIGITS, cell=cell, learning_rate=0.005)
    training = workload.training(workload.model(None, 0), 32, 0, Practice())
    for epoch in range(6):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    (found,) = training.evaluate()
    assert found.metric == "accuracy"
    assert found.value > 0.88


def test_activations_of_cells_can_be_recomputed():
    """With packed sequences, to the same loss and weights."""
    workload = Recurrent(sequences=DIGITS)
    ended = []
    for checkpointing in (False, True):
        model = workload.model(None, 0)
        training = workload.training(model, 32, 0, Practice(checkpointing=checkpointing))
        step = training.step(next(iter(training.batches(0))), lambda _: None)
        ended.append((float(step.loss), model.classify.weight.detach()))
    assert ended[0][0] == pytest.approx(ended[1][0])
    assert torch.allclose(ended[0][1], ended[1][1], atol=1e-6)


def test_speech_that_is_not_here_names_the_command(monkeypatch, tmp_path):
    """Geometry, and with it a plan, needs it not."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vowels._read.cache_clear()
    workload = Recurrent()
    assert workload.geometry()["rnn"]["steps"]["longest"] == 29
    with pytest.raises(MissingPart, match="accelbench models get japanese_vowels"):
        workload.facts()


def test_bfloat16_runs_on_packed_sequences():
    """Lengths stay whole numbers."""
    workload = Recurrent(sequences=DIGITS)
    inputs = _inputs(workload, 4)
    model = workload.model(None, 0).eval()
    with torch.no_grad():
        exact = model(**inputs)
        near = model.bfloat16()(inputs["sequences"].bfloat16(), inputs["lengths"])
    assert np.abs(exact.numpy() - near.float().numpy()).max() < 0.05


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": 0}, "hidden and layers"),
        ({"bidirectional": True, "lengths": "padded"}, "use packed"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    """In one line."""
    with pytest.raises(ValueError, match=told):
        Recurrent(**options)
