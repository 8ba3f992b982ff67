"""What is lowered: a model, how each phase calls it, and how it is trained."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor, nn
from torch.optim import Optimizer

from accelbench.harness.schema.phases import TRAINING

Call: TypeAlias = Callable[[nn.Module, int, int, int], object]
"""Makes its inputs on the `meta` device and calls the model: (model, batch, tokens, context).

Inputs come from `torch.empty`: what is filled counts as an operator of the phase. The sizes may be
symbolic. What a call decides by comparing one of them with a number is noted, and the recording
holds as far as the comparison comes out the same.
"""


@dataclass(frozen=True)
class Subject:
    """A model of one geometry.

    Attributes:
        workload: Name of the workload.
        build: Makes the model; called under `torch.device("meta")`. Which parameters are trained it
            says by their `requires_grad`.
        calls: How each phase of inference calls the model, which is in evaluation mode.
        loss: The loss of one step, shape (): (model, batch, tokens), the model in training mode and
            the inputs made on the `meta` device. None for a model that is not trained.
        optimiser: The optimiser of the parameters that are trained; as `loss`.
        stacks: Paths of the `nn.ModuleList`s whose layers are run one after another, e.g.
            "model.layers". A deep stack of equal layers is then lowered from a few of them, so
            that calls must count layers by the length of the list.
    """

    workload: str
    build: Callable[[], nn.Module]
    calls: Mapping[str, Call] = field(default_factory=dict)
    loss: Callable[[nn.Module, int, int], Tensor] | None = None
    optimiser: Callable[[nn.Module], Optimizer] | None = None
    stacks: tuple[str, ...] = ()

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of the phases that it has."""
        trained = self.loss is not None and self.optimiser is not None
        return (*self.calls, *(TRAINING if trained else ()))
