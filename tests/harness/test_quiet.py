"""What other libraries say that no reader of a run can use."""

import logging
import sys
import types

import pytest

from accelbench.harness.quiet import quiet_torchao

_CUDA = "Failed to load /lib/torchao/_C_cutlass_90a.abi3.so: Could not load this library"
_OTHER = "Failed to load /lib/torchao/_C.abi3.so: Could not load this library"


@pytest.fixture
def told(caplog):
    """Tells torchao's logger something, and says what became of it."""
    quiet_torchao()

    def tell(line):
        caplog.clear()
        logging.getLogger("torchao").warning(line)
        return [record.getMessage() for record in caplog.records]

    return tell


def pytorch(cuda):
    """Stands for the library, built for a version of CUDA or for none."""
    return types.SimpleNamespace(version=types.SimpleNamespace(cuda=cuda))


@pytest.mark.parametrize("name", ["_C_cutlass_90a.abi3.so", "_C_mxfp8.cpython-310-x86.so"])
def test_kernels_for_cuda_are_not_told_where_pytorch_has_none(told, monkeypatch, name):
    """Both libraries of them."""
    monkeypatch.setitem(sys.modules, "torch", pytorch(None))
    assert told(_CUDA.replace("_C_cutlass_90a.abi3.so", name)) == []


def test_the_same_is_told_where_pytorch_has_cuda(told, monkeypatch):
    """There it is a fault."""
    monkeypatch.setitem(sys.modules, "torch", pytorch("13.0"))
    assert told(_CUDA) == [_CUDA]


@pytest.mark.parametrize("line", [_OTHER, "Skipping import of cpp extensions"])
def test_whatever_else_it_says_is_told(told, monkeypatch, line):
    """Kernels of the processor among it."""
    monkeypatch.setitem(sys.modules, "torch", pytorch(None))
    assert told(line) == [line]


def test_advice_to_torchao_is_not_told_to_users(caplog):
    """What else PyTorch says of trees is."""
    quiet_torchao()
    log = logging.getLogger("torch.utils._pytree")
    log.warning("%s is an Enum subclass and is now natively supported by torch.compile as", "Kind")
    log.warning("something else")
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def test_asking_twice_changes_nothing():
    """There is one filter."""
    quiet_torchao()
    before = list(logging.getLogger("torchao").filters)
    quiet_torchao()
    assert logging.getLogger("torchao").filters == before
