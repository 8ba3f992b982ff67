"""Microbenchmarks: one operator a call, its closed form, and what PyTorch does and counts for it."""

import numpy as np
import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.builders import Answers, Generates, Trains
from accelbench.suites.workloads.kernels import SHAPES, Kernels

SMALL = {
    "gemm": (4, 6, 8),
    "gemm_int8": (32, 16, 8),
    "copy": (32,),
    "triad": (32,),
    "attention": (2, 8, 4),
    "convolution": (3, 5, 6, 3),
    "launch": (7,),
}


def test_it_answers_and_does_nothing_else():
    """It neither generates nor is it trained."""
    assert isinstance(Kernels(), Answers)
    assert not isinstance(Kernels(), Generates | Trains)


@pytest.mark.parametrize(
    ("operator", "shape", "why"),
    [
        ("gemm", (2, 2), r"\(m, n, k\)"),
        ("copy", (0,), "at least 1"),
        ("convolution", (1, 1, 4, 2), "is odd"),
    ],
)
def test_a_shape_is_that_of_its_operator(operator, shape, why):
    """The message names the numbers of the shape."""
    with pytest.raises(ValueError, match=why):
        Kernels(operator, shape)


@pytest.mark.parametrize(
    ("operator", "flops", "elements"),
    [
        ("gemm", 2 * 3 * 4 * 6 * 8, 3 * 4 * 8 + 8 * 6 + 3 * 4 * 6),
        ("gemm_int8", 2 * 3 * 32 * 16 * 8, 3 * 32 * 8 + 8 * 16 + 3 * 32 * 16),
        ("copy", 0, 2 * 3 * 32),
        ("triad", 0, 2 * 3 * 32 + 32),
        ("attention", 3 * 2 * (2 * 2 * 8 * 8 * 4), 4 * 3 * 2 * 8 * 4),
        ("convolution", 2 * 3 * 5 * 36 * 27, 3 * 3 * 36 + 5 * 27 + 3 * 5 * 36),
        ("launch", 0, 7 * 2 * 3),
    ],
)
def test_flops_and_elements_are_those_of_the_closed_form(operator, flops, elements):
    """Each operand once; of a batch of three."""
    graph = Kernels(operator, SMALL[operator]).lower("forward", 3, 1, 0)
    assert graph.flops == flops
    assert graph.bytes_moved(1.0) == elements


def test_a_triad_of_one_moves_three_arrays():
    """As STREAM counts it."""
    assert Kernels("triad", (1000,)).lower("forward", 1, 1, 0).bytes_moved(4.0) == 12_000


def test_it_has_no_other_phase():
    """One line says which there is."""
    with pytest.raises(TrialError, match="'decode'"):
        Kernels().lower("decode", 1, 1, 0)


def test_operands_depend_on_nothing_but_the_shape():
    """They lie in [-1, 1), and those of int8 in its whole symmetric range."""
    first, again = (Kernels("gemm", (4, 4, 4)).samples().batch([0, 0]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first.dtype) == ((2, 4, 4), np.float32)
    assert -1 <= first.min() < first.max() < 1
    whole = Kernels("gemm_int8", (64, 8, 64)).samples().batch([0])
    assert (whole.dtype, whole.min(), whole.max()) == (np.int8, -127, 127)
    assert Kernels().samples().figures([]) == ()


def test_every_operator_has_a_shape_and_a_preset():
    """Its preset can be composed."""
    from accelbench.cli.compose import preset

    for operator in SHAPES:
        found = preset("workload", f"kernel_{operator}")
        assert found["operator"] == operator
        Kernels(operator, tuple(found["shape"]))


@pytest.mark.torch
@pytest.mark.parametrize("operator", SHAPES)
def test_the_model_computes_the_operator(operator):
    """What it answers is what NumPy or PyTorch computes of the same operands."""
    torch = pytest.importorskip("torch")
    kernels = Kernels(operator, SMALL[operator])
    model, inputs = kernels.model(None, 1), torch.as_tensor(kernels.samples().batch([0, 0]))
    before = inputs.clone()
    with torch.inference_mode():
        found = model(inputs).clone()
        again = model(before.clone())
    second = getattr(model, "second", None)
    expected = {
        "gemm": lambda: before @ second,
        "gemm_int8": lambda: (before.long() @ second.long()).to(torch.int32),
        "copy": lambda: before,
        "triad": lambda: before + 3 * second,
        "attention": lambda: _attention(torch, before),
        "convolution": lambda: torch.nn.functional.conv2d(before, model.weight, padding=1),
        "launch": lambda: before + 7,
    }[operator]()
    torch.testing.assert_close(found, expected.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again, found)


@pytest.mark.torch
@pytest.mark.parametrize("operator", ["gemm", "attention", "convolution"])
def test_flops_are_those_that_pytorch_counts(operator):
    """To the last one."""
    torch = pytest.importorskip("torch")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    kernels = Kernels(operator, SMALL[operator])
    model, inputs = kernels.model(None, 1), torch.as_tensor(kernels.samples().batch([0, 0]))
    with torch.no_grad(), FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        model(inputs)  # torch has no formula for the fused attention of the CPU
    assert counted.get_total_flops() == kernels.lower("forward", 2, 1, 0).flops


@pytest.mark.torch
def test_results_go_where_earlier_ones_went():
    """Nothing is allocated in a call, so that no page is asked of the system."""
    torch = pytest.importorskip("torch")
    for operator in ("gemm", "copy", "triad"):
        kernels = Kernels(operator, SMALL[operator])
        model, inputs = kernels.model(None, 1), torch.as_tensor(kernels.samples().batch([0]))
        with torch.inference_mode():
            assert model(inputs).data_ptr() == model(inputs).data_ptr()


def _attention(torch, first):
    query, key, value = first.unbind(1)
    return (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1) @ value
