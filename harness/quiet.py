"""What other libraries say at every start and no reader of a run can use."""

import logging
import re
import sys

_FOR_CUDA = re.compile(r"Failed to load \S*/_C_(cutlass|mxfp8)\w*\.\S+: ")
"""Kernels of torchao that no processor but an NVIDIA GPU can run."""

_OF_ITS_OWN = "is an Enum subclass and is now natively supported by torch.compile"
"""What PyTorch advises torchao to do, and torchao has to."""


def quiet_torchao() -> None:
    """Keeps two things from being told as soon as torchao is imported, which `transformers` does too.

    That its CUDA kernels do not load, where PyTorch has no CUDA; and PyTorch's advice about
    enumerations that torchao registers. Whatever else either says is passed on, and the first too
    where PyTorch is built for CUDA. To be called before the import; any further call changes
    nothing.
    """
    logging.getLogger("torchao").addFilter(_is_of_use)
    logging.getLogger("torch.utils._pytree").addFilter(_is_for_users)


def _is_of_use(record: logging.LogRecord) -> bool:
    if not _FOR_CUDA.match(record.getMessage()):
        return True
    torch = sys.modules.get("torch")
    return torch is None or torch.version.cuda is not None


def _is_for_users(record: logging.LogRecord) -> bool:
    return _OF_ITS_OWN not in record.getMessage()
