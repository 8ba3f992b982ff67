"""What is done with a classifier's network in PyTorch, whatever its family."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.weights_file import load_tensors


def initialised(network: Callable[[], nn.Module], seed: int) -> nn.Module:
    """The network with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return network()


def loaded(network: Callable[[], nn.Module], weights: Path) -> nn.Module:
    """The network with weights that a training run saved.

    Raises:
        ForeignError: The file cannot be read, or holds other tensors.
    """
    with foreign("loading the weights", where=weights.name):
        model = initialised(network, 0)
        model.load_state_dict(load_tensors(weights))
    return model


def answer(model: nn.Module, inputs: Any) -> Tensor:
    """What the model says to one tensor, or to tensors by the names of its arguments."""
    found = model(**inputs) if isinstance(inputs, Mapping) else model(inputs)
    return cast("Tensor", found)
