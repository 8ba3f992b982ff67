"""Weights in the safetensors format, without the library of that name."""

import pytest

torch = pytest.importorskip("torch")

from accelbench.suites.workloads.weights_file import load_tensors, save_tensors  # noqa: E402

pytestmark = pytest.mark.torch

TENSORS = {
    "weight": torch.linspace(-1, 1, 15).view(3, 5),
    "steps": torch.tensor(3),
    "empty": torch.empty(0, 3),
    "half": torch.ones(3, dtype=torch.float16),
    "brain": torch.ones(3, dtype=torch.bfloat16),
    "int8": torch.arange(-1, 2, dtype=torch.int8),
    "flags": torch.tensor([True, False]),
    "turned": torch.arange(6.0).view(2, 3).t(),
}


def test_what_was_saved_is_loaded(tmp_path):
    """Names, formats, shapes and numbers, whatever the strides were."""
    save_tensors(TENSORS, tmp_path / "w")
    found = load_tensors(tmp_path / "w")
    assert found.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_the_bytes_are_those_of_the_library(tmp_path):
    """Either one reads what the other wrote."""
    library = pytest.importorskip("safetensors.torch")
    save_tensors(TENSORS, tmp_path / "ours")
    library.save_file({name: own.contiguous() for name, own in TENSORS.items()}, tmp_path / "its")
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "its").read_bytes()


@pytest.mark.parametrize("whole", [b"", b"\x02\0\0\0\0\0\0\0[]", b"\xff" * 40])
def test_another_file_is_refused(tmp_path, whole):
    """It is not taken for weights."""
    (tmp_path / "w").write_bytes(whole)
    with pytest.raises(ValueError, match=r"."):
        load_tensors(tmp_path / "w")


def test_a_file_that_ends_early_is_refused(tmp_path):
    """Numbers that are not there are not made up."""
    save_tensors(TENSORS, tmp_path / "w")
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-4])
    with pytest.raises(ValueError, match="more or fewer"):
        load_tensors(tmp_path / "w")
