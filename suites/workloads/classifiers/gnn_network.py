"""The graph network in PyTorch: layers of message passing over a graph that lies with the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from accelbench.suites.workloads.data.graphs import Graph, GraphShape, messages


@dataclass(frozen=True, eq=False)
class HeldGraph:
    """What a network keeps of a graph.

    Attributes:
        features: Shape (nodes, width).
        index: Receiver and sender of each message, int64, sorted, shape (2, messages).
        weight: Of each message, shape (messages,).
    """

    features: Tensor
    index: Tensor
    weight: Tensor


def held(graph: Graph, aggregation: Literal["gcn", "mean", "sum"]) -> HeldGraph:
    """A graph as tensors.

    Args:
        graph: The graph.
        aggregation: How its messages are weighted.
    """
    index, weight = messages(graph, aggregation)
    return HeldGraph(*(torch.from_numpy(array) for array in (graph.features, index, weight)))


def sized(shape: GraphShape) -> HeldGraph:
    """Tensors of a graph's sizes, with nothing in them."""
    count = 2 * shape.edges + shape.nodes
    return HeldGraph(
        torch.empty(shape.nodes, shape.width),
        torch.empty(2, count, dtype=torch.int64),
        torch.empty(count),
    )


class GnnNetwork(nn.Module):
    """Layers, each a matrix for all nodes and then the weighted sum of what each node hears.

    Args:
        graph: The graph; it is no part of the weights that are saved.
        widths: Of the features, of the states after each layer but the last, and of the answer.
        dropout: Share of the states that is left out in training, after each layer but the last.
        sparse: Whether messages are summed by a product with a sparse matrix.
    """

    features: Tensor
    index: Tensor
    weight: Tensor

    def __init__(
        self, graph: HeldGraph, widths: Sequence[int], *, dropout: float, sparse: bool
    ) -> None:
        super().__init__()
        self.register_buffer("features", graph.features, persistent=False)
        self.register_buffer("index", graph.index, persistent=False)
        self.register_buffer("weight", graph.weight, persistent=False)
        self.layers = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(widths))
        self.blocks = list(self.layers)
        self._dropout = dropout
        self._summed = self._product if sparse else self._scattered

    def forward(self, nodes: Tensor) -> Tensor:
        """Scores by class of the nodes asked for, shape (nodes, classes), from a whole pass.

        Args:
            nodes: int64, shape (nodes,).
        """
        states = self.features
        for number, layer in enumerate(self.layers):
            if number:
                states = functional.dropout(functional.relu(states), self._dropout, self.training)
            states = self._summed(layer(states))
        return states.index_select(0, nodes)

    def _product(self, states: Tensor) -> Tensor:
        size = (states.shape[0], states.shape[0])
        adjacency = torch.sparse_coo_tensor(
            self.index,
            self.weight.to(states.dtype),
            size,
            is_coalesced=True,
            check_invariants=False,
        )
        return cast("Tensor", torch.sparse.mm(adjacency, states))

    def _scattered(self, states: Tensor) -> Tensor:
        receivers, senders = self.index
        said = states.index_select(0, senders) * self.weight.to(states.dtype).unsqueeze(1)
        return torch.zeros_like(states).index_add(0, receivers, said)
