"""What single operators count, held against closed forms."""

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  (after the check that torch is there)
from torch.nn import functional  # noqa: E402  (likewise)

from accelbench.harness.errors import TrialError  # noqa: E402  (likewise)
from accelbench.suites.workloads.lowering import graphs  # noqa: E402  (likewise)
from accelbench.suites.workloads.lowering.subject import Subject  # noqa: E402  (likewise)
from tests.suites.workloads.lowering.lowered import (  # noqa: E402  (likewise)
    Doing,
    around,
    graph,
    operator,
)

pytestmark = pytest.mark.torch


def lowered(model, batch, *rest):
    """The graph of one forward pass."""
    return graph(around(model, *rest), batch=batch)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_linear_layer_counts_two_flops_a_multiply_add(batch):
    """Y = xW + b costs 2 m n k, reads x, W and b, and writes y; W and b are weights."""
    found = lowered(nn.Linear(7, 5), batch, 7)
    (op,) = found.operators
    assert (op.name, op.count, op.dtype) == ("aten.addmm", 1, "float32")
    assert op.inputs == ((5,), (batch, 7), (7, 5))
    assert op.weights == (0, 2)
    assert op.flops == found.flops == 2 * batch * 7 * 5
    assert (op.elements_read, op.elements_written) == (5 + batch * 7 + 7 * 5, batch * 5)
    assert found.bytes_moved(4) == 4 * (5 + batch * 7 + 35 + batch * 5)
    assert found.parameters == 7 * 5 + 5
    assert found.edges == ()


def test_a_convolution_counts_each_filter_at_each_place():
    """FLOPs are 2 * outputs * channels * kernel."""
    (op,) = lowered(nn.Conv2d(3, 4, 3, padding=1), 2, 3, 8, 8).operators
    assert op.inputs == ((2, 3, 8, 8), (4, 3, 3, 3), (4,))
    assert op.outputs == ((2, 4, 8, 8),)
    assert op.weights == (1, 2)
    assert op.flops == 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3)


def test_a_depthwise_convolution_counts_its_own_channel_alone():
    """With as many groups as channels a filter sees one of them."""
    (op,) = lowered(nn.Conv2d(6, 6, 3, groups=6, bias=False), 2, 6, 8, 8).operators
    assert op.flops == 2 * (2 * 6 * 6 * 6) * 9


def test_attention_is_one_operator_of_two_products():
    """Scores and values cost 2 b h q k d each; scores are neither written nor read."""
    model = Doing(lambda q: functional.scaled_dot_product_attention(q, q[:, :2], q[:, :2], enable_gqa=True))  # fmt: skip
    (op,) = lowered(model, 3, 4, 5, 8).operators
    assert op.name == "aten.scaled_dot_product_attention"
    assert op.flops == 2 * 2 * (3 * 4 * 5 * 5 * 8)
    assert op.elements_read == 3 * 4 * 5 * 8 + 2 * (3 * 2 * 5 * 8)
    assert op.elements_written == 3 * 4 * 5 * 8


def test_a_product_of_groups_counts_every_row_once_and_the_matrices_that_rows_meet():
    """Of 8 matrices 3 rows meet 3, whichever these are, and 20 rows all."""
    matrices = nn.Parameter(torch.empty(8, 6, 5))
    ends = torch.empty(8, dtype=torch.int32, device="meta")

    class Grouped(nn.Module):
        """Rows of all groups by the matrix of each."""

        def __init__(self):
            super().__init__()
            self.matrices = matrices

        def forward(self, x):
            """The products."""
            return functional.grouped_mm(x, self.matrices, offs=ends)

    for rows, met in ((3, 3), (8, 8), (20, 8)):
        (op,) = lowered(Grouped(), rows, 6).operators
        assert op.outputs == ((rows, 5),)
        assert op.flops == 2 * rows * 6 * 5
        assert op.elements_read == rows * 6 + met * 6 * 5 + 8
        assert op.weights == (1,)


def test_equal_layers_fold_into_one_operator_with_a_count():
    """80 equal layers are one matrix product that feeds itself through one activation."""
    layers = [module for _ in range(80) for module in (nn.Linear(6, 6, bias=False), nn.ReLU())]
    found = lowered(nn.Sequential(*layers), 1, 6)
    assert [(op.name, op.count) for op in found.operators] == [("aten.mm", 80), ("aten.relu", 80)]
    assert found.edges == ((0, 1), (1, 0))
    assert found.parameters == 80 * 36


def test_shared_parameters_count_once():
    """A layer that is used twice has one set of parameters, but computes twice."""
    layer = nn.Linear(6, 6)
    subject, key = around(nn.Sequential(layer, layer), 6), object()
    found = graphs.lower(subject, key, "forward", 1, 1, 0)
    assert found.parameters == 42
    assert found.operators[0].count == 2
    (recording,) = graphs.recordings(key)
    assert recording.shared == (("0.weight", "1.weight"), ("0.bias", "1.bias"))


def test_views_move_nothing_and_link_their_ends():
    """Transposing, slicing and reshaping leave no operator, but the edge passes through them."""
    viewing = Doing(lambda x: x.relu().t()[1:].unsqueeze(0).view(1, 2, 4).expand(5, 2, 4).sigmoid())
    found = lowered(viewing, 4, 3)
    assert [op.name for op in found.operators] == ["aten.relu", "aten.sigmoid"]
    assert found.edges == ((0, 1),)


def test_copies_and_writes_in_place_count():
    """An overwritten operand is written, not read; one that is added to is both."""

    def writing(x):
        room = torch.empty(2, 6, 10, device="meta")
        room.narrow(1, 2, 1).copy_(x)
        x.add_(1)
        return room.permute(2, 0, 1).contiguous() * 2

    found = lowered(Doing(writing), 2, 1, 10)
    moved = [(op.name, op.elements_read, op.elements_written) for op in found.operators]
    assert moved == [
        ("aten.copy_", 20, 20),
        ("aten.add_", 20, 20),
        ("aten.clone", 120, 120),
        ("aten.mul", 120, 120),
    ]
    assert found.edges == ((0, 2), (2, 3))


def test_a_look_up_reads_only_the_rows_it_takes():
    """Three rows of a table of a thousand are three rows read, and their numbers."""
    found = graph(around(nn.Embedding(1000, 8), dtype=torch.long), batch=3)
    (op,) = found.operators
    assert op.elements_read == 3 + 3 * 8
    assert op.weights == (0,)


def test_an_expanded_operand_is_read_once():
    """What a stride of 0 repeats lies in memory once."""
    (op,) = lowered(Doing(lambda x: x[:1].expand(100, 4) * x), 100, 4).operators
    assert op.elements_read == 4 + 400


def test_what_the_host_counts_for_itself_is_left_out():
    """A number on the host is no work of the device."""

    def counting(x):
        steps = torch.zeros((), device="cpu")
        steps += 1
        return x.relu()

    assert [op.name for op in lowered(Doing(counting), 2, 3).operators] == ["aten.relu"]


def test_an_unknown_phase_is_refused_with_those_there_are():
    """The error names the phases of the subject."""
    subject = Subject("test", nn.ReLU, {"forward": lambda *_: None})
    with pytest.raises(TrialError, match="test has no phase 'decode'") as error:
        graph(subject, "decode")
    assert error.value.remedy == "one of forward"


def test_shapes_that_depend_on_the_data_are_refused():
    """How many elements are above 0 no shape tells."""
    with pytest.raises(TrialError, match="shapes of test depend on its data"):
        lowered(Doing(lambda x: x[x > 0] * 2), 4, 3)


def test_attention_among_other_operators_keeps_its_edges():
    """What feeds attention and what it feeds are linked to it."""
    model = Doing(lambda x: functional.scaled_dot_product_attention(x.relu(), x, x).sigmoid())
    found = lowered(model, 2, 3, 4, 5)
    whole = found.operators.index(operator(found, "aten.scaled_dot_product_attention"))
    assert found.edges == ((0, whole), (whole, 2))
