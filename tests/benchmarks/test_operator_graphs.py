"""Closed forms of operators, what makes graphs and PyTorch's counter differ, and what lowering takes."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.phases import Phase

FOLDER = Path(__file__).parents[2] / "benchmarks" / "operator_graphs"
sys.path.insert(0, str(FOLDER))

import agreement  # noqa: E402
import closed_forms  # noqa: E402
import lowering_cost  # noqa: E402
from families import FULL, SMALL, Case  # noqa: E402

pytestmark = pytest.mark.torch


def operator(name, inputs, outputs, count=1):
    """An operator of which nothing counts but its shapes."""
    return Operator(name, count, inputs, outputs, "float32", 0, 0, 0)


@pytest.mark.parametrize(
    ("name", "inputs", "outputs", "flops"),
    [
        ("aten.mm", ((3, 5), (5, 7)), ((3, 7),), 2 * 3 * 5 * 7),
        ("aten.addmm", ((7,), (3, 5), (5, 7)), ((3, 7),), 2 * 3 * 5 * 7),
        ("aten.bmm", ((4, 3, 5), (4, 5, 7)), ((4, 3, 7),), 4 * 2 * 3 * 5 * 7),
        ("aten._grouped_mm", ((9, 5), (4, 5, 7), (4,)), ((9, 7),), 2 * 9 * 5 * 7),
        ("aten._grouped_mm", ((5, 9), (9, 7), (4,)), ((4, 5, 7),), 2 * 5 * 9 * 7),
        ("aten.convolution", ((2, 6, 9, 9), (8, 3, 5, 5)), ((2, 8, 5, 5),), 2 * 400 * 75),
        ("aten.relu", ((3, 5),), ((3, 5),), 0),
    ],
)
def test_closed_forms_follow_from_shapes(name, inputs, outputs, flops):
    """Two operations for a multiply-add; what multiplies no matrices counts none."""
    assert closed_forms.of_operator(operator(name, inputs, outputs)) == flops


def test_attention_is_two_products_and_four_backward():
    """Queries of 4 heads, keys of 2 that they share."""
    query, key = (3, 4, 5, 8), (3, 2, 11, 8)
    forward = operator("aten.scaled_dot_product_attention", (query, key, key), (query,))
    shapes = (query, query, query, key, key)
    backward = operator("accelbench.attention_backward", shapes, (query, key, key))
    assert closed_forms.of_operator(forward) == 4 * 3 * 4 * 5 * 11 * 8
    assert closed_forms.of_operator(backward) == 8 * 3 * 4 * 5 * 11 * 8


def test_a_convolution_s_gradients_cost_a_forward_pass_each():
    """Those of inputs, of filters, or both; a bias costs nothing."""
    given, entered, filters = (2, 8, 5, 5), (2, 6, 9, 9), (8, 6, 5, 5)
    one = 2 * 400 * 150
    for outputs, times in (
        ((entered, filters, (8,)), 2),
        ((filters, (8,)), 1),
        ((entered,), 1),
    ):
        op = operator("aten.convolution_backward", (given, entered, filters), outputs)
        assert closed_forms.of_operator(op) == times * one
        assert closed_forms.counted_too_often(op) == 0


def test_the_counter_takes_all_channels_for_the_filters_of_a_group():
    """With 3 groups it counts their gradient three times; frozen filters have none."""
    given, entered, filters = (2, 6, 5, 5), (2, 6, 9, 9), (6, 2, 5, 5)
    one = 2 * 300 * 50
    learned = operator("aten.convolution_backward", (given, entered, filters), (entered, filters))
    frozen = operator("aten.convolution_backward", (given, entered, filters), (entered,))
    assert closed_forms.counted_too_often(learned) == 2 * one
    assert closed_forms.counted_too_often(frozen) == 0


def test_a_graph_sums_its_operators_as_often_as_they_occur():
    """Three products of one kind and one activation."""
    ops = (
        operator("aten.mm", ((2, 2), (2, 2)), ((2, 2),), 3),
        operator("aten.relu", ((2, 2),), ((2, 2),)),
    )
    graph = OpGraph("x", "forward", 1, 1, 0, ops, (), 4)
    assert closed_forms.of_graph(graph) == 3 * 16


@pytest.mark.parametrize(
    "case",
    [
        Case("mlp_narrow"),
        Case("depthwise_digits"),
        Case("gnn_generated"),
        Case("gru_digits"),
        Case("tiny_mixtral"),
        Case("tiny_t5"),
        Case("mobilenet_v1", batch=1, of_real_data=False),
    ],
    ids=lambda case: case.name,
)
def test_nothing_is_left_unexplained(case):
    """Inference and training of a model that is run or on the meta device."""
    rows = list(agreement.compared(case))
    assert {row.phases for row in rows} >= {"train.forward + train.backward"}
    for row in rows:
        assert row.ours == row.closed > 0
        assert row.left == 0


def test_a_difference_is_told_with_its_cause():
    """What is known first, then what is not, then the note."""
    row = agreement.Row("x", "forward", 1, 1, 0, 100, 100, 160, 10, 50, 0, "a note")
    assert row.left == -20
    told = agreement.why(row)
    assert told.startswith("+10: grouped matrix products")
    assert "-50: torch takes all channels" in told
    assert told.endswith("-20: not explained; a note")
    text = agreement.report([row, replace(row, torch=100, uncounted=0, groups=0)], ["y: missing"])
    assert "2 comparisons: 1 agree to the last operation, 0 differ" in text
    assert "1 otherwise; 2 are what closed forms give" in text
    assert "- left out: y: missing" in text


def test_what_fails_is_left_out_and_told():
    """The others are still counted."""
    rows, left_out = agreement.measure([Case("no_such_preset"), Case("mlp_narrow")])
    assert {row.case for row in rows} == {"mlp_narrow"}
    (said,) = left_out
    assert "no_such_preset" in said


def test_no_workload_is_counted_twice():
    """Names tell them apart in the tables."""
    names = [case.name for case in (*SMALL, *FULL)]
    assert len(names) == len(set(names))


def test_phases_are_asked_at_the_sizes_they_have():
    """A step of decoding follows a prompt; images have no tokens."""
    of = lowering_cost.sizes
    assert of(Phase("decode", tokens=True, context=True), 1, 512) == (1, 1, 512)
    assert of(Phase("prefill", tokens=True, context=True), 1, 512) == (1, 512, 0)
    assert of(Phase("forward"), 1, 512) == (1, 1, 0)


@pytest.mark.slow
def test_lowering_is_measured_in_a_process_of_its_own():
    """Every phase has its time, and memory is that process's alone."""
    found = lowering_cost.apart("mobilenet_v1")
    phases = {"forward", "train.forward", "train.backward", "train.optimizer"}
    assert set(found.phases_s) == set(found.operators) == phases
    assert 0 < found.again_s < found.total_s < 60
    assert 1e8 < found.peak_bytes < 2e9
    assert "mobilenet_v1, 0.0 billion parameters" in lowering_cost.report([found])
    with pytest.raises(TrialError, match=r"lowering failed: .*no_such"):
        lowering_cost.apart("no_such")
