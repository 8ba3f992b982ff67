"""Which kernel computes attention."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from accelbench.harness.errors import TrialError

_BACKENDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
}


@contextmanager
def attending(kind: str) -> Iterator[None]:
    """Allows one kernel of PyTorch's fused attention while it lasts, all of them by default.

    Args:
        kind: As `Levers.attention`.
    """
    if kind not in _BACKENDS:
        yield
        return
    with sdpa_kernel(_BACKENDS[kind]):
        yield


def taken_apart(model: nn.Module) -> None:
    """Has a model of transformers compute attention by products and a softmax.

    Raises:
        TrialError: The model is none of transformers', or has no attention.
    """
    choose = getattr(model, "set_attn_implementation", None)
    if choose is None:
        raise TrialError(
            "attention 'eager' is for models of transformers", remedy="use attention math"
        )
    choose("eager")
