"""Spiking networks, their execution by events, and the dense network that they are held against."""

import pytest

from accelbench.harness.schema.builders import Counts
from accelbench.harness.schema.training import Practice
from accelbench.suites.workloads.classifiers.spiking import Spiking

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch


def _events(workload, count):
    return torch.from_numpy(workload.samples().batch(range(count)))


def test_neurons_integrate_leak_fire_and_are_reset():
    """By hand: decay 0.5, threshold 1, a weight of 0.8 into one neuron."""
    workload = Spiking(hidden=1, decay=0.5)
    model = workload.network().eval()
    driven = torch.tensor([[[0.8], [0.8], [0.0], [2.5], [0.0]]])
    # potentials: 0.8, 1.2 (fires), -0.4, 2.3 (fires), 0.15
    assert model._answered(driven).flatten().tolist() == [0, 1, 0, 1, 0]


def test_a_spike_has_the_gradient_of_a_fast_sigmoid():
    """1 / (1 + 10 |potential - 1|)^2, so that learning passes through."""
    model = Spiking(hidden=1, decay=0.0).network()
    driven = torch.tensor([[[1.1]]], requires_grad=True)
    model._answered(driven).sum().backward()
    assert driven.grad.item() == pytest.approx(1 / (1 + 10 * 0.1) ** 2, rel=1e-4)


@pytest.mark.parametrize("layers", [1, 2])
def test_execution_by_events_gives_the_answers_of_dense_products(layers):
    """Silent inputs add nothing."""
    dense, by_events = (Spiking(layers=layers, execution=how) for how in ("dense", "events"))
    events = _events(dense, 32)
    with torch.no_grad():
        one, other = (work.model(None, 2).eval()(events) for work in (dense, by_events))
    assert torch.allclose(one, other, atol=1e-5)


def test_what_spikes_and_what_is_not_needed_is_counted():
    """Each event reaches all neurons; counts of the window alone, and nothing when not watched."""
    workload = Spiking(hidden=8)
    model = workload.model(None, 0).eval()
    events = _events(workload, 3)
    clock = iter([10, 20, 30])
    with torch.no_grad(), workload.counting(model, lambda: next(clock)) as watch:
        for _ in range(3):
            model(events)
    assert model.heard is None
    (told,) = [{c.name: c.value for c in watch.counts(start, 30)} for start in (20,)]
    hidden = model._answered(model.layers[0](events))
    active = int(events.count_nonzero())
    spikes = int(hidden.count_nonzero())
    assert told["events.offered"] == active
    assert told["spikes"] == spikes
    assert (told["neurons"], told["timesteps"]) == (8, 3 * 16)
    assert told["synaptic_operations"] == active * 8 + spikes * 10
    assert told["synaptic_operations.multiply"] == 0
    every = 3 * 16 * (64 * 8 + 8 * 10)
    assert told["synaptic_operations.not_needed"] == every - told["synaptic_operations"]
    assert all(count.value == 0 for count in watch.counts(40, 50) if count.name != "neurons")


def test_silence_needs_no_synaptic_operation():
    """The work of an execution by events is that of its events."""
    workload = Spiking(hidden=8, execution="events")
    model = workload.model(None, 0).eval()
    with torch.no_grad():
        for layer in model.layers:
            layer.bias.zero_()
        with workload.counting(model, lambda: 0) as watch:
            assert not model(torch.zeros(2, 16, 64)).any()
    told = {count.name: count.value for count in watch.counts(0, 1)}
    assert told["synaptic_operations"] == 0


@pytest.mark.parametrize(("neurons", "epochs"), [("lif", 6), ("relu", 12)])
def test_it_learns_through_its_spikes_and_so_does_its_dense_twin(neurons, epochs):
    """Both come near their gates."""
    workload = Spiking(neurons=neurons)
    training = workload.training(workload.model(None, 0), 32, 0, Practice())
    for epoch in range(epochs):
        for batch in training.batches(epoch):
            training.step(batch, lambda _: None)
    told = {one.metric: one.value for one in training.evaluate()}
    assert told["accuracy"] > 0.88
    assert ("activity" in told) == ("spiking" in training.facts()) == (neurons == "lif")


def _evaluated(workload):
    """Model, test samples and what an evaluation tells, by name."""
    model = workload.model(None, 0)
    found = workload.training(model, 32, 0, Practice()).evaluate()
    assert found[0].metric == "accuracy"
    assert len({one.n for one in found}) == 1
    return model, _events(workload, workload.samples().count), {o.metric: o.value for o in found}


@torch.no_grad()
def test_an_evaluation_tells_activity_and_synaptic_operations_of_a_sample():
    """Spikes only accumulate; what a dense execution does stands beside."""
    model, events, told = _evaluated(Spiking(hidden=8))
    spikes = int(model._answered(model.layers[0](events)).count_nonzero())
    done = int(events.count_nonzero()) * 8 + spikes * 10
    assert told["activity"] == pytest.approx(spikes / (len(events) * 16 * 8))
    assert told["synaptic_operations.accumulate"] == pytest.approx(done / len(events))
    assert told["synaptic_operations.multiply_accumulate"] == 0
    assert told["synaptic_operations.dense"] == 16 * (64 * 8 + 8 * 10)
    assert model.heard is None


@torch.no_grad()
def test_the_dense_twin_multiplies_numbers_and_has_no_activity():
    """A number that is 0 is not needed there either."""
    model, values, told = _evaluated(Spiking(hidden=8, neurons="relu"))
    hidden = torch.relu(model.layers[0](values))
    done = int(values.count_nonzero()) * 8 + int(hidden.count_nonzero()) * 10
    assert told["synaptic_operations.multiply_accumulate"] == pytest.approx(done / len(values))
    assert told["synaptic_operations.accumulate"] == 0
    assert told["synaptic_operations.dense"] == 64 * 8 + 8 * 10
    assert "activity" not in told


def test_the_dense_twin_has_the_same_layers_and_no_neurons_to_count():
    """It reads values in place of events, once where they do not change."""
    spiking, dense = Spiking(), Spiking(neurons="relu")
    assert spiking.geometry()["linear"] == dense.geometry()["linear"] == [[64, 128], [128, 10]]
    assert dense.counting(dense.model(None, 0), lambda: 0) is None
    assert (spiking.steps, dense.steps) == (16, 1)
    assert spiking.geometry()["snn"]["neurons"] == 128
    assert "snn" not in dense.geometry()


def test_flops_are_those_of_dense_products_over_all_time_steps():
    """Whatever the execution: what spikes is not known beforehand."""
    expected = 2 * 4 * 16 * (64 * 128 + 128 * 10)
    for execution in ("dense", "events"):
        assert Spiking(execution=execution).lower("forward", 4, 1, 0).flops == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"hidden": 0}, "above 0"),
        ({"decay": 1.5}, "decay"),
        ({"neurons": "relu", "execution": "events"}, "no events"),
    ],
)
def test_what_cannot_be_is_refused(options, told):
    """In one line."""
    with pytest.raises(ValueError, match=told):
        Spiking(**options)


def test_it_is_known_as_a_builder_that_counts():
    """Engines ask by that."""
    assert isinstance(Spiking(), Counts)
