"""Weights set to zero: how many, where, and what is skipped for it."""

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture
def pull():
    """Pulls the levers of these options on a model, and returns what was done."""
    from accelbench.adapters.engines.torch.levers.options import Levers
    from accelbench.adapters.engines.torch.levers.pull import pull

    return lambda model, **options: pull(model, Levers(**options))


@pytest.fixture
def model():
    """A convolution and a linear layer."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(8 * 16, 8)
    ).eval()


def test_the_smallest_weights_of_a_layer_go(pull):
    """A quarter of four is the one of least magnitude, whatever its sign."""
    layer = torch.nn.Linear(4, 1, bias=False)
    layer.weight = torch.nn.Parameter(torch.tensor([[3.0, -1.0, 2.0, -4.0]]))
    pull(torch.nn.Sequential(layer), sparsity="unstructured", sparse_share=0.25)
    assert layer.weight.tolist() == [[3.0, 0.0, 2.0, -4.0]]


def test_two_of_any_four_stay(pull, model):
    """The larger two; also of filters, along channels and places."""
    before = model[2].weight.detach().abs().reshape(-1, 4).topk(2).values.sum()
    told = pull(model, sparsity="2_of_4")
    for layer in (model[0], model[2]):
        assert (layer.weight.reshape(-1, 4).count_nonzero(dim=1) == 2).all()
    torch.testing.assert_close(model[2].weight.abs().sum(), before)
    assert told.facts["sparsity"]["zero_weights"] == 0.5


def test_whole_blocks_go(pull):
    """Of four blocks of 2 x 2 the two of least magnitude, whole."""
    layer = torch.nn.Linear(4, 4, bias=False)
    layer.weight = torch.nn.Parameter(
        torch.tensor([[4.0, 4, 1, 1], [4, 4, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]])
    )
    told = pull(torch.nn.Sequential(layer), sparsity="block", sparse_block=2)
    kept = torch.tensor([[4.0, 4, 0, 0], [4, 4, 0, 0], [0, 0, 3, 3], [0, 0, 3, 3]])
    torch.testing.assert_close(layer.weight.detach(), kept)
    assert told.facts["sparsity"]["block"] == [2, 2]


def test_a_dense_kernel_skips_nothing_and_says_so(pull, model):
    """Nominal sparsity is not skipped work, and no indices are kept."""
    told = pull(model, sparsity="unstructured")
    sparse = told.facts["sparsity"]
    assert sparse["nominal_share"] == 0.5
    assert (sparse["skipped_share"], sparse["metadata_bytes"]) == (0, 0)
    assert "dense" in sparse["why_nothing_is_skipped"]
    assert told.counters()["sparsity.skipped_weights"] == (0, "1")


def test_a_compressed_layer_answers_alike_and_counts_its_indices(pull, model):
    """Zeros of linear layers are skipped; 32-bit indices of what is left and of each row."""
    from copy import deepcopy

    from accelbench.adapters.engines.torch.levers.pull import stored_bytes

    dense, images = deepcopy(model), torch.randn(3, 4, 4, 4)
    pull(dense, sparsity="unstructured", sparse_share=0.75)
    told = pull(model, sparsity="unstructured", sparse_share=0.75, sparse_kernel="csr")
    with torch.inference_mode():
        torch.testing.assert_close(model(images), dense(images))
    left, zeros = 128 * 8 // 4, 128 * 8 * 3 // 4
    assert told.sparse.skipped == zeros
    assert told.sparse.metadata_bytes == 4 * left + 4 * (8 + 1)
    biases, filters = 4 * (8 + 8), 4 * 8 * 4 * 9
    assert stored_bytes(model) == 4 * left + told.sparse.metadata_bytes + biases + filters


def test_what_fits_no_layer_is_refused(pull):
    """A row of three has no groups of four."""
    from accelbench.harness.errors import TrialError

    with pytest.raises(TrialError, match="no layer can be pruned"):
        pull(torch.nn.Sequential(torch.nn.Linear(3, 3)), sparsity="2_of_4")
    only = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 1))
    with pytest.raises(TrialError, match="no layer can be pruned"):
        pull(only, sparsity="unstructured", sparse_kernel="csr")
