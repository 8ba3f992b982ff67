"""Cora: real papers, the words in them, and which of them cite which.

A. K. McCallum, K. Nigam, J. Rennie, K. Seymore, "Automating the construction of internet portals
with machine learning", Information Retrieval 3, 2000. The split is drawn here: accuracies do not
compare with those of the split that is usual in papers.
"""

from functools import cache

import numpy as np

from accelbench.harness.foreign import foreign
from accelbench.suites.workloads.assets.catalogue import CORA
from accelbench.suites.workloads.data.graphs import Graph, GraphShape, undirected

SHAPE = GraphShape(
    nodes=2708,
    edges=5278,
    width=1433,
    classes=7,
    degree_max=168,
    degree_bins=(0, 485, 1136, 883, 157, 35, 8, 3, 1),
)
"""What `cora` is, known without reading it."""


@cache
def cora() -> Graph:
    """The graph; a node's features are which words it has, divided by how many it has.

    Raises:
        MissingPart: The asset is not on this machine.
        ForeignError: It cannot be read.
    """
    folder = CORA.find()
    with foreign("reading the graph", where="cora"):
        from pyarrow import parquet  # noqa: PLC0415  (slow to import)

        nodes = parquet.read_table(folder / "cora_nodes.parquet.gzip")
        cited = parquet.read_table(folder / "cora_rels.parquet.gzip")
        words = np.array(nodes["features"].to_pylist(), np.float32)
        ids = nodes["nodeId"].to_numpy()
        order = np.argsort(ids)
        ends = [
            order[np.searchsorted(ids, cited[end].to_numpy(), sorter=order)]
            for end in ("sourceNodeId", "targetNodeId")
        ]
    return Graph(
        words / np.maximum(words.sum(axis=1, keepdims=True), 1),
        nodes["subject"].to_numpy().astype(np.int64),
        undirected(*ends),
        {"kind": "real", **CORA.facts(), "name": "Cora citation graph (McCallum et al. 2000)"},
    )
