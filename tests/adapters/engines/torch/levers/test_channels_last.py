"""Images and filters channels last: another layout, the same answers."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_layout_of_filters_and_images_changes_and_answers_do_not():
    """What is no image stays as it is."""
    from copy import deepcopy

    from accelbench.adapters.engines.torch.levers.options import Levers
    from accelbench.adapters.engines.torch.levers.pull import laid_out, pull

    levers = Levers(channels_last=True)
    before = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten()).eval()
    model, images = deepcopy(before), torch.randn(2, 3, 5, 5)
    told = pull(model, levers).facts
    placed = laid_out(images, levers)
    assert "NHWC" in told["layout"]
    assert placed.is_contiguous(memory_format=torch.channels_last)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        torch.testing.assert_close(model(placed), before(images))
    row = torch.randn(2, 3)
    assert laid_out(row, levers) is row
    assert laid_out(images, Levers()) is images
