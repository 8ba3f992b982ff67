"""The network that answers early when it is sure."""

import dataclasses

import numpy as np
import pytest

from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.early_exit import EarlyExit, ExitSamples

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch

WORKLOAD = EarlyExit(widths=(8, 8, 16), threshold=0.6)


@pytest.fixture(scope="module")
def run():
    """A run of three epochs, and its model."""
    model = WORKLOAD.model(None, 0)
    training = WORKLOAD.training(model, 32, 0, Practice())
    for epoch in range(3):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    return model.eval(), training


@pytest.fixture(scope="module")
def images():
    """The test images."""
    return torch.from_numpy(WORKLOAD.samples().inputs)


def with_threshold(model, threshold):
    """The same weights behind another threshold."""
    other = dataclasses.replace(WORKLOAD, threshold=threshold).network().eval()
    other.load_state_dict(model.state_dict())
    return other


@torch.no_grad()
def test_each_sample_leaves_at_the_first_exit_that_is_sure(run, images):
    """Its scores are those of that exit, as the whole path has them."""
    model, _ = run
    answers = model(images)
    whole = model.train()(images)
    model.eval()
    assert answers.shape == (len(images), 11)
    assert whole.shape == (len(images), 3, 10)
    sure = whole.softmax(dim=2).amax(dim=2) >= WORKLOAD.threshold
    sure[:, -1] = True
    expected = sure.int().argmax(dim=1) + 1
    assert torch.equal(answers[:, -1].long(), expected)
    assert len(expected.unique()) == 3
    rows = torch.arange(len(images))
    assert torch.allclose(answers[:, :-1], whole[rows, expected - 1], atol=1e-5)


@torch.no_grad()
def test_those_left_go_on_as_a_smaller_batch(run, images):
    """A stage sees as many samples as have not left before it, and none when all have."""
    model, _ = run
    seen = []
    hooks = [
        stage.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
        for stage in model.blocks
    ]
    depths = model(images)[:, -1]
    assert seen == [int((depths >= number).sum()) for number in (1, 2, 3)]
    seen.clear()
    model(images[depths == 1])
    assert seen == [int((depths == 1).sum())]
    for hook in hooks:
        hook.remove()


@torch.no_grad()
@pytest.mark.parametrize(("threshold", "depth"), [(1e-6, 1), (1.1, 3)])
def test_a_threshold_out_of_reach_decides_for_all(run, images, threshold, depth):
    """All leave at the first exit, or none before the last."""
    answers = with_threshold(run[0], threshold)(images)
    assert set(answers[:, -1].tolist()) == {depth}


def test_what_is_lowered_is_the_whole_path_and_its_cost_to_each_exit_is_told(run):
    """The last exit's cost is that of the whole graph; every one is less than the next."""
    exits = WORKLOAD.geometry()["exits"]
    graph = WORKLOAD.lower("forward", 3, 1, 0)
    assert exits["flops_per_sample"][-1] * 3 == graph.flops
    assert exits["lowered_as"].startswith("the whole path")
    assert exits["flops_per_sample"] == sorted(exits["flops_per_sample"])
    first = EarlyExit(widths=(8,)).lower("forward", 1, 1, 0)
    assert exits["flops_per_sample"][0] == first.flops
    assert WORKLOAD.geometry()["execution"].startswith("conditional")


def test_figures_tell_depths_their_cost_and_what_each_exit_is_worth():
    """By the first answer to each sample; an exit where none left has no accuracy."""
    samples = ExitSamples(np.zeros((4, 1)), np.array([0, 1, 0, 1]), flops=(10, 20, 40))
    answered = [
        ([0, 1], np.array([[9, 1, 1], [2, 1, 1]])),
        ([2, 1], np.array([[3, 1, 3], [0, 5, 3]])),
    ]
    found = samples.figures(iter(answered))
    assert found[0] == Quality("accuracy", "test", 2 / 3, 3)
    assert {(one.metric, one.value, one.n) for one in found} == {
        ("accuracy", 2 / 3, 3),
        ("exit.depth", 5 / 3, 3),
        ("exit.flops.mean", 20.0, 3),
        ("exit.flops.sd", 200**0.5, 3),
        ("exit.flops.share", 0.5, 3),
        ("exit.share.1", 2 / 3, 3),
        ("exit.share.2", 0.0, 3),
        ("exit.share.3", 1 / 3, 3),
        ("accuracy.exit.1", 0.5, 2),
        ("accuracy.exit.3", 1.0, 1),
    }
    assert samples.figures([]) == ()


def test_without_right_answers_depths_are_told_alone():
    """How deep a network goes is seen without knowing whether it is right."""
    samples = ExitSamples(np.zeros((1, 1)), np.zeros(1), scored=False, flops=(10, 20))
    found = samples.figures([([0], np.array([[1, 0, 2]]))])
    flops = {f"exit.flops.{part}" for part in ("mean", "sd", "share")}
    assert {one.metric for one in found} == {"exit.depth", "exit.share.1", "exit.share.2"} | flops


def test_all_exits_learn_together(run):
    """Each is right more often than not, and the record gets the figures of all of them."""
    model, training = run
    found = {one.metric: one for one in training.evaluate()}
    assert found["accuracy"].value > 0.85
    assert 1 < found["exit.depth"].value < 3
    assert 0 < found["exit.flops.share"].value < 1
    assert found["exit.flops.sd"].value > 0
    assert sum(found[f"exit.share.{own}"].value for own in (1, 2, 3)) == pytest.approx(1)
    scores = torch.zeros(2, 3, 10)
    scores[:, 1, 4] = 50.0
    loss = WORKLOAD.loss(scores, torch.tensor([4, 4]))
    assert float(loss) == pytest.approx(2 / 3 * np.log(10), rel=1e-4)
    assert "all exits" in WORKLOAD.facts()["training"]["loss"]
    assert model is not None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"widths": ()}, "widths and threshold"),
        ({"widths": (0,)}, "widths and threshold"),
        ({"threshold": 0.0}, "widths and threshold"),
        ({"widths": (4, 4, 4, 4)}, "at least 16"),
    ],
)
def test_options_out_of_range_are_refused(options, told):
    """In one line that names the option."""
    with pytest.raises(ValueError, match=told):
        EarlyExit(**options)
