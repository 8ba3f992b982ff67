"""What a decode step asks for is read off as few graphs as show it."""

import random

import pytest

from accelbench.harness.load.engines import Demand, DemandOf, StepDemand

CONTEXTS = random.Random(1).choices(range(1, 20_000), k=400)


class Counted:
    """A cost that counts how many graphs were made for it."""

    def __init__(self, of):
        self._of = of
        self._known = {}

    def __call__(self, context):
        """Of one context; a graph is made once."""
        return self._known.setdefault(context, self._of(context))

    @property
    def graphs(self):
        """How many."""
        return len(self._known)


def attention(context):
    """Full attention over a hundred megabytes of weights."""
    return Demand(2e8 + 8192.0 * context, 4e8 + 1024.0 * context)


def windowed(context):
    """The same with a window of 4096 tokens."""
    return attention(min(context, 4096))


def test_a_step_that_grows_evenly_needs_a_graph_for_each_new_longest_or_shortest_alone():
    """All others lie between two known ones, and their demand is exact all the same."""
    counted = Counted(attention)
    step = StepDemand(counted)
    assert [step(context) for context in CONTEXTS] == [attention(c) for c in CONTEXTS]
    assert counted.graphs < 25


@pytest.mark.parametrize("order", [CONTEXTS, sorted(CONTEXTS), sorted(CONTEXTS, reverse=True)])
def test_a_window_is_never_read_off_a_straight_line(order):
    """Wherever the bend is met, each step is what its own graph says."""
    step = StepDemand(Counted(windowed))
    assert [step(context) for context in order] == [windowed(c) for c in order]


def test_two_contexts_show_nothing_of_what_lies_between():
    """The first one in between has a graph of its own."""
    counted = Counted(windowed)
    step = StepDemand(counted)
    for context in (1, 8192, 4096):
        assert step(context) == windowed(context)
    assert counted.graphs == 3


@pytest.mark.torch
def test_the_steps_of_a_decoder_are_those_of_its_graphs():
    """At every context, and whatever the batch."""
    pytest.importorskip("transformers")
    from accelbench.suites.workloads.language.decoder import Decoder

    builder = Decoder(32, 2, 2, 1, 64, max_positions=512)
    demand = DemandOf(builder, "bf16")
    for batch in (1, 2):
        for context in (3, 200, 50, 199, 7, 120):
            graph = builder.lower("decode", batch, 1, context)
            told = demand.call("decode", batch, context=context)
            assert told == Demand(float(graph.flops), graph.bytes_moved(2.0))


@pytest.mark.torch
def test_steps_that_fill_a_window_are_counted_one_by_one():
    """Where they grow evenly two of them tell all; behind the bend they grow no more."""
    pytest.importorskip("transformers")
    from accelbench.suites.workloads.language.decoder import Decoder

    shape = {"max_positions": 512, "attention": "sliding", "window": 32}
    for builder in (Decoder(32, 2, 2, 1, 64, max_positions=512), Decoder(32, 2, 2, 1, 64, **shape)):
        demand = DemandOf(builder, "bf16")
        for context, steps in ((4, 60), (20, 1), (20, 0), (25, 12), (100, 9)):
            graphs = [builder.lower("decode", 1, 1, context + k) for k in range(steps)]
            told = demand.decode(context, steps)
            assert told.flops == sum(graph.flops for graph in graphs)
            assert told.moved == sum(graph.bytes_moved(2.0) for graph in graphs)
