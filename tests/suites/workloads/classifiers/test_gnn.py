"""Message passing over a whole graph."""

import pytest

from accelbench.harness.errors import MissingPart
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.gnn import GraphNetwork
from accelbench.suites.workloads.data import cora
from accelbench.suites.workloads.data.graphs import messages

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("aggregation", ["gcn", "mean", "sum"])
def test_both_kernels_are_the_product_with_the_dense_adjacency(aggregation):
    """Layer by layer, by hand."""
    workload = GraphNetwork(nodes=1500, aggregation=aggregation)
    graph = workload.held()
    index, weight = messages(graph, aggregation)
    adjacency = torch.zeros(1500, 1500)
    adjacency[index[0], index[1]] = torch.from_numpy(weight)
    nodes = torch.tensor([7, 3, 7])
    model = workload.model(None, 1).eval()
    scattered = GraphNetwork(nodes=1500, aggregation=aggregation, kernel="scatter")
    with torch.no_grad():
        first, second = model.layers
        states = torch.relu(adjacency @ first(torch.from_numpy(graph.features)))
        expected = (adjacency @ second(states))[nodes]
        assert torch.allclose(model(nodes), expected, rtol=1e-4, atol=1e-4)
        again = scattered.model(None, 1).eval()(nodes)
    assert torch.allclose(again, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", ["sparse", "scatter"])
def test_gradients_and_learning_are_the_same_by_either_kernel(kernel):
    """It tells the class of a thousand nodes after it has seen 120."""
    workload = GraphNetwork(kernel=kernel)
    training = workload.training(workload.model(None, 0), 120, 0, Practice())
    for epoch in range(30):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    (found,) = training.evaluate()
    assert found.n == 1000
    assert found.value > 0.93
    assert training.facts()["bytes"]["weights"] == 4 * (32 * 32 + 32 + 32 * 6 + 6)


def test_neighbours_are_what_it_learns_from():
    """The same weights without edges know much less."""
    workload = GraphNetwork()
    model = workload.model(None, 0)
    training = workload.training(model, 120, 0, Practice())
    for epoch in range(30):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    along = training.evaluate()[0].value
    own = model.index[0] == model.index[1]
    model.index, model.weight = model.index[:, own], torch.ones(int(own.sum()))
    assert training.evaluate()[0].value < along - 0.1


def test_the_graph_is_no_part_of_the_weights():
    """What is saved is what was learned."""
    assert set(GraphNetwork().network().state_dict()) == {
        "layers.0.weight",
        "layers.0.bias",
        "layers.1.weight",
        "layers.1.bias",
    }


def test_a_call_costs_a_pass_over_the_graph_whatever_is_asked():
    """FLOPs in closed form; both kernels are lowered alike."""
    workload = GraphNetwork(hidden=16)
    expected = 2 * 2000 * (32 * 16 + 16 * 6)
    one, many = (workload.lower("forward", batch, 1, 0).flops for batch in (1, 50))
    assert one == many == expected


def test_cora_is_lowered_and_described_without_being_read(monkeypatch, tmp_path):
    """Its shape is known; its data ask for the command."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cora.cora.cache_clear()
    workload = GraphNetwork(graph="cora")
    told = workload.geometry()["gnn"]
    assert (told["nodes"], told["edges"], told["feature_width"]) == (2708, 5278, 1433)
    assert told["messages"] == 2 * 5278 + 2708
    expected = 2 * 2708 * (1433 * 32 + 32 * 7)
    assert workload.lower("forward", 4, 1, 0).flops == expected
    with pytest.raises(MissingPart, match="accelbench models get cora"):
        workload.facts()


def test_the_degrees_of_a_generated_graph_are_told():
    """Size, distribution and width, and that it is synthetic."""
    workload = GraphNetwork()
    told = workload.geometry()["gnn"]
    assert sum(told["degree"]["histogram"].values()) == told["nodes"] == 2000
    assert workload.facts()["data"]["kind"] == "synthetic"
    assert workload.facts()["data"]["graph"]["degree"] == told["degree"]


@pytest.mark.parametrize(
    ("options", "told"),
    [({"hidden": 0}, "above 0"), ({"nodes": 100}, "1500"), ({"dropout": 1.0}, "below 1")],
)
def test_what_cannot_be_is_refused(options, told):
    """In one line."""
    with pytest.raises(ValueError, match=told):
        GraphNetwork(**options)
