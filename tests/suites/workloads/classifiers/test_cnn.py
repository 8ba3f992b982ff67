"""Convolutional networks: plain, residual, depthwise-separable."""

import numpy as np
import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.cnn import Cnn
from accelbench.suites.workloads.classifiers.cnn_layers import Convolution
from accelbench.suites.workloads.classifiers.cnn_residual import ResNet
from accelbench.suites.workloads.classifiers.cnn_separable import SeparableCnn

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

LARGE = {"images": "noise", "image_channels": 3, "image_side": 224, "classes": 1000}
RESNET_50 = ResNet(block="bottleneck", width=64, stages=(3, 4, 6, 3), stem="imagenet", **LARGE)
MOBILENET_V1 = SeparableCnn(
    width=32,
    stem_stride=2,
    channels=(64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024),
    strides=(1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1),
    **LARGE,
)


@pytest.mark.parametrize(
    "workload",
    [
        Cnn(channels=3, hidden=5),
        Cnn(images="noise", image_channels=2, image_side=13, classes=4),
        ResNet(width=4, stages=(2, 1)),
        ResNet(width=2, stages=(1, 1, 1), block="bottleneck", images="noise", image_side=7),
        ResNet(width=2, stages=(1, 2), stem="imagenet", images="noise", image_side=33),
        SeparableCnn(width=4, channels=(6, 8), strides=(2, 1)),
        RESNET_50,
        MOBILENET_V1,
    ],
    ids=lambda one: f"{one.name}-{one.image_side}",
)
def test_geometry_is_that_of_the_network(workload):
    """Channels, kernels, strides and map sizes are those its layers have and see, in order."""
    with torch.device("meta"):
        model, images = workload.network().eval(), workload.example(1)
    seen, widths = [], []

    def note(layer, given, _):
        if isinstance(layer, torch.nn.Conv2d):
            seen.append(
                {
                    "in": layer.in_channels,
                    "out": layer.out_channels,
                    "kernel": list(layer.kernel_size),
                    "stride": list(layer.stride),
                    "feature_map": list(given[0].shape[-2:]),
                    "depthwise": layer.groups > 1,
                }
            )
        elif isinstance(layer, torch.nn.Linear):
            widths.append([layer.in_features, layer.out_features])

    for layer in model.modules():
        layer.register_forward_hook(note)
    model(images)
    geometry = workload.geometry()
    assert geometry["convolutions"] == seen
    assert geometry["linear"] == widths
    assert geometry["execution"] == "dense"


@pytest.mark.parametrize(
    ("workload", "parameters", "mega_macs"),
    [(RESNET_50, 25_557_032, 4089), (MOBILENET_V1, 4_231_976, 569)],
    ids=["resnet50", "mobilenet_v1"],
)
def test_full_size_networks_are_the_published_ones(workload, parameters, mega_macs):
    """Parameters and multiply-adds as their authors and libraries tell; lowered without weights."""
    graph = workload.lower("forward", 1, 1, 0)
    assert graph.parameters == parameters
    assert round(graph.flops / 2e6) == mega_macs
    linear = 2 * workload.convolutions()[-1].channels_out * workload.classes
    assert graph.flops == sum(own.flops for own in workload.convolutions()) + linear


def test_flops_of_a_convolution_are_two_for_each_multiply_add():
    """A depthwise one has as many fewer as it has channels; stride 2 rounds maps up."""
    full = Convolution(8, 8, 3, 7, stride=2)
    assert full.side_out == 4
    assert full.flops == 2 * 9 * 8 * 8 * 16
    assert Convolution(8, 8, 3, 7, stride=2, depthwise=True).flops * 8 == full.flops


@pytest.mark.parametrize(
    "workload", [ResNet(width=8), SeparableCnn(width=8)], ids=lambda one: one.name
)
def test_folded_normalisation_changes_operators_and_no_answers(workload, tmp_path):
    """With the weights of a trained network; fewer parameters and operators, and it says so."""
    model = workload.model(None, 0)
    training = workload.training(model, 64, 0, Practice())
    for _, batch in zip(range(3), training.batches(0), strict=False):
        training.step(batch, lambda _: None)
    training.save(tmp_path / "w.safetensors")
    folding = type(workload)(width=8, fold_norm=True)
    folded = folding.model(tmp_path / "w.safetensors", 0)
    images = torch.from_numpy(workload.samples().batch(range(50)))
    with torch.no_grad():
        assert torch.allclose(folded(images), model.eval()(images), atol=1e-4)
    assert not any(isinstance(own, torch.nn.BatchNorm2d) for own in folded.modules())
    graph, apart = folding.lower("forward", 2, 1, 0), workload.lower("forward", 2, 1, 0)
    assert graph.flops == apart.flops
    assert graph.parameters == sum(own.numel() for own in folded.parameters())
    assert graph.parameters < apart.parameters
    assert sum(op.count for op in graph.operators) < sum(op.count for op in apart.operators)
    told = [one.geometry()["normalisation"] for one in (folding, workload)]
    assert ["folded" in one for one in told] == [True, False]


def test_folded_normalisation_is_not_trained():
    """Neither for real nor lowered; the message says what to do."""
    workload = ResNet(width=4, fold_norm=True)
    with pytest.raises(TrialError, match=r"cannot be trained.*fold_norm=false"):
        workload.training(workload.model(None, 0), 8, 0, Practice())
    with pytest.raises(TrialError, match="cannot be trained"):
        workload.lower("train.forward", 1, 1, 0)


def test_a_residual_block_adds_what_it_was_given():
    """Where its convolutions answer nothing, what comes out is what went in, rectified."""
    block = ResNet(width=4, stages=(1,)).network().eval().blocks[0]
    torch.nn.init.zeros_(block.path[-1].convolution.weight)
    maps = torch.randn(2, 4, 8, 8)
    assert torch.allclose(block(maps), maps.relu())


@pytest.mark.parametrize(
    "workload",
    [Cnn(channels=16, learning_rate=0.01), ResNet(width=8), SeparableCnn(width=8)],
    ids=lambda one: one.name,
)
def test_it_learns_digits_in_seconds(workload):
    """Three epochs lead to nine right answers of ten on images that it has not seen."""
    training = workload.training(workload.model(None, 0), 32, 0, Practice())
    for epoch in range(3):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    found = training.evaluate()[0]
    assert (found.metric, found.split, found.n) == ("accuracy", "test", 360)
    assert found.value > 0.9


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Cnn(channels=0), "channels and hidden"),
        (lambda: Cnn(images="noise", image_side=3), "at least 4"),
        (lambda: ResNet(width=0), "width"),
        (lambda: ResNet(stages=()), "stage"),
        (lambda: ResNet(stages=(1, 0)), "stage"),
        (lambda: SeparableCnn(channels=(8,), strides=(1, 2)), "one number for each block"),
        (lambda: SeparableCnn(channels=(), strides=()), "one number for each block"),
        (lambda: SeparableCnn(channels=(8,), strides=(0,)), "above 0"),
    ],
)
def test_options_out_of_range_are_refused(make, told):
    """In one line that names the option."""
    with pytest.raises(ValueError, match=told):
        make()


def test_the_scores_are_of_the_images_asked_for():
    """Accuracy of the model's own answers is what its evaluation finds."""
    workload = Cnn(channels=4, hidden=8)
    model = workload.model(None, 0)
    training = workload.training(model, 32, 0, Practice())
    found = training.evaluate()[0]
    samples = workload.samples()
    with torch.no_grad():
        answers = model(torch.from_numpy(samples.inputs)).numpy()
    assert found == samples.figures([(range(samples.count), answers)])[0]
    assert found.value == pytest.approx(np.mean(answers.argmax(1) == samples.labels))
