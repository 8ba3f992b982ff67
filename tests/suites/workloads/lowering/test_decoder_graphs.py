"""Graphs of decoders: full, sliding and linear attention, experts, and the full-size presets."""

import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from hypothesis import given, settings  # noqa: E402  (after the check that torch is there)
from hypothesis import strategies as st  # noqa: E402  (likewise)
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402  (likewise)
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402  (likewise)

import accelbench.conf  # noqa: E402  (likewise)
from accelbench.harness.schema.phases import TRAINING  # noqa: E402  (likewise)
from accelbench.suites.workloads.language import decoder_phases  # noqa: E402  (likewise)
from accelbench.suites.workloads.language.decoder import Decoder  # noqa: E402  (likewise)
from tests.suites.workloads.lowering.lowered import (  # noqa: E402  (likewise)
    by_numbers,
    content,
    operator,
)

pytestmark = pytest.mark.torch

SIZES = {"hidden": 32, "heads": 4, "kv_heads": 2, "intermediate": 48}
TINY = Decoder(**SIZES, layers=2)
KINDS = {
    "full": TINY,
    "deep": Decoder(**SIZES, layers=6),
    "sliding": Decoder(**SIZES, layers=2, attention="sliding", window=6),
    "experts": Decoder(**SIZES, layers=2, experts=8, experts_per_token=2),
    "linear": Decoder(**{**SIZES, "kv_heads": 4}, layers=2, attention="linear"),
}


@pytest.mark.parametrize(
    ("name", "batch"), [("full", 1), ("full", 3), ("sliding", 3), ("experts", 3)]
)
def test_flops_of_a_decoder_are_those_of_torchs_counter(name, batch):
    """Prefill and decode of a real model with a real cache count the same FLOPs.

    The counter does not know the CPU's own attention kernel, so attention is taken apart.
    """
    model = KINDS[name].model(None, 0)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        with FlopCounterMode(display=False) as prefill:
            answer = model(torch.ones(batch, 9, dtype=torch.long), logits_to_keep=1)
        with FlopCounterMode(display=False) as decode:
            model(
                torch.ones(batch, 1, dtype=torch.long),
                past_key_values=answer.past_key_values,
                logits_to_keep=1,
            )
    told = KINDS[name].lower("prefill", batch, 9, 0), KINDS[name].lower("decode", batch, 1, 9)
    uncounted = [sum(o.count * o.flops for o in own.operators if o.name == "aten._grouped_mm") for own in told]  # fmt: skip
    assert told[0].flops - uncounted[0] == prefill.get_total_flops() > 0
    assert told[1].flops - uncounted[1] == decode.get_total_flops() > 0


@given(
    name=st.sampled_from(sorted(KINDS)),
    phase=st.sampled_from(["prefill", "decode", *TRAINING]),
    batch=st.integers(1, 4),
    tokens=st.integers(1, 9),
    context=st.integers(0, 9),
)
@settings(deadline=None, max_examples=5)
def test_any_size_gives_the_graph_that_numbers_give(name, phase, batch, tokens, context):
    """Operators, shapes, FLOPs, elements and edges are those of all layers without symbols."""
    if phase == "decode":
        tokens, context = 1, context + 1
    elif phase in TRAINING:
        context = 0
    found = KINDS[name].lower(phase, batch, tokens, context)
    subject = decoder_phases.subject(KINDS[name]._config())
    assert content(found) == content(by_numbers(subject, phase, (batch, tokens, context)))


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
    edge = graph.operators.index(written), graph.operators.index(attention)
    assert edge in graph.edges


def test_a_step_is_linear_in_the_context():
    """Equal steps of the context add equal FLOPs and equal bytes."""
    graphs = [TINY.lower("decode", 1, 1, context) for context in (5, 6, 7)]
    flops = [graph.flops for graph in graphs]
    moved = [graph.bytes_moved(4) for graph in graphs]
    assert flops[1] - flops[0] == flops[2] - flops[1] > 0
    assert moved[1] - moved[0] == moved[2] - moved[1] > 0


def test_a_full_window_asks_for_no_more():
    """With a window of 6 every step from the sixth token on attends to 6 keys."""
    steps = [KINDS["sliding"].lower("decode", 2, 1, context) for context in (4, 5, 6, 40)]
    keys = [operator(own, "aten.scaled_dot_product_attention").inputs[1][-2] for own in steps]
    assert keys == [5, 6, 6, 6]


def test_linear_attention_asks_for_as_much_at_every_context():
    """The state has one size."""
    short, long = (KINDS["linear"].lower("decode", 2, 1, context) for context in (10, 10_000))
    assert short.flops == long.flops
    assert short.bytes_moved(4) == long.bytes_moved(4)


def test_linear_attention_is_recorded_once_for_all_batches_and_contexts():
    """Chunks are whole numbers of tokens: a length beyond the first has a recording of its own."""
    own = replace(KINDS["linear"], layers=1, max_positions=512)
    for batch, tokens, context in ((2, 100, 3), (7, 100, 90), (1, 100, 0), (3, 20, 2), (4, 9, 5)):
        own.lower("prefill", batch, tokens, context)
    for batch, context in ((2, 5), (7, 90)):
        own.lower("decode", batch, 1, context)
    told = [(one.phase, one.tokens.low, one.tokens.high) for one in own.recordings()]
    assert sorted(told) == [("decode", 1, 1), ("prefill", 2, 63), *[("prefill", 100, 100)] * 2]


@pytest.mark.parametrize(("batch", "met"), [(1, 2), (3, 6), (4, 8), (9, 8)])
def test_a_step_reads_the_experts_that_its_tokens_meet(batch, met):
    """Two of eight experts a token, spread evenly: three tokens meet six, four meet all."""
    graph = KINDS["experts"].lower("decode", batch, 1, 5)
    up, down = [op for op in graph.operators if op.name == "aten._grouped_mm"]
    assert (up.count, down.count) == (2, 2)
    assert up.inputs[:2] == ((2 * batch, 32), (8, 32, 96))
    assert up.flops == 2 * 2 * batch * 32 * 96
    assert up.elements_read == 2 * batch * 32 + met * 32 * 96 + 8
    assert down.elements_read == 2 * batch * 48 + met * 48 * 32 + 8


def preset(name):
    """The builder of a preset."""
    text = (Path(accelbench.conf.__path__[0]) / "workload" / f"{name}.yaml").read_text()
    known = {own.name for own in fields(Decoder)}
    return Decoder(**{k: v for k, v in yaml.safe_load(text).items() if k in known})


@pytest.mark.parametrize(
    ("name", "parameters", "active"),
    [
        pytest.param("llama2_7b", 6_738_415_616, 1.0, marks=pytest.mark.slow),
        pytest.param("llama2_13b", 13_015_864_320, 1.0, marks=pytest.mark.slow),
        ("llama2_70b", 68_976_648_192, 1.0),
        pytest.param("llama3_8b", 8_030_261_248, 1.0, marks=pytest.mark.slow),
        pytest.param("mixtral_8x7b", 46_702_792_704, 0.276, marks=pytest.mark.slow),
    ],
)
def test_full_size_presets_lower_without_their_weights(name, parameters, active):
    """A step costs about two FLOPs and two bytes for each parameter that a token meets."""
    builder = preset(name)
    started = time.process_time()
    decode = builder.lower("decode", 1, 1, 512)
    prefill = builder.lower("prefill", 1, 512, 0)
    assert time.process_time() - started < 20
    assert decode.parameters == parameters
    assert decode.flops == pytest.approx(2 * parameters * active, rel=0.07)
    assert decode.bytes_moved(2) == pytest.approx(2 * parameters * active, rel=0.07)
    assert 450 * decode.flops < prefill.flops < 512 * decode.flops
    assert (
        len(decode.operators) < 60 < builder.layers * 28 < sum(op.count for op in decode.operators)
    )


@pytest.mark.parametrize(
    ("name", "kibibytes"),
    [
        ("llama2_7b", 512),
        ("llama2_13b", 800),
        ("llama2_70b", 320),
        ("llama3_8b", 128),
        ("mixtral_8x7b", 128),
    ],
)
def test_full_size_presets_keep_what_is_published_of_a_token(name, kibibytes):
    """Keys and values of all layers at two bytes an element; nothing is lowered for it."""
    kept = preset(name).kv(2.0)
    assert 2 * kept.layers * kept.kv_heads * kept.head_dim * kept.element_bytes == kibibytes * 1024


def test_flops_of_llama2_70b_are_those_of_the_closed_form():
    """Two for each weight of a product and token, and both products of attention over all keys."""
    builder = preset("llama2_70b")
    hidden, kept = 8192, 8 * 128
    head = 32000 * hidden
    layer = 2 * hidden * hidden + 2 * hidden * kept + 3 * hidden * 28672
    attention = 80 * 4 * hidden
    assert builder.lower("decode", 3, 1, 512).flops == 3 * (
        2 * (80 * layer + head) + attention * 513
    )
    assert builder.lower("prefill", 1, 512, 0).flops == (
        2 * (512 * 80 * layer + head) + attention * 512 * 512
    )
    step = 3 * 64 * (2 * (80 * layer + head) + attention * 64)
    assert builder.lower("train.forward", 3, 64, 0).flops == step
    assert builder.lower("train.backward", 3, 64, 0).flops == 2 * step
