"""Multilayer perceptrons."""

import pytest

from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.mlp import Mlp

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("width", "depth"), [(16, 1), (8, 6)])
def test_geometry_is_that_of_the_network(width, depth):
    """Layers and their widths, those of input and answer as well."""
    workload = Mlp(width=width, depth=depth)
    linear = [
        [own.in_features, own.out_features]
        for own in workload.network().modules()
        if isinstance(own, torch.nn.Linear)
    ]
    geometry = workload.geometry()
    assert geometry["linear"] == linear
    assert geometry["layers"] == len(linear) == depth + 1


def test_flops_are_two_for_each_weight_and_image():
    """What a matrix product costs in closed form."""
    workload = Mlp(width=24, depth=3)
    products = 64 * 24 + 2 * 24 * 24 + 24 * 10
    assert workload.lower("forward", 5, 1, 0).flops == 2 * 5 * products
    backward = workload.lower("train.backward", 5, 1, 0).flops
    assert backward == 2 * 5 * (2 * products - 64 * 24)  # images need no gradient


def test_many_narrow_layers_learn_too():
    """Their weights begin so that signals neither grow nor fade."""
    workload = Mlp(width=32, depth=6)
    training = workload.training(workload.model(None, 0), 32, 0, Practice())
    for epoch in range(5):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    assert training.evaluate()[0].value > 0.85


@pytest.mark.parametrize("options", [{"width": 0}, {"depth": 0}])
def test_a_network_without_neurons_is_refused(options):
    """In one line."""
    with pytest.raises(ValueError, match="width and depth"):
        Mlp(**options)
