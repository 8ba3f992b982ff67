"""The three parts of a training step, held against closed forms and torch's own counter."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402  (after the check that torch is there)
from hypothesis import strategies as st  # noqa: E402  (likewise)
from torch import nn  # noqa: E402  (likewise)
from torch.nn import functional  # noqa: E402  (likewise)
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402  (likewise)
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402  (likewise)

from accelbench.harness.schema.phases import TRAINING  # noqa: E402  (likewise)
from accelbench.suites.workloads.lowering import graphs  # noqa: E402  (likewise)
from tests.suites.workloads.lowering.lowered import (  # noqa: E402  (likewise)
    Doing,
    by_numbers,
    content,
    graph,
    operator,
    trained,
)

pytestmark = pytest.mark.torch


def counted(model, *shape):
    """FLOPs of a real forward and backward pass by torch's own counter."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(shape)).mean().backward()
    return counter.get_total_flops()


class SelfAttention(nn.Module):
    """Causal attention between two projections."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        """Shape (batch, tokens, 8)."""
        query, key, value = (
            own.unflatten(-1, (2, 4)).transpose(1, 2) for own in self.into(x).chunk(3, dim=-1)
        )
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(found.transpose(1, 2).flatten(2))


MODELS = {
    "mlp": (lambda: nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), (4, 5)),
    "cnn": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3),
            nn.MaxPool2d(2),
        ),
        (4, 2, 13, 13),
    ),
    "attention": (SelfAttention, (4, 6, 8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_flops_of_a_step_are_those_of_torchs_counter(name):
    """Forward and backward pass together, to the last one."""
    build, shape = MODELS[name]
    expected = counted(build(), *shape)
    subject, key = trained(build(), *shape[1:]), object()
    found = [graphs.lower(subject, key, phase, shape[0], 1, 0) for phase in TRAINING]
    assert sum(own.flops for own in found) == expected > 0
    assert found[2].flops == 0


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_a_filter_learns_from_the_channels_of_its_group_alone(kind):
    """Each gradient costs the forward pass, whatever torch's counter says of groups."""
    shape, group = (3, 6, 9, 9), 2
    for groups, factor in ((1, 0), (group, group - 1)):
        model = nn.Sequential(kind(6, 6, 1, bias=False), kind(6, 4, 3, stride=2, groups=groups))
        expected = counted(model, *shape)
        subject, key = trained(model, *shape[1:]), object()
        forward, backward, _ = (graphs.lower(subject, key, name, 3, 1, 0) for name in TRAINING)
        (first, second) = [op for op in forward.operators if op.name == "aten.convolution"]
        assert backward.flops == first.flops + 2 * second.flops
        assert expected == forward.flops + backward.flops + factor * second.flops


def test_the_parts_of_a_step_are_recorded_together():
    """One run of the model shows forward and backward pass."""
    subject, key = trained(nn.Linear(3, 2), 3), object()
    graphs.lower(subject, key, "train.backward", 4, 1, 0)
    assert [own.phase for own in graphs.recordings(key)] == list(TRAINING)


def test_backward_of_a_linear_layer_is_two_products():
    """Gradients of weights and of inputs cost as much as the forward pass each."""
    model = nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 3, bias=False))
    found = graph(trained(model, 5), "train.backward", 4)
    products = [op for op in found.operators if op.name == "aten.mm"]
    assert sorted(op.flops for op in products) == [2 * 4 * 7 * 3, 2 * 4 * 7 * 3, 2 * 4 * 5 * 7]


def test_attention_stays_whole_in_both_passes():
    """Two products forward and four backward, and no matrix of scores in memory."""
    subject, key = trained(SelfAttention(), "t", 8), object()
    forward, backward, _ = (graphs.lower(subject, key, phase, 3, 50, 0) for phase in TRAINING)
    whole = operator(forward, "aten.scaled_dot_product_attention")
    back = operator(backward, "accelbench.attention_backward")
    one = 3 * 2 * 50 * 4
    assert whole.flops == 2 * 2 * (3 * 2 * 50 * 50 * 4)
    assert back.flops == 2 * whole.flops
    assert (whole.elements_read, whole.elements_written) == (3 * one, one)
    assert (back.elements_read, back.elements_written) == (5 * one, 3 * one)
    scores = [op for op in (*forward.operators, *backward.operators) if (50, 50) in [s[-2:] for s in op.outputs]]  # fmt: skip
    assert scores == []


def test_a_mask_that_is_learned_gets_a_gradient():
    """A bias of the scores, as of relative positions, is a fourth result."""
    bias = nn.Parameter(torch.empty(2, 6, 6))
    model = Doing(lambda x: functional.scaled_dot_product_attention(x, x, x, model.bias))
    model.bias = bias
    found = graph(trained(model, 2, 6, 4), "train.backward", 3)
    assert operator(found, "accelbench.attention_backward").outputs[3] == (2, 6, 6)


def test_what_is_frozen_has_neither_gradient_nor_step():
    """Of two layers only the second one's weights are learned."""
    model = nn.Sequential(nn.Linear(5, 7, bias=False), nn.Linear(7, 3, bias=False))
    model[0].weight.requires_grad_(requires_grad=False)
    subject, key = trained(model, 5), object()
    _, backward, step = (graphs.lower(subject, key, phase, 4, 1, 0) for phase in TRAINING)
    assert backward.flops == 2 * 4 * 7 * 3
    assert [op.outputs for op in step.operators] == [((3, 7),)]


@pytest.mark.parametrize(
    ("optimiser", "read", "written"),
    [(torch.optim.SGD, 2, 1), (torch.optim.Adam, 12, 7)],
)
def test_a_step_of_the_optimiser_counts_its_bytes(optimiser, read, written):
    """Each operator reads and writes all of a parameter's elements; SGD needs but one."""
    found = graph(trained(nn.Linear(30, 20, bias=False), 30, optimiser=optimiser), TRAINING[2], 4)
    assert found.flops == 0
    assert sum(op.count * op.elements_read for op in found.operators) == read * 600
    assert sum(op.count * op.elements_written for op in found.operators) == written * 600


def test_the_step_is_one_whose_state_is_there():
    """Momentum is read and written, not made."""

    def momentum(parameters, lr):
        return torch.optim.SGD(parameters, lr=lr, momentum=0.9)

    found = graph(trained(nn.Linear(3, 2, bias=False), 3, optimiser=momentum), TRAINING[2], 4)
    assert [op.name for op in found.operators] == ["aten.mul_", "aten.add_", "aten.add_"]


def test_recording_leaves_no_gradient_behind():
    """A model that was lowered is as it was before."""
    model = nn.Linear(3, 2).to("meta")
    graph(trained(model, 3), "train.backward", 4)
    assert all(own.grad is None for own in model.parameters())


ATTENTION, ATTENTION_KEY = trained(SelfAttention(), "t", 8), object()


@given(batch=st.integers(1, 5), tokens=st.integers(1, 9), phase=st.sampled_from(TRAINING))
@settings(deadline=None, max_examples=15)
def test_any_size_gives_the_graph_that_numbers_give(batch, tokens, phase):
    """Operators, shapes, FLOPs, elements and edges of each part are those without symbols."""
    found = graphs.lower(ATTENTION, ATTENTION_KEY, phase, batch, tokens, 0)
    assert content(found) == content(by_numbers(ATTENTION, phase, (batch, tokens, 0)))


def test_a_subject_without_an_optimiser_has_no_training():
    """Loss and optimiser belong together."""
    assert replace(trained(nn.Linear(3, 2), 3), optimiser=None).phases == ()
