"""The spiking network in PyTorch, by dense products or by events, and how it is counted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.harness.schema.builders import Count
from accelbench.harness.schema.quality import Quality

_SLOPE = 10.0


class _Spike(torch.autograd.Function):
    """1 above the threshold, 0 below; its gradient is that of a fast sigmoid.

    F. Zenke, S. Ganguli, "SuperSpike", Neural Computation 30, 2018.
    """

    @staticmethod
    def forward(ctx: Any, above: Tensor) -> Tensor:
        """Spikes of neurons whose potential is `above` the threshold."""
        ctx.save_for_backward(above)
        return (above > 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """The gradient by `above`."""
        (above,) = ctx.saved_tensors
        return gradients[0] / (1 + _SLOPE * torch.abs(above)).square()


class SpikingNetwork(nn.Module):
    """Fully connected layers with neurons between them, one layer after another for all time steps.

    Args:
        widths: Of the input, of each hidden layer and of the answer.
        decay: Share of its potential that a neuron keeps over a time step; None for rectified
            linear units, which keep nothing and do not spike.
        by_events: Whether, outside training, silent inputs are skipped.
    """

    def __init__(self, widths: Sequence[int], *, decay: float | None, by_events: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(widths))
        self.blocks = list(self.layers)
        self.heard: Callable[[int, Tensor], None] | None = None
        self._decay, self._by_events = decay, by_events

    def forward(self, events: Tensor) -> Tensor:
        """Scores by class, shape (batch, classes).

        Args:
            events: Shape (batch, steps, channels).
        """
        states, spoken = events, []
        for number, layer in enumerate(self.layers):
            if number:
                states = self._answered(states)
            spoken.append(states)
            states = self._driven(cast("nn.Linear", layer), states)
        if self.heard is not None:
            counts = torch.stack([torch.count_nonzero(part) for part in spoken])
            self.heard(events.shape[0] * events.shape[1], counts)
        return states.mean(dim=1)

    @property
    def spiking(self) -> bool:
        """Whether its neurons spike."""
        return self._decay is not None

    def _driven(self, layer: nn.Linear, states: Tensor) -> Tensor:
        """What a layer's weights make of its inputs in each time step."""
        if self.training or not self._by_events:
            return cast("Tensor", layer(states))
        batch, steps, width = states.shape
        places, inputs = states.reshape(batch * steps, width).nonzero(as_tuple=True)
        driven = layer.bias.expand(batch * steps, -1).clone()
        driven.index_add_(0, places, layer.weight.t().index_select(0, inputs))
        return driven.reshape(batch, steps, -1)

    def _answered(self, driven: Tensor) -> Tensor:
        """What neurons do when they are driven, shape (batch, steps, neurons)."""
        if self._decay is None:
            return functional.relu(driven)
        potential = torch.zeros_like(driven[:, 0])
        fired, spikes = potential, []
        for drive in driven.unbind(dim=1):
            potential = self._decay * potential + drive - fired
            fired = cast("Tensor", _Spike.apply(potential - 1))  # type: ignore[no-untyped-call]  # torch's is untyped
            spikes.append(fired)
        return torch.stack(spikes, dim=1)


@dataclass
class Spikes:
    """What a network did since it has been watched.

    A synaptic operation is a weight that a spike, an input event or a number other than 0 reaches;
    NeuroBench calls those effective. They accumulate where spikes come, and multiply too where
    numbers do. The others are not needed; a dense execution does them all the same. A weight that is
    itself 0 counts as any other, other than in NeuroBench.

    Attributes:
        widths: Of the input, of each hidden layer and of the answer.
        spiking: Whether its neurons spike; else numbers pass between them.
        said: Of each call: its time, its time steps over all samples, and how many inputs of each
            layer were not 0.
    """

    widths: Sequence[int]
    spiking: bool
    said: list[tuple[int, int, Tensor]] = field(default_factory=list)

    def counts(self, start_ns: int, end_ns: int) -> Sequence[Count]:
        """Spikes of hidden neurons, and synaptic operations, of calls between two times."""
        told = self._told([call for call in self.said if start_ns <= call[0] < end_ns])
        return [Count(name, value, "1", "process") for name, value in told.items()]

    def figures(self, samples: int) -> Sequence[Quality]:
        """The activity over all calls, and the synaptic operations of a sample.

        Args:
            samples: Samples in all calls together.
        """
        told = self._told(self.said)
        multiplied = told["synaptic_operations.multiply"]
        done, not_needed = (told[f"synaptic_operations{rest}"] for rest in ("", ".not_needed"))
        each = {
            "synaptic_operations.accumulate": done - multiplied,
            "synaptic_operations.multiply_accumulate": multiplied,
            "synaptic_operations.dense": done + not_needed,
        }
        found = [Quality(name, "test", value / samples, samples) for name, value in each.items()]
        if self.spiking:
            activity = told["spikes"] / (told["neurons"] * told["timesteps"])
            found.append(Quality("activity", "test", activity, samples))
        return found

    def _told(self, calls: Sequence[tuple[int, int, Tensor]]) -> dict[str, int]:
        steps = sum(call[1] for call in calls)
        active = [sum(each) for each in zip(*(call[2].tolist() for call in calls), strict=True)]
        inputs, outputs = self.widths[:-1], self.widths[1:]
        active = active or [0] * len(inputs)
        done = sum(count * out for count, out in zip(active, outputs, strict=True))
        all_of_them = steps * sum(into * out for into, out in zip(inputs, outputs, strict=True))
        of_spikes = {
            "spikes": sum(active[1:]),
            "neurons": sum(inputs[1:]),
            "timesteps": steps,
            "events.offered": active[0],
            "events.dropped": 0,
        }
        return {
            **(of_spikes if self.spiking else {}),
            "synaptic_operations": done,
            "synaptic_operations.multiply": 0 if self.spiking else done,
            "synaptic_operations.not_needed": all_of_them - done,
        }


@contextmanager
def watched(model: SpikingNetwork, now_ns: Callable[[], int]) -> Iterator[Spikes]:
    """Counts what a network does until the block is left.

    Args:
        model: The network.
        now_ns: Reads the clock.
    """
    layers = [cast("nn.Linear", layer) for layer in model.layers]
    widths = [layers[0].in_features, *(layer.out_features for layer in layers)]
    found = Spikes(widths, model.spiking)
    model.heard = lambda steps, counts: found.said.append((now_ns(), steps, counts))
    try:
        yield found
    finally:
        model.heard = None
