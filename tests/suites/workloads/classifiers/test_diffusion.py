"""The denoiser of images."""

import numpy as np
import pytest

from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.diffusion import Diffusion
from accelbench.suites.workloads.data.noised import kept

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

WORKLOAD = Diffusion(width=8, heads=2, steps=20)


@torch.no_grad()
def test_who_knows_the_noise_answers_the_image_one_step_earlier():
    """The step of the network, given the true noise, gives the truth of the test samples."""
    samples, shares = WORKLOAD.samples(), kept(20)
    inputs = {name: torch.from_numpy(array) for name, array in samples.inputs.items()}
    truth = torch.from_numpy(samples.labels)
    now, before = (
        torch.from_numpy(shares[samples.inputs["steps"] - less]).float().view(-1, 1, 1, 1)
        for less in (0, 1)
    )
    # Two images with the same noise determine it.
    noise = (truth - (before / now).sqrt() * inputs["images"]) / (
        (1 - before).sqrt() - (before * (1 - now) / now).sqrt()
    )
    model = WORKLOAD.network().eval()
    model._noise = lambda *_: noise
    assert torch.allclose(model(**inputs), truth, atol=1e-4)
    assert samples.figures([(range(samples.count), model(**inputs).numpy())])[0].value < 1e-6


@torch.no_grad()
def test_it_is_told_how_noisy_an_image_is():
    """The same image after another number of steps is answered otherwise."""
    torch.manual_seed(0)
    model = WORKLOAD.network()
    images = torch.randn(1, 1, 8, 8).expand(2, -1, -1, -1)
    noise = model(images, torch.tensor([3, 12]))
    assert noise.shape == images.shape
    assert not torch.allclose(noise[0], noise[1], atol=1e-4)


def test_it_learns_to_see_the_noise():
    """After one epoch the error is well below that of one who guesses nothing, which is 1."""
    training = WORKLOAD.training(WORKLOAD.model(None, 0), 64, 0, Practice())
    losses = [float(training.step(b, lambda _: None).loss) for b in training.batches(0)]
    assert np.mean(losses[-5:]) < 0.7
    found = training.evaluate()[0]
    assert (found.metric, found.n) == ("loss", 360)


def test_geometry_is_that_of_the_network():
    """Channels of each block, and the pixels that attend to one another."""
    model, geometry = WORKLOAD.network(), WORKLOAD.geometry()
    channels = [
        [block.first[-1].in_channels, block.second[-1].out_channels] for block in model.blocks
    ]
    assert [block["channels"] for block in geometry["blocks"]] == channels
    seen = []
    model.attention.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    model(torch.zeros(1, 1, 8, 8), torch.ones(1, dtype=torch.int64))
    assert geometry["tokens_per_image"] == seen[0][2] * seen[0][3]
    assert geometry["heads"] * geometry["head_dim"] == seen[0][1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 6}, "multiple of 4"),
        ({"heads": 5}, "one of heads"),
        ({"steps": 1}, "steps above 1"),
        ({"images": "noise", "image_side": 7}, "even"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, told):
    """In one line that names the option."""
    with pytest.raises(ValueError, match=told):
        Diffusion(**options)
