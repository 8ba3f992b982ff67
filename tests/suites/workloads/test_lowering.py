"""Operator graphs of PyTorch models, held against closed forms and torch's own counter."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch import nn  # noqa: E402  (after the check that torch is there)
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402  (likewise)
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402  (likewise)

from accelbench.suites.workloads import decoder_network, digits_network  # noqa: E402  (likewise)
from accelbench.suites.workloads.decoder import Decoder  # noqa: E402  (likewise)
from accelbench.suites.workloads.digits_cnn import DigitsCnn  # noqa: E402  (likewise)
from accelbench.suites.workloads.lowering import graph_of  # noqa: E402  (likewise)

pytestmark = pytest.mark.torch

TINY = Decoder(hidden=32, layers=2, heads=4, kv_heads=2, intermediate=48)


def lowered(model, *shape):
    """The graph of one forward pass of a model on the meta device."""
    inputs = torch.empty(shape, device="meta")
    model = model.to("meta")
    return graph_of(model, lambda: model(inputs), workload="test", phase="forward", batch=shape[0])


def operator(graph, name):
    """The one operator of this name."""
    (found,) = [op for op in graph.operators if op.name == name]
    return found


def test_a_linear_layer_counts_two_flops_a_multiply_add():
    """Y = xW + b costs 2 m n k, reads x, W and b, and writes y."""
    graph = lowered(nn.Linear(7, 5), 3, 7)
    (op,) = graph.operators
    assert (op.name, op.count, op.dtype) == ("aten.addmm", 1, "float32")
    assert op.flops == graph.flops == 2 * 3 * 7 * 5
    assert (op.elements_read, op.elements_written) == (5 + 3 * 7 + 7 * 5, 3 * 5)
    assert graph.bytes_moved(4) == 4 * (5 + 21 + 35 + 15)
    assert graph.parameters == 7 * 5 + 5
    assert graph.edges == ()


def test_a_convolution_counts_each_filter_at_each_place():
    """FLOPs are 2 * outputs * channels * kernel."""
    graph = lowered(nn.Conv2d(3, 4, 3, padding=1), 2, 3, 8, 8)
    (op,) = graph.operators
    assert op.inputs == ((2, 3, 8, 8), (4, 3, 3, 3), (4,))
    assert op.outputs == ((2, 4, 8, 8),)
    assert op.flops == 2 * (2 * 4 * 8 * 8) * (3 * 3 * 3)


def test_equal_layers_fold_into_one_operator_with_a_count():
    """80 equal layers are one matrix product that feeds itself through one activation."""
    layers = [module for _ in range(80) for module in (nn.Linear(6, 6, bias=False), nn.ReLU())]
    graph = lowered(nn.Sequential(*layers), 1, 6)
    assert [(op.name, op.count) for op in graph.operators] == [("aten.mm", 80), ("aten.relu", 80)]
    assert graph.edges == ((0, 1), (1, 0))
    assert graph.parameters == 80 * 36


def test_shared_parameters_count_once():
    """A layer that is used twice has one set of parameters, but computes twice."""
    layer = nn.Linear(6, 6)
    graph = lowered(nn.Sequential(layer, layer), 1, 6)
    assert graph.parameters == 42
    assert graph.operators[0].count == 2


def test_views_move_nothing_and_link_their_ends():
    """Transposing, slicing and reshaping leave no operator, but the edge passes through them."""

    class Viewing(nn.Module):
        """Stands in for the real `Viewing`."""

        def forward(self, x):
            """Stands in for the real `forward`."""
            return x.relu().t()[1:].unsqueeze(0).view(1, 2, 4).expand(5, 2, 4).sigmoid()

    graph = lowered(Viewing(), 4, 3)
    assert [op.name for op in graph.operators] == ["aten.relu", "aten.sigmoid"]
    assert graph.edges == ((0, 1),)


def test_copies_and_writes_in_place_count():
    """An overwritten operand is written, not read; one that is added to is both."""

    class Writing(nn.Module):
        """Stands in for the real `Writing`."""

        def forward(self, x):
            """Stands in for the real `forward`."""
            room = torch.empty(2, 6, 10, device="meta")
            room.narrow(1, 2, 1).copy_(x)
            x.add_(1)
            return room.permute(2, 0, 1).contiguous() * 2

    graph = lowered(Writing(), 2, 1, 10)
    moved = [(op.name, op.elements_read, op.elements_written) for op in graph.operators]
    assert moved == [
        ("aten.copy_", 20, 20),
        ("aten.add_", 20, 20),
        ("aten.clone", 120, 120),
        ("aten.mul", 120, 120),
    ]
    assert graph.edges == ((0, 2), (2, 3))


def test_a_look_up_reads_only_the_rows_it_takes():
    """Three rows of a table of a thousand are three rows read."""
    table = nn.Embedding(1000, 8).to("meta")
    ids = torch.zeros(3, dtype=torch.long, device="meta")
    graph = graph_of(table, lambda: table(ids), workload="test", phase="forward", batch=3)
    assert graph.operators[0].elements_read == 3 + 3 * 8


def test_an_expanded_operand_is_read_once():
    """What a stride of 0 repeats lies in memory once."""

    class Expanding(nn.Module):
        """Stands in for the real `Expanding`."""

        def forward(self, x):
            """Stands in for the real `forward`."""
            return x[:1].expand(100, 4) * x

    (op,) = lowered(Expanding(), 100, 4).operators
    assert op.elements_read == 4 + 400


def test_flops_of_the_cnn_are_those_of_torchs_counter():
    """The same forward pass under torch's counter gives the same total."""
    workload = DigitsCnn()
    model = digits_network.network(workload.channels, workload.hidden)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(5, 1, 8, 8))
    graph = workload.lower("forward", 5, 1, 0)
    assert graph.flops == counter.get_total_flops() > 0
    assert graph.parameters == sum(p.numel() for p in model.parameters())
    assert {"aten.convolution", "aten.max_pool2d", "aten.addmm"} <= {
        op.name for op in graph.operators
    }


@pytest.mark.parametrize("batch", [1, 3])
def test_flops_of_the_decoder_are_those_of_torchs_counter(batch):
    """Prefill and decode of a real model with a real cache count the same FLOPs.

    The counter does not know the CPU's own attention kernel, so attention is taken apart.
    """
    model = TINY.model(None, 0)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as prefill:
            answer = model(torch.ones(batch, 9, dtype=torch.long), logits_to_keep=1)
        with FlopCounterMode(display=False) as decode:
            model(
                torch.ones(batch, 1, dtype=torch.long),
                past_key_values=answer.past_key_values,
                logits_to_keep=1,
            )
    assert TINY.lower("prefill", batch, 9, 0).flops == prefill.get_total_flops() > 0
    assert TINY.lower("decode", batch, 1, 9).flops == decode.get_total_flops() > 0


@pytest.mark.parametrize(("phase", "tokens", "context"), [("prefill", 16, 0), ("decode", 1, 16)])
def test_twice_the_batch_is_twice_the_flops_but_not_twice_the_bytes(phase, tokens, context):
    """Weights are read once a batch."""
    one, two = (TINY.lower(phase, batch, tokens, context) for batch in (1, 2))
    assert two.flops == 2 * one.flops
    assert one.bytes_moved(4) < two.bytes_moved(4) < 2 * one.bytes_moved(4)


def test_attention_reads_the_cache_once_and_a_step_writes_its_own_token():
    """With 2 kv heads of 8 elements, 20 cached tokens and 1 new: 21 keys and values read."""
    graph = TINY.lower("decode", 1, 1, 20)
    attention = operator(graph, "aten.scaled_dot_product_attention")
    assert attention.count == 2
    assert attention.inputs == ((1, 4, 1, 8), (1, 2, 21, 8), (1, 2, 21, 8))
    assert attention.flops == 2 * 2 * (4 * 21 * 8)
    written = operator(graph, "aten.copy_")
    assert (written.count, written.elements_written) == (2 * 2, 2 * 8)
    assert (
        graph.operators.index(written),
        graph.operators.index(attention),
    ) in graph.edges


def test_a_step_is_linear_in_the_context():
    """Equal steps of the context add equal FLOPs and equal bytes."""
    graphs = [TINY.lower("decode", 1, 1, context) for context in (5, 6, 7)]
    flops = [graph.flops for graph in graphs]
    moved = [graph.bytes_moved(4) for graph in graphs]
    assert flops[1] - flops[0] == flops[2] - flops[1] > 0
    assert moved[1] - moved[0] == moved[2] - moved[1] > 0


def test_a_seven_billion_parameter_model_lowers_without_its_weights():
    """Llama-2-7B's geometry: 6.74e9 parameters, about two FLOPs each and token."""
    seven = Decoder(
        hidden=4096,
        layers=32,
        heads=32,
        kv_heads=32,
        intermediate=11008,
        vocab=32000,
        max_positions=4096,
    )
    graph = seven.lower("decode", 1, 1, 512)
    assert graph.parameters == 6_738_415_616
    assert graph.flops == pytest.approx(2 * graph.parameters, rel=0.03)
    assert graph.bytes_moved(2) == pytest.approx(2 * graph.parameters, rel=0.05)
    assert len(graph.operators) < 40 < 32 * 30 < sum(op.count for op in graph.operators)
    decoder_network._on_meta.cache_clear()
