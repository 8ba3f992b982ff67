"""Which kernel each operator belongs to, and what each kind costs under a roofline."""

import pytest

from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.simulation.classes import CLASSES, class_costs, classes_of
from accelbench.harness.simulation.placement import Roof


def op(name, flops=0, weights=(), count=1, moved=8):
    """An operator of which only what matters here is told."""
    return Operator(name, count, ((2, 2),), ((2, 2),), "float32", flops, moved, 0, weights)


def graph(*named):
    """Operators in a chain, and further edges by their names."""
    operators = tuple(one for one in named if isinstance(one, Operator))
    places = {one.name: place for place, one in enumerate(operators)}
    edges = [(place, place + 1) for place in range(len(operators) - 1)]
    edges += [(places[pair[0]], places[pair[1]]) for pair in named if isinstance(pair, tuple)]
    return OpGraph("x", "prefill", 1, 4, 0, operators, tuple(sorted(edges)), 0)


def kinds(found):
    """The kind of each operator by its name."""
    return dict(zip((one.name for one in found.operators), classes_of(found), strict=True))


def test_a_layer_of_a_decoder_is_told_apart():
    """Projections lie beside attention, the MLP beside an activation, and the head beside none."""
    layer = graph(
        op("aten.embedding", weights=(0,)),
        op("aten.native_layer_norm", weights=(1,)),
        op("qkv", flops=9, weights=(1,)),
        op("rotary"),
        op("attention", flops=9),
        op("clone"),
        op("out", flops=9, weights=(1,)),
        op("residual"),
        op("up", flops=9, weights=(1,)),
        op("aten.silu"),
        op("gate"),
        op("down", flops=9, weights=(1,)),
        op("last"),
        op("head", flops=9, weights=(1,)),
    )
    assert kinds(layer) == {
        "aten.embedding": "embedding",
        "aten.native_layer_norm": "norm",
        "qkv": "projections",
        "rotary": "elementwise",
        "attention": "attention",
        "clone": "elementwise",
        "out": "projections",
        "residual": "elementwise",
        "up": "mlp",
        "aten.silu": "elementwise",
        "gate": "elementwise",
        "down": "mlp",
        "last": "elementwise",
        "head": "head",
    }


def test_a_normalisation_that_is_written_out_is_one():
    """From the square to the scale by a parameter; what feeds it and what it feeds is not in it."""
    found = graph(
        op("residual"),
        op("square"),
        op("mean"),
        op("epsilon"),
        op("aten.rsqrt"),
        op("scaled"),
        op("weighted", weights=(0,)),
        op("product", flops=9, weights=(1,)),
        ("residual", "scaled"),
    )
    norm = {name for name, kind in kinds(found).items() if kind == "norm"}
    assert norm == {"square", "mean", "epsilon", "aten.rsqrt", "scaled", "weighted"}


def test_time_is_the_longer_of_two_times_for_each_operator():
    """A kind can have operators under both ceilings; its bound is that of most of its time."""
    many = op("up", flops=1000, weights=(1,), count=3, moved=10)
    few = op("down", flops=10, weights=(1,), moved=100)
    found = class_costs(graph(many, op("aten.relu"), few), Roof(100.0, 50.0, "HBM"), "bf16")
    mlp, other = found
    assert (mlp.name, other.name) == ("mlp", "elementwise")
    assert mlp.bounds == {"compute": pytest.approx(30.0), "HBM": pytest.approx(4.0)}
    assert (mlp.seconds, mlp.bound) == (pytest.approx(34.0), "compute")
    assert (mlp.calls, mlp.flops, mlp.moved) == (4, 3010, 2 * 130)
    assert (other.seconds, other.bound) == (pytest.approx(16 / 50), "HBM")


def test_every_operator_is_of_one_known_kind():
    """So the kinds add up to the graph."""
    found = graph(op("a", flops=5), op("b", flops=7, weights=(0,)), op("c"), op("aten.embedding"))
    costs = class_costs(found, Roof(1.0, 1.0, "HBM"), "fp32")
    assert [one.name for one in costs] == [
        name for name in CLASSES if name in set(classes_of(found))
    ]
    assert sum(one.flops for one in costs) == found.flops
    assert sum(one.moved for one in costs) == found.bytes_moved(4)
