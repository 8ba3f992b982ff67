"""A deep stack of equal layers is lowered from a few of them, exactly, and only where it may be."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402  (after the check that torch is there)
from hypothesis import strategies as st  # noqa: E402  (likewise)
from torch import nn  # noqa: E402  (likewise)

from accelbench.suites.workloads.lowering.stacks import (  # noqa: E402  (likewise)
    repeating,
    shortened,
)
from tests.suites.workloads.lowering.lowered import (  # noqa: E402  (likewise)
    around,
    by_numbers,
    content,
    graph,
    trained,
)

pytestmark = pytest.mark.torch


class Layer(nn.Module):
    """A residual layer that knows where it stands."""

    def __init__(self, number, width, slope):
        super().__init__()
        self.layer_idx = number
        self.slope = slope
        self.inner = nn.Linear(6, width)
        self.outer = nn.Linear(width, 6)

    def forward(self, x):
        """The residual stream."""
        return x + self.outer(nn.functional.leaky_relu(self.inner(x), self.slope))


class Tower(nn.Module):
    """Two stacks one behind the other, between a first and a last layer."""

    def __init__(self, first, second, slopes=(0.1,)):
        super().__init__()
        self.start = nn.Linear(3, 6)
        self.first = nn.ModuleList(Layer(k, 8, slopes[k % len(slopes)]) for k in range(first))
        self.second = nn.ModuleList(Layer(k, 10, 0.1) for k in range(second))
        self.end = nn.Linear(6, 2)

    def forward(self, x):
        """Both stacks, in order."""
        x = self.start(x)
        for layer in [*self.first, *self.second]:
            x = layer(x)
        return self.end(x.relu())


def tower(*counts, of=around, **options):
    """A subject around a tower, whose stacks are told."""
    return replace(of(Tower(*counts, **options), 3), stacks=("first", "second"))


@given(first=st.integers(1, 9), second=st.integers(1, 9), period=st.integers(1, 3))
@settings(deadline=None, max_examples=8)
def test_a_shortened_stack_gives_the_graph_of_the_whole(first, second, period):
    """Counts, edges and parameters are those of a recording of all layers."""
    subject = tower(first, second, slopes=(0.1, 0.2, 0.3)[:period])
    assert content(graph(subject, batch=4)) == content(by_numbers(subject, "forward", (4, 1, 0)))


@pytest.mark.parametrize("phase", ["train.forward", "train.backward", "train.optimizer"])
def test_a_shortened_stack_trains_as_the_whole(phase):
    """The same holds for each part of a training step."""
    subject = tower(7, 1, of=trained)
    assert content(graph(subject, phase, 4)) == content(by_numbers(subject, phase, (4, 1, 0)))


def test_equal_layers_are_found_with_their_period():
    """Of eleven layers of two kinds in turn five are recorded, and three pairs are missing."""
    (found,) = repeating(Tower(11, 4, slopes=(0.1, 0.2)), ("first", "second"))[:1]
    assert (found.path, found.period, found.short, found.missing) == ("first", 2, 5, 3)


def test_few_layers_are_not_worth_shortening():
    """Three layers are recorded in less time than two and three."""
    assert repeating(Tower(3, 2), ("first", "second")) == ()


def test_layers_are_still_alike_after_some_of_them_were_recorded():
    """What one phase does to the recorded layers does not keep the next from being shortened."""
    model = Tower(8, 1)
    graph(replace(around(model, 3), stacks=("first",)), batch=4)
    assert [own.path for own in repeating(model, ("first",))] == ["first"]


def _another_class(model):
    model.first[5].inner = nn.Sequential(model.first[5].inner)


def _another_width(model):
    model.first[5].inner, model.first[5].outer = nn.Linear(6, 9), nn.Linear(9, 6)


def _another_attribute(model):
    model.first[5].slope = 0.5


def _another_object(model):
    model.first[5].act = object()


def _frozen(model):
    model.first[5].inner.weight.requires_grad_(requires_grad=False)


def _shared_inside(model):
    model.first[5].inner.weight = model.first[4].inner.weight


def _shared_outside(model):
    model.other = model.first[5].inner


@pytest.mark.parametrize(
    "change",
    [
        _another_class,
        _another_width,
        _another_attribute,
        _another_object,
        _frozen,
        _shared_inside,
        _shared_outside,
    ],
)
def test_layers_that_differ_are_all_recorded(change):
    """One layer of another kind, or one that shares a parameter, and the stack is left whole."""
    model = Tower(8, 1)
    assert [own.path for own in repeating(model, ("first",))] == ["first"]
    change(model)
    assert repeating(model, ("first",)) == ()


def test_a_layer_that_hears_from_all_before_it_makes_the_whole_recorded():
    """Where a further layer brings other operators, what it adds is not multiplied."""

    class Dense(nn.Module):
        """Each layer reads the concatenated outputs of those before it."""

        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Layer(k, 8, 0.1) for k in range(7))

        def forward(self, x):
            """The sum over a growing list."""
            kept = [x]
            for layer in self.layers:
                kept.append(layer(torch.cat(kept, 0)[: len(x)]))
            return kept[-1]

    subject = replace(around(Dense(), 6), stacks=("layers",))
    assert content(graph(subject, batch=4)) == content(by_numbers(subject, "forward", (4, 1, 0)))


def test_a_shortened_model_is_whole_again_afterwards():
    """All layers are back, in order, whatever happened."""
    model = Tower(6, 4)
    layers = [*model.first, *model.second]
    entered = shortened(model, {"first": 2, "second": 1})
    with pytest.raises(IndexError), entered:
        model.first[2]
    assert [*model.first, *model.second] == layers


@pytest.mark.parametrize(("rates", "alike"), [((0.1,) * 6, True), ((0.1, 0.1, 0.2) * 2, False)])
def test_a_table_of_options_counts_but_for_the_layer_s_own_name(rates, alike):
    """As peft keeps one with each layer that it adapts."""
    model = Tower(6, 1)
    for place, rate in enumerate(rates):
        options = {"target_name": f"first.{place}", "device": torch.device("cpu"), "rate": rate}
        model.first[place].options = {"default": options}
    found = [(own.period, own.short) for own in repeating(model, ["first"])]
    assert found == ([(1, 2)] if alike else [])
