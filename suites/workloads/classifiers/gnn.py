"""Graph networks: message passing over the whole of a real or a generated graph."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal

from accelbench.harness.schema.plain import Plain
from accelbench.suites.workloads.assets.catalogue import CORA
from accelbench.suites.workloads.classifiers.classifier import Classifier
from accelbench.suites.workloads.data import cora
from accelbench.suites.workloads.data.graphs import Graph, GraphShape, generated
from accelbench.suites.workloads.data.labelled import LabelledSamples, Split


@dataclass(frozen=True)
class GraphNetwork(Classifier):
    """Tells the class of nodes of one graph, whose structure and features lie with the model.

    A sample is a node that is asked for. Whatever the batch, a call is one pass over the whole
    graph, of which the rows of the nodes asked for are answered.

    Attributes:
        graph: "generated": a stochastic block model with power-law degrees. "cora": the asset of
            that name.
        nodes: Nodes of a generated graph.
        mean_degree: Edges drawn for a node of a generated graph, mean.
        graph_seed: Seed of a generated graph.
        hidden: Width of a node's state between layers.
        layers: Rounds of messages.
        aggregation: How messages are weighted: "gcn", "mean" or "sum".
        kernel: "sparse": a product of a sparse matrix with the states. "scatter": states are
            gathered edge by edge and added up where they arrive. Both are the same sum.
        dropout: Share of the states that is left out in training, after the first layer.
    """

    name: ClassVar[str] = "gnn"

    learning_rate: float = 0.01
    graph: Literal["generated", "cora"] = "generated"
    nodes: int = 2000
    mean_degree: float = 8.0
    graph_seed: int = 0
    hidden: int = 32
    layers: int = 2
    aggregation: Literal["gcn", "mean", "sum"] = "gcn"
    kernel: Literal["sparse", "scatter"] = "sparse"
    dropout: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.hidden, self.layers) < 1 or self.mean_degree <= 0:
            raise ValueError("hidden, layers and mean_degree must be above 0")
        if self.nodes < 1500:  # noqa: PLR2004  (1,000 are scored on, 20 of each class learned from)
            raise ValueError("nodes must be 1500 or more: 1,000 of them are scored on")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be at least 0 and below 1")

    def check_files(self) -> None:
        """Finds the graph, where it is not generated.

        Raises:
            MissingPart: The asset is not on this machine.
        """
        if self.graph == "cora":
            CORA.find()

    def held(self) -> Graph:
        """The graph.

        Raises:
            MissingPart: The asset is not on this machine.
        """
        if self.graph == "cora":
            return cora.cora()
        return generated(self.nodes, self.mean_degree, self.graph_seed)

    def shape(self) -> GraphShape:
        """Its sizes, known of Cora without reading it."""
        return cora.SHAPE if self.graph == "cora" else self.held().shape()

    def data(self) -> Split:
        """Nodes to learn from and others to be scored on, both of the one graph."""
        graph = self.held()
        parts = graph.parts(self.split_seed)
        train, test = (LabelledSamples(part, graph.labels[part]) for part in parts)
        return Split(
            train,
            test,
            {
                **graph.facts,
                "graph": graph.shape().told(),
                "train": train.count,
                "test": test.count,
                "split": "20 nodes of each class to learn from, 1,000 others are scored;"
                " messages pass along all edges in both",
                "split_seed": self.split_seed,
            },
        )

    def widths(self) -> tuple[int, ...]:
        """Of the features, of the states and of the answer."""
        shape = self.shape()
        return (shape.width, *[self.hidden] * (self.layers - 1), shape.classes)

    def geometry(self) -> Mapping[str, Plain]:
        """The graph, the distribution of its degrees, and the layers."""
        shape, widths = self.shape(), self.widths()
        return {
            "execution": "sparse over edges, dense over features",
            "gnn": {
                **shape.told(),
                "layers": self.layers,
                "aggregation": f"{self.aggregation}, each node hears itself too",
                "messages": 2 * shape.edges + shape.nodes,
                "kernel": self.kernel,
                "lowered_as": "scatter, whatever the kernel",
                "batch": "nodes answered; every call is a pass over the whole graph",
            },
            "linear": [list(pair) for pair in pairwise(widths)],
            "input_shapes": {"1": 1.0},
            "padding": {"policy": "none: messages are as many as the graph has", "share": 0.0},
        }

    def network(self) -> Any:
        """The network in PyTorch, with the graph in it."""
        from accelbench.suites.workloads.classifiers import gnn_network  # noqa: PLC0415  (torch)

        return gnn_network.GnnNetwork(
            gnn_network.held(self.held(), self.aggregation),
            self.widths(),
            dropout=self.dropout,
            sparse=self.kernel == "sparse",
        )

    def lowered_network(self) -> Any:
        """The same with a graph of these sizes that is not read, by gathering and adding."""
        from accelbench.suites.workloads.classifiers import gnn_network  # noqa: PLC0415  (torch)

        return gnn_network.GnnNetwork(
            gnn_network.sized(self.shape()), self.widths(), dropout=self.dropout, sparse=False
        )

    def example(self, batch: int) -> Any:
        """Nodes that are asked for, shape (batch,)."""
        import torch  # noqa: PLC0415  (torch)

        return torch.empty(batch, dtype=torch.int64)
