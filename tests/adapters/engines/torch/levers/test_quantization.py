"""Weights in fewer bits: what is stored, and how near the products stay."""

from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torchao's imports
]


@pytest.fixture
def pull():
    """Pulls the levers of these options on a model, and returns what was done."""
    from accelbench.adapters.engines.torch.levers.options import Levers
    from accelbench.adapters.engines.torch.levers.pull import pull

    return lambda model, **options: pull(model, Levers(**options))


def layers(*sizes, dtype=None):
    """Linear layers with ReLU between them, and their inputs."""
    torch.manual_seed(0)
    made = []
    for before, after in pairwise(sizes):
        made += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    model = torch.nn.Sequential(*made[:-1]).to(dtype or torch.float32).eval()
    return model, torch.randn(8, sizes[0]).to(dtype or torch.float32)


def error(model, inputs, before):
    """Relative error of the model's answers against those before."""
    with torch.inference_mode():
        return float((model(inputs).float() - before).norm() / before.norm())


@pytest.mark.parametrize(
    ("kind", "dtype", "bits", "largest"),
    [
        ("int8_dynamic", "float32", 8, 0.03),
        ("int8_weight_only", "float32", 8, 0.02),
        ("int8_weight_only", "bfloat16", 8, 0.02),
        ("int4_weight_only", "bfloat16", 4, 0.2),
        ("ternary", "float32", 8, 0.9),
    ],
)
def test_weights_shrink_and_answers_stay_near(pull, kind, dtype, bits, largest):
    """Bytes are those of the bits, with scales and biases beside; the error is the method's."""
    from accelbench.adapters.engines.torch.levers.pull import stored_bytes

    if kind.startswith("int8"):
        pytest.importorskip("torchao")
    model, inputs = layers(256, 256, 64, dtype=getattr(torch, dtype))
    with torch.inference_mode():
        before = model(inputs).float()
    weights = 256 * 256 + 256 * 64
    told = pull(model, quantization=kind).facts
    assert 0 < error(model, inputs, before) < largest
    assert 1 <= stored_bytes(model) / (weights * bits / 8) < 1.2
    assert told["quantization"]["method"] == kind
    assert told["quantization"]["bits"] == bits
    assert told["quantization"]["layers"] == 2


def test_ternary_weights_are_three_values_and_the_mean_of_magnitudes(pull):
    """As BitNet b1.58 rounds them: w / mean |w| to the nearest of -1, 0 and 1."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    weight = torch.tensor([[1.0, -3.0], [0.5, 0.1]])
    model[0].weight = torch.nn.Parameter(weight)
    pull(model, quantization="ternary")
    scale = weight.abs().mean()
    expected = torch.tensor([[1.0, -1.0], [0.0, 0.0]]) * scale
    with torch.inference_mode():
        torch.testing.assert_close(model(torch.eye(2)), expected.t())
    assert model[0].weight.dtype == torch.int8


def test_int4_weights_are_sixteen_levels_of_their_group(pull):
    """A group whose weights are sixteen equal steps is kept exactly, up to bfloat16."""
    model = torch.nn.Sequential(torch.nn.Linear(32, 16, bias=False)).bfloat16()
    steps = (torch.arange(32) % 16 - 8).repeat(16, 1).bfloat16() / 8
    model[0].weight = torch.nn.Parameter(steps.clone())
    pull(model, quantization="int4_weight_only")
    with torch.inference_mode():
        found = model(torch.eye(32, dtype=torch.bfloat16))
    torch.testing.assert_close(found, steps.t(), atol=0.01, rtol=0)


def test_layers_that_the_kernel_does_not_take_are_left_and_named(pull):
    """Ten outputs are no multiple of sixteen."""
    model, _ = layers(64, 32, 10, dtype=torch.bfloat16)
    told = pull(model, quantization="int4_weight_only").facts["quantization"]
    assert (told["layers"], told["left_out"]) == (1, ["2"])
    assert type(model[2]) is torch.nn.Linear


def test_weights_that_are_shared_are_left_alone(pull):
    """A head that shares the embedding's weights would no longer share them."""
    model, _ = layers(16, 16, 16)
    embedding = torch.nn.Embedding(16, 16)
    model[2].weight = embedding.weight
    model.append(embedding)
    told = pull(model, quantization="ternary").facts["quantization"]
    assert told["layers"] == 1


def test_a_model_without_linear_layers_is_refused(pull):
    """One line says what is missing."""
    from accelbench.harness.errors import TrialError

    for kind in ("ternary", "int4_weight_only", "int8_dynamic"):
        with pytest.raises(TrialError, match="no linear layer"):
            pull(torch.nn.Sequential(torch.nn.ReLU()), quantization=kind)
