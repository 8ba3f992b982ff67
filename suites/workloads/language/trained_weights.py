"""Weights that a training run saved, put into a model of the same kind."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.weights_file import load_tensors


def trained_weights(weights: Path) -> Mapping[str, Tensor]:
    """The tensors of a file.

    Raises:
        ForeignError: It cannot be read.
    """
    with foreign("loading the weights", where=weights.name):
        held: Mapping[str, Tensor] = load_tensors(weights)
    return held


def put_weights(model: nn.Module, held: Mapping[str, Tensor]) -> None:
    """Puts tensors into a model; of tensors that are one in the model, one is enough.

    Args:
        model: The model.
        held: The tensors by name.

    Raises:
        ForeignError: A tensor has another shape.
        TrialError: There are others than the model has.
    """
    with foreign("loading the weights", where="the model"):
        missing, unexpected = model.load_state_dict(held, strict=False)
    state = model.state_dict()
    there = {state[name].data_ptr() for name in held if name in state}
    lacking = [name for name in missing if state[name].data_ptr() not in there]
    if lacking or unexpected:
        name = (lacking or list(unexpected))[0]
        raise TrialError(
            f"the weights are of another model: {name!r} is in one of the two only",
            remedy="use the same geometry as the cell that trained them",
        )
