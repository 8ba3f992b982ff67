"""Graphs whose nodes have features and a class: how they are held, and ones made from a seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelbench.harness.schema.plain import Plain

TRAIN_PER_CLASS = 20
TEST = 1000

CLASSES = 6
WIDTH = 32
_WITHIN = 0.8
_STEEPNESS = 2.5
_SIGNAL = 0.35


@dataclass(frozen=True, eq=False)
class Graph:
    """An undirected graph without loops.

    Attributes:
        features: float32, shape (nodes, width).
        labels: The class of each node, int64, shape (nodes,).
        edges: Each edge once, the lower node first, int64, shape (2, edges).
        facts: Kind ("real" or "synthetic"), name, source, licence, digests.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    edges: NDArray[np.int64]
    facts: Mapping[str, Plain]

    def degrees(self) -> NDArray[np.int64]:
        """How many edges each node has, shape (nodes,)."""
        return np.bincount(self.edges.ravel(), minlength=len(self.labels))

    def shape(self) -> "GraphShape":
        """Its sizes and the distribution of its degrees."""
        degrees = self.degrees()
        bins = np.bincount(np.frexp(degrees)[1])
        return GraphShape(
            nodes=len(self.labels),
            edges=self.edges.shape[1],
            width=self.features.shape[1],
            classes=int(self.labels.max()) + 1,
            degree_max=int(degrees.max()),
            degree_bins=tuple(int(count) for count in bins),
        )

    def parts(self, split_seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Nodes to learn from, 20 of each class, and 1,000 others to be scored on.

        Args:
            split_seed: Seed of the draw.
        """
        order = np.random.default_rng(split_seed).permutation(len(self.labels))
        shown = self.labels[order]
        train = np.concatenate(
            [order[shown == own][:TRAIN_PER_CLASS] for own in np.unique(self.labels)]
        )
        return np.sort(train), np.sort(order[~np.isin(order, train)][:TEST])


@dataclass(frozen=True)
class GraphShape:
    """Sizes of a graph.

    Attributes:
        nodes: How many there are.
        edges: Undirected ones.
        width: Features of a node.
        classes: How many classes there are.
        degree_max: Edges of the node that has most.
        degree_bins: Nodes without edges; with one; with two or three; with four to seven; and so
            on, each bin twice as wide as the one before.
    """

    nodes: int
    edges: int
    width: int
    classes: int
    degree_max: int
    degree_bins: tuple[int, ...]

    def told(self) -> Mapping[str, Plain]:
        """As a record has it."""
        bins = {
            "0" if place == 0 else f"{2 ** (place - 1)}-{2**place - 1}": count
            for place, count in enumerate(self.degree_bins)
        }
        return {
            "nodes": self.nodes,
            "edges": self.edges,
            "directed": False,
            "feature_width": self.width,
            "classes": self.classes,
            "degree": {
                "mean": 2 * self.edges / self.nodes,
                "max": self.degree_max,
                "histogram": bins,
            },
        }


@cache
def generated(nodes: int, mean_degree: float, seed: int) -> Graph:
    """A stochastic block model with power-law degrees, and features that tell a little of a class.

    Degree-corrected as in Karrer and Newman 2011: ends of edges are drawn in proportion to node
    weights that follow a Pareto law with density exponent 2.5; of an edge's ends four fifths lie
    in one class and the rest in any. Loops and repeated edges are dropped, so that the mean degree
    is somewhat below what is asked. A feature is normal noise about a small mean of its class.

    Args:
        nodes: How many there are.
        mean_degree: Edges drawn for a node, mean.
        seed: Seed of all that is drawn.
    """
    draw = np.random.default_rng(seed)
    labels = draw.integers(CLASSES, size=nodes)
    weights = np.minimum((1 - draw.random(nodes)) ** (-1 / (_STEEPNESS - 1)), np.sqrt(nodes))
    wanted = round(nodes * mean_degree / 2)
    first = draw.choice(nodes, size=wanted, p=weights / weights.sum())
    second = draw.choice(nodes, size=wanted, p=weights / weights.sum())
    alike = draw.random(wanted) < _WITHIN
    for own in range(CLASSES):
        held = np.flatnonzero(labels == own)
        due = alike & (labels[first] == own)
        share = weights[held] / weights[held].sum()
        second[due] = draw.choice(held, size=int(due.sum()), p=share)
    means = _SIGNAL * draw.standard_normal((CLASSES, WIDTH))
    features = means[labels] + draw.standard_normal((nodes, WIDTH))
    return Graph(
        features.astype(np.float32),
        labels.astype(np.int64),
        undirected(first, second),
        {
            "kind": "synthetic",
            "name": f"degree-corrected stochastic block model, {CLASSES} classes",
            "generator": f"numpy PCG64, seed {seed}; Pareto node weights, density exponent"
            f" {_STEEPNESS}, cut off at the square root of the nodes; {_WITHIN:g} of the edges"
            f" within a class; class means of {_SIGNAL} standard deviations",
            "licence": "generated",
        },
    )


def undirected(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each edge once, the lower node first, without loops, shape (2, edges).

    Args:
        first: One end of each edge.
        second: The other.
    """
    ends = np.sort(np.stack([first, second], axis=1).astype(np.int64), axis=1)
    return np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0).T


def messages(
    graph: Graph, aggregation: Literal["gcn", "mean", "sum"]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Who hears whom and with which weight: both ways along each edge, and each node itself.

    Args:
        graph: The graph.
        aggregation: "gcn": 1 / sqrt(d_i d_j), as in Kipf and Welling 2017. "mean": 1 / d_i.
            "sum": 1. d is the degree, the node itself counted.

    Returns:
        Receiver and sender of each message, sorted, shape (2, messages); its weight, shape
        (messages,).
    """
    nodes = len(graph.labels)
    both = [graph.edges, graph.edges[::-1], np.tile(np.arange(nodes), (2, 1))]
    index = np.concatenate(both, axis=1)
    index = index[:, np.lexsort((index[1], index[0]))]
    degrees = graph.degrees() + 1.0
    heard, said = degrees[index[0]], degrees[index[1]]
    weights = {"gcn": 1 / np.sqrt(heard * said), "mean": 1 / heard, "sum": np.ones_like(heard)}
    return index, weights[aggregation].astype(np.float32)
