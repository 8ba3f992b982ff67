"""Bytes that a forward pass keeps for its backward pass."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  (only with torch)

from accelbench.suites.workloads.footprint import activation_bytes, forward_flops  # noqa: E402

pytestmark = pytest.mark.torch


def kept(model, inputs):
    """Bytes of one forward pass to a sum."""
    return activation_bytes(model, lambda: model(inputs).sum())


def test_inputs_of_linear_layers_are_kept_and_weights_are_not_counted():
    """Two layers keep the input of each; a sum keeps nothing."""
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4))
    assert kept(model, torch.ones(3, 6)) == 4 * 3 * (6 + 5)


def test_what_two_operators_keep_counts_once():
    """The result of ReLU is what it needs itself and what the next layer needs."""
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    assert kept(model, torch.ones(3, 6)) == 4 * 3 * (6 + 5)


def test_a_view_counts_with_all_that_it_keeps_alive():
    """One column of a tensor holds the whole tensor."""
    model = nn.Linear(1, 1)
    wide = torch.ones(3, 10)
    assert activation_bytes(model, lambda: model(wide[:, :1]).sum()) == 4 * 3 * 10


def test_statistics_and_other_buffers_are_no_activations():
    """Batch normalisation keeps its input, and mean and deviation of the batch."""
    model = nn.BatchNorm1d(5)
    assert kept(model, torch.ones(3, 5)) == 4 * (3 * 5 + 2 * 5)


@pytest.mark.parametrize("layout", ["to_sparse_coo", "to_sparse_csr"])
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_a_sparse_tensor_counts_by_its_parts(layout):
    """The values and indices of a matrix that is kept, each once; not where it is a buffer."""
    matrix = getattr(torch.eye(4), layout)().clone()
    model = nn.Linear(2, 3, bias=False)

    def summed():
        return (matrix @ model(torch.ones(4, 2))).sum()

    total = activation_bytes(model, summed)
    parts = 4 * 4 + 8 * (2 * 4 if layout == "to_sparse_coo" else 5 + 4)
    assert total == 4 * 4 * 2 + parts
    model.register_buffer("matrix", matrix)
    assert activation_bytes(model, summed) == 4 * 4 * 2


def test_nothing_is_kept_where_nothing_is_trained():
    """Frozen parameters need no backward pass."""
    assert kept(nn.Linear(6, 5).requires_grad_(requires_grad=False), torch.ones(3, 6)) == 0


def test_the_mode_comes_back_even_where_the_pass_fails():
    """And so do the buffers."""
    model = nn.Sequential(nn.BatchNorm1d(2)).eval()

    def broken():
        model(torch.randn(4, 2))
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        activation_bytes(model, broken)
    assert not model[0].training
    assert torch.equal(model[0].running_mean, torch.zeros(2))


def test_flops_of_parts_are_those_of_their_products():
    """A layer outside of them does not count; attention does, by its two products."""

    class Attends(nn.Module):
        """One head over all tokens."""

        def forward(self, tokens):
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)

    model = nn.Sequential(nn.Linear(6, 6), Attends(), nn.Linear(6, 2)).eval()
    inputs = torch.ones(3, 5, 6)
    found = forward_flops(model, [model[0], model[1]], lambda: model(inputs).sum())
    assert found == 3 * 2 * (5 * 6 * 6 + 2 * 5 * 5 * 6)
    assert not model.training
