"""What other libraries say at every start and no reader of a run can use."""

import logging
import re
import sys

_FOR_CUDA = re.compile(r"Failed to load \S*/_C_(cutlass|mxfp8)\w*\.\S+: ")
"""Kernels of torchao that no processor but an NVIDIA GPU can run."""


def quiet_torchao() -> None:
    """Keeps torchao from telling that its CUDA kernels do not load where PyTorch has no CUDA.

    It tells so as soon as it is imported, which `transformers` does too. Whatever else it says is
    passed on, and these lines too where PyTorch is built for CUDA. To be called before the import;
    any further call changes nothing.
    """
    logging.getLogger("torchao").addFilter(_is_of_use)


def _is_of_use(record: logging.LogRecord) -> bool:
    if not _FOR_CUDA.match(record.getMessage()):
        return True
    torch = sys.modules.get("torch")
    return torch is None or torch.version.cuda is not None
