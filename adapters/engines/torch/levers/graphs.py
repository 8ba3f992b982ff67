"""A call whose launches are recorded once and replayed as one (CUDA graphs)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from accelbench.harness.errors import TrialError
from accelbench.harness.foreign import foreign

_WARM_UP = 3  # calls before a recording, so that libraries have chosen their kernels


@dataclass(frozen=True)
class _Recording:
    """A graph, and the places that it reads and writes."""

    graph: torch.cuda.CUDAGraph
    inputs: Tensor
    outputs: Tensor


class GraphedCalls:
    """Calls of a model on a GPU, one graph for each shape of input.

    Recording and replay copy the input to where the graph reads it, and the answer from where it
    writes it, because the next replay overwrites it. All of that is given to one stream, in order;
    the tensors of a recording are kept, so that their addresses stay theirs.

    Args:
        call: The model.
    """

    def __init__(self, call: Callable[[Tensor], Any]) -> None:
        self._call = call
        self._recordings: dict[tuple[int, ...], _Recording] = {}

    def prepare(self, inputs: Any) -> None:
        """Records the graph of a shape unless it is there.

        Raises:
            TrialError: The model takes or gives more than one tensor.
            ForeignError: It does what cannot be recorded, as one that waits for the device does.
        """
        if not isinstance(inputs, Tensor):
            raise TrialError("cuda_graphs is for models of one input", remedy="leave it off")
        if tuple(inputs.shape) not in self._recordings:
            self._recordings[tuple(inputs.shape)] = self._recorded(inputs)

    def __call__(self, inputs: Tensor) -> Tensor:
        """The answer to one input, whose shape was prepared."""
        own = self._recordings[tuple(inputs.shape)]
        own.inputs.copy_(inputs)
        own.graph.replay()
        return own.outputs.clone()

    def _recorded(self, inputs: Tensor) -> _Recording:
        place, answer = inputs.clone(), None
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's is untyped
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UP):
                answer = self._call(place)
        torch.cuda.current_stream().wait_stream(beside)
        if not isinstance(answer, Tensor):
            raise TrialError("cuda_graphs is for models of one output", remedy="leave it off")
        graph = torch.cuda.CUDAGraph()
        remedy = "use adapter.levers.cuda_graphs=false"
        with foreign("recording a CUDA graph", remedy=remedy), torch.cuda.graph(graph):
            outputs: Tensor = self._call(place)
        return _Recording(graph, place, outputs)
