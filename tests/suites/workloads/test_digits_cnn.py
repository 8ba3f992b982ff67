"""The convolutional network on scikit-learn's digits."""

import hashlib

import numpy as np
import pytest

from accelbench.harness.errors import ForeignError, TrialError
from accelbench.harness.schema.protocols import Quality
from accelbench.suites.workloads.digits_cnn import DigitSamples, DigitsCnn

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


def same(one, other):
    """Whether two models have the same weights."""
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_data_are_real_and_named_with_their_digest():
    """Facts name the source, its licence and the digest of the very bytes scikit-learn ships."""
    from sklearn.datasets import load_digits

    facts = DigitsCnn().facts()
    pixels = load_digits().data
    assert facts["weights"] == "random"
    assert facts["data"]["kind"] == "real"
    assert facts["data"]["licence"]
    assert facts["data"]["sha256"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert (facts["data"]["train"], facts["data"]["test"]) == (1437, 360)


def test_the_split_is_fixed_and_stratified():
    """Each digit has the same share of the test split, and another seed splits otherwise."""
    test = DigitsCnn().samples()
    assert test.count == 360
    assert np.array_equal(test.labels, DigitsCnn().samples().labels)
    assert set(np.bincount(test.labels)) <= {35, 36, 37}
    assert not np.array_equal(test.images, DigitsCnn(split_seed=1).samples().images)


def test_samples_are_images_between_black_and_white():
    """A batch is float32 in [0, 1], one channel of 8 x 8 pixels."""
    batch = DigitsCnn().samples().batch([3, 1, 3])
    assert (batch.dtype, batch.shape) == (np.float32, (3, 1, 8, 8))
    assert batch.min() == 0
    assert batch.max() == 1
    assert np.array_equal(batch[0], batch[2])


def test_accuracy_rests_on_the_first_answer_to_each_sample():
    """Later answers do not count, nor samples that were never asked."""
    samples = DigitSamples(np.zeros((3, 1, 8, 8), np.float32), np.array([1, 0, 2]))
    scores = np.eye(3)
    answered = [([0, 1], scores[[1, 2]]), ([1], scores[[0]])]
    assert samples.score(answered) == Quality("accuracy", "test", 0.5, 2)
    assert samples.score([]) is None


def test_the_seed_alone_decides_the_initial_weights():
    """The global random state neither matters nor is touched."""
    workload = DigitsCnn()
    torch.manual_seed(5)
    first = workload.model(None, 1)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert same(first, workload.model(None, 1))
    assert not same(first, workload.model(None, 2))


def test_each_epoch_has_all_images_once_in_its_own_order():
    """Batches are full but for the last, and the order depends on seed and epoch."""
    workload = DigitsCnn(channels=2)
    training = workload.training(workload.model(None, 0), 32, 7)
    again = workload.training(workload.model(None, 0), 32, 7)
    first, second = training.batches(0), training.batches(1)
    assert [len(labels) for _, labels in first] == [32] * 44 + [29]
    assert torch.equal(first[0][0], again.batches(0)[0][0])
    assert not torch.equal(first[0][0], second[0][0])
    assert torch.equal(
        torch.cat([labels for _, labels in first]).bincount(),
        torch.cat([labels for _, labels in second]).bincount(),
    )


def test_saved_weights_come_back_unchanged(tmp_path):
    """What a training run saves is the model that was trained."""
    workload = DigitsCnn(channels=2)
    model = workload.model(None, 0)
    training = workload.training(model, 256, 0)
    assert training.step(training.batches(0)[0]) == 256
    training.save(tmp_path / "weights.safetensors")
    assert same(model, workload.model(tmp_path / "weights.safetensors", seed=9))
    assert not same(model, workload.model(None, 0))


def test_weights_of_another_network_are_refused_in_one_line(tmp_path):
    """The message names the file, and what did not fit."""
    workload = DigitsCnn(channels=2)
    training = workload.training(workload.model(None, 0), 32, 0)
    training.save(tmp_path / "weights.safetensors")
    with pytest.raises(ForeignError, match=r"weights\.safetensors: loading the weights") as found:
        DigitsCnn(channels=4).model(tmp_path / "weights.safetensors", 0)
    assert "\n" not in str(found.value)


def test_it_has_no_prompts_and_no_hugging_face_folder(tmp_path):
    """A classifier does not generate."""
    with pytest.raises(TrialError, match="no prompts"):
        DigitsCnn().prompts(1, 0)
    with pytest.raises(TrialError, match="no prompts"):
        DigitsCnn().prompts_for([], 0)
    with pytest.raises(TrialError, match="no Hugging Face folder"):
        DigitsCnn().export(tmp_path)


def test_options_out_of_range_are_refused():
    """A network without filters is none."""
    with pytest.raises(ValueError, match="above 0"):
        DigitsCnn(channels=0)


def test_geometry_is_that_of_the_network():
    """Channels, kernels, strides and map sizes are those its layers have and see."""
    workload = DigitsCnn(channels=3, hidden=5)
    model, seen = workload.model(None, 0), {}
    for layer in model:
        layer.register_forward_hook(lambda one, given, _: seen.update({one: given[0].shape}))
    model(torch.zeros(1, 1, 8, 8))
    convolutions = [layer for layer in model if isinstance(layer, torch.nn.Conv2d)]
    geometry = workload.geometry()
    assert geometry["convolutions"] == [
        {
            "in": layer.in_channels,
            "out": layer.out_channels,
            "kernel": list(layer.kernel_size),
            "stride": list(layer.stride),
            "feature_map": list(seen[layer][-2:]),
            "depthwise": layer.groups > 1,
        }
        for layer in convolutions
    ]
    linear = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    assert geometry["linear"] == [[layer.in_features, layer.out_features] for layer in linear]
    assert geometry["input_shapes"] == {"1x8x8": 1.0}
    assert workload.kv(4.0) is None


def test_facts_tell_how_it_is_trained():
    """Optimiser and step size are those of the training run."""
    workload = DigitsCnn(channels=2, hidden=4, learning_rate=0.01)
    optimiser = workload.training(workload.model(None, 0), 8, 0)._optimiser
    told = workload.facts()["training"]["optimizer"]
    assert type(optimiser).__name__ in told
    assert f"{optimiser.defaults['lr']:g}" in told
