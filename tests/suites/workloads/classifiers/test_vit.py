"""Vision transformers."""

import pytest

from accelbench.suites.workloads.classifiers.vit import Vit

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

VIT_B16 = Vit(
    images="noise",
    image_channels=3,
    image_side=224,
    classes=1000,
    patch=16,
    hidden=768,
    blocks=12,
    heads=12,
    intermediate=3072,
)


def test_vit_b16_is_the_published_one():
    """Parameters as in the paper's code; FLOPs in closed form, attention's two products too."""
    graph = VIT_B16.lower("forward", 1, 1, 0)
    assert graph.parameters == 86_567_656
    tokens, hidden = 197, 768
    embedding = 196 * 3 * 16 * 16 * hidden
    block = tokens * hidden * (4 * hidden + 2 * 3072) + 2 * tokens * tokens * hidden
    assert graph.flops == 2 * (embedding + 12 * block + hidden * 1000)


def test_geometry_is_that_of_the_network():
    """Layers, heads, widths, and a token for each patch and one for the class."""
    workload = Vit(patch=4, hidden=12, blocks=2, heads=3, intermediate=20)
    model, geometry = workload.network(), workload.geometry()
    assert geometry["layers"] == len(model.blocks) == 2
    assert geometry["tokens_per_image"] == model.places.shape[1] == 5
    assert geometry["heads"] * geometry["head_dim"] == geometry["hidden"] == 12
    assert geometry["intermediate"] == model.blocks[0].feed[0].out_features


def test_patches_are_told_apart_by_their_places():
    """The same patches in another order are another image."""
    torch.manual_seed(0)
    model = Vit(hidden=16, blocks=1, heads=2, intermediate=16).network().eval()
    images = torch.rand(1, 1, 8, 8)
    with torch.no_grad():
        assert not torch.allclose(model(images), model(images.flip(2)), atol=1e-6)
        model.places.zero_()
        turned = images.view(1, 1, 4, 2, 8).flip(2).reshape(1, 1, 8, 8)
        assert torch.allclose(model(images), model(turned), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"patch": 3}, "multiple of patch"),
        ({"heads": 3}, "one of heads"),
        ({"blocks": 0}, "above 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, told):
    """In one line that names the option."""
    with pytest.raises(ValueError, match=told):
        Vit(**options)
