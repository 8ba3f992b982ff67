"""Graphs: made ones, real ones, and the messages that pass along them."""

from types import SimpleNamespace

import numpy as np
import pytest

from accelbench.harness.errors import MissingPart
from accelbench.suites.workloads.assets.catalogue import CORA
from accelbench.suites.workloads.data import cora
from accelbench.suites.workloads.data.graphs import Graph, generated, messages, undirected

PATH = Graph(
    np.zeros((3, 1), np.float32), np.array([0, 1, 1]), np.array([[0, 1], [1, 2]]), {"kind": "test"}
)


def test_a_generated_graph_depends_on_its_seed_alone():
    """Edges, features and classes."""
    one, again, other = (generated.__wrapped__(2000, 8.0, seed) for seed in (0, 0, 1))
    assert np.array_equal(one.edges, again.edges)
    assert np.array_equal(one.features, again.features)
    assert not np.array_equal(one.labels, other.labels)


def test_a_generated_graph_has_what_its_facts_state():
    """No loops, no edge twice; a heavy tail of degrees; most edges within a class."""
    graph = generated(2000, 8.0, 0)
    first, second = graph.edges
    assert (first < second).all()
    assert len(np.unique(graph.edges, axis=1).T) == graph.edges.shape[1]
    degrees = graph.degrees()
    assert 7 < degrees.mean() < 8
    assert degrees.max() > 10 * degrees.mean()
    alike = (graph.labels[first] == graph.labels[second]).mean()
    assert alike == pytest.approx(0.8 + 0.2 / 6, abs=0.05)
    assert graph.facts["kind"] == "synthetic"


def test_the_histogram_of_degrees_counts_every_node():
    """Bins double in width."""
    shape = generated(2000, 8.0, 0).shape()
    degrees = generated(2000, 8.0, 0).degrees()
    told = shape.told()["degree"]
    assert sum(told["histogram"].values()) == shape.nodes == 2000
    assert told["histogram"]["0"] == (degrees == 0).sum()
    assert told["histogram"]["4-7"] == ((degrees >= 4) & (degrees < 8)).sum()
    assert told["mean"] == pytest.approx(degrees.mean())


def test_nodes_to_learn_from_and_nodes_that_are_scored_are_apart():
    """Twenty of each class, a thousand others; another seed draws others."""
    graph = generated(2000, 8.0, 0)
    train, test = graph.parts(0)
    assert set(np.bincount(graph.labels[train])) == {20}
    assert len(test) == 1000
    assert not set(train) & set(test)
    assert not np.array_equal(train, graph.parts(1)[0])


@pytest.mark.parametrize(
    ("aggregation", "rows"),
    [
        ("sum", [[1, 1, 0], [1, 1, 1], [0, 1, 1]]),
        ("mean", [[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3], [0, 1 / 2, 1 / 2]]),
        (
            "gcn",
            [[1 / 2, 6**-0.5, 0], [6**-0.5, 1 / 3, 6**-0.5], [0, 6**-0.5, 1 / 2]],
        ),
    ],
)
def test_messages_are_weighted_as_their_aggregation_says(aggregation, rows):
    """By hand, on a path of three nodes."""
    index, weight = messages(PATH, aggregation)
    found = np.zeros((3, 3))
    found[index[0], index[1]] = weight
    assert found == pytest.approx(np.array(rows))
    assert (np.diff(index[0]) >= 0).all()


def test_an_edge_that_is_told_twice_is_one():
    """In either direction; a node is no neighbour of its own."""
    assert undirected(np.array([3, 1, 2, 2]), np.array([1, 3, 2, 0])).T.tolist() == [[0, 2], [1, 3]]


def test_cora_is_read_from_its_two_tables(monkeypatch, tmp_path):
    """Nodes by their own ids, in any order; features are shares of a paper's words."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    nodes = {"nodeId": [30, 10, 20], "subject": [2, 0, 1], "features": [[1, 1], [0, 1], [0, 0]]}
    cited = {"sourceNodeId": [10, 20, 10], "targetNodeId": [30, 10, 20]}
    parquet.write_table(pyarrow.table(nodes), tmp_path / "cora_nodes.parquet.gzip")
    parquet.write_table(pyarrow.table(cited), tmp_path / "cora_rels.parquet.gzip")
    put = SimpleNamespace(find=lambda: tmp_path, facts=lambda: {"licence": "none"})
    monkeypatch.setattr(cora, "CORA", put)
    graph = cora.cora.__wrapped__()
    assert graph.labels.tolist() == [2, 0, 1]
    assert graph.features.tolist() == [[0.5, 0.5], [0, 1], [0, 0]]
    assert graph.edges.T.tolist() == [[0, 1], [1, 2]]


def test_cora_that_is_not_here_names_the_command(monkeypatch, tmp_path):
    """Its shape is known all the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingPart, match="accelbench models get cora"):
        cora.cora.__wrapped__()
    assert sum(cora.SHAPE.degree_bins) == cora.SHAPE.nodes


@pytest.mark.skipif(not CORA.here(), reason="accelbench models get cora")
def test_the_real_cora_is_as_it_is_known_to_be():
    """2,708 papers and 5,278 undirected edges."""
    assert cora.cora().shape() == cora.SHAPE
