"""Arrays, spiking machines and experts: metrics of what engines and simulators count."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.trace import Trace

MakeTrace: TypeAlias = Callable[..., Trace]
Values: TypeAlias = Callable[..., dict[str, Any]]


SIMULATED = {"clock": "simulated", "evidence": "simulated"}


def counter(name: str, value: float, unit: str = "1", scope: str = "all") -> dict[str, Any]:
    """A row of `counters`."""
    return {"name": name, "at": 10, "value": value, "unit": unit, "scope": scope}


def request(done: float, **more: Any) -> dict[str, Any]:
    """A request that is ok."""
    return {"id": str(done), "due": 0, "sent": 0, "done": done, "status": "ok", **more}


def power(watts: float) -> list[dict[str, Any]]:
    """Constant power over ten seconds."""
    return [
        {
            "probe": "meter", "channel": "0", "kind": "power", "at": at, "value": watts,
            "unit": "W", "scope": "board",
        }
        for at in (0, 10)
    ]  # fmt: skip


def test_mapped_fractions_are_told_one_by_one(make_trace: MakeTrace, values: Values) -> None:
    """By weights, by FLOPs and by time: the three differ, and none stands in for another."""
    shares = {"mapped.weights": 0.9, "mapped.flops": 0.8, "mapped.time": 0.3}
    found = values(make_trace(counters=[counter(*item) for item in shares.items()]))
    assert {name: found[name] for name in shares} == shares
    assert "mapped.time" not in values(make_trace(counters=[counter("mapped.flops", 0.8)]))


def test_the_bound_needs_the_mapped_share_and_a_speedup(make_trace: MakeTrace) -> None:
    """Half of it is no bound."""
    found = measure(make_trace(counters=[counter("array.speedup", 50)]), None)
    assert found["speedup.bound"].reason == "the counter mapped.flops was not read"
    told = [counter("array.speedup", 0), counter("mapped.flops", 0.5)]
    found = measure(make_trace(counters=told), None)
    assert found["speedup.bound"].reason == "the array's speed-up is not positive"
    assert "speedup.bound" not in measure(make_trace(counters=told[1:]), None)


def test_occupancy_adds_crossbars_before_it_divides(make_trace: MakeTrace, values: Values) -> None:
    """A full small array and an empty large one make a nearly empty machine."""
    told = [
        counter("crossbar.cells_used", 100, scope="a"),
        counter("crossbar.cells_allocated", 100, scope="a"),
        counter("crossbar.cells_used", 0, scope="b"),
        counter("crossbar.cells_allocated", 900, scope="b"),
    ]
    assert values(make_trace(counters=told))["crossbar.occupancy"] == pytest.approx(0.1)
    none = [counter("crossbar.cells_used", 0), counter("crossbar.cells_allocated", 0)]
    found = measure(make_trace(counters=none), None)["crossbar.occupancy"]
    assert found.reason == "no crossbar was taken"


def test_converters_are_components_of_the_ledger(make_trace: MakeTrace) -> None:
    """However they are spelled; a ledger without them has no such share."""
    rows = [
        {"phase": "forward", "component": name, "energy_j": joules}
        for name, joules in [("ADC", 3.0), ("dac", 1.0), ("array", 4.0), ("adc driver", 2.0)]
    ]
    found = measure(make_trace(10, SIMULATED, ledger=rows), None)["converter.share"]
    assert (found.value, found.n) == (pytest.approx(0.4), 4)
    assert "converter.share" not in measure(make_trace(10, SIMULATED, ledger=rows[2:]), None)
    free = [{**row, "energy_j": 0.0} for row in rows]
    found = measure(make_trace(10, SIMULATED, ledger=free), None)["converter.share"]
    assert found.reason == "no energy was spent in the window"


def test_writes_for_each_inference(make_trace: MakeTrace) -> None:
    """Samples of requests done in the window; a stationary array writes none."""
    rows = [request(1, samples=3), request(2), request(12, samples=9)]
    told = [counter("weight_writes", 20)]
    name = "remap.writes_per_inference"
    assert measure(make_trace(requests=rows, counters=told), None)[name].value == pytest.approx(5)
    still = [counter("weight_writes", 0)]
    assert measure(make_trace(requests=rows, counters=still), None)[name].value == 0
    assert measure(make_trace(counters=told), None)[name].reason == (
        "no inferences were completed in the window"
    )


def test_activity_and_sparsity_make_one(make_trace: MakeTrace, values: Values) -> None:
    """Spikes for each neuron and step; more than one is possible where events are graded."""
    told = [counter("spikes", 50), counter("neurons", 100), counter("timesteps", 10)]
    found = values(make_trace(counters=told))
    assert found["activity"] == pytest.approx(0.05)
    assert found["activity.sparsity"] == pytest.approx(0.95)
    for k, name in ((1, "neurons"), (2, "timesteps")):
        lacking = [row for row in told if row is not told[k]]
        found = measure(make_trace(counters=lacking), None)
        for metric in ("activity", "activity.sparsity"):
            assert found[metric].reason == f"the counter {name} was not read"
    still = [*told[:2], counter("timesteps", 0)]
    assert measure(make_trace(counters=still), None)["activity"].reason == (
        "no neuron was simulated for any time step"
    )


def operations(done: float, multiplied: float, not_needed: float) -> list[dict[str, Any]]:
    """The counters of synaptic operations."""
    told = {"": done, ".multiply": multiplied, ".not_needed": not_needed}
    return [counter(f"synaptic_operations{rest}", value) for rest, value in told.items()]


def test_synaptic_operations_of_an_inference_are_held_against_dense_ones(
    make_trace: MakeTrace, values: Values
) -> None:
    """Those that add, those that multiply too, all that a dense execution does, and the rest."""
    rows = [request(1, samples=3), request(2, samples=1), request(12, samples=9)]
    found = values(make_trace(requests=rows, counters=operations(400, 100, 1200)))
    assert found["synaptic_operations.accumulate"] == pytest.approx(75)
    assert found["synaptic_operations.multiply_accumulate"] == pytest.approx(25)
    assert found["synaptic_operations.dense"] == pytest.approx(400)
    assert found["synaptic_operations.saved"] == pytest.approx(0.75)


def test_synaptic_operations_that_cannot_be_told_say_why(make_trace: MakeTrace) -> None:
    """A counter that is lacking, no inference, no synapse; a count alone tells none of them."""
    rows = [request(1, samples=2)]
    found = measure(make_trace(requests=rows, counters=operations(4, 0, 4)[1:]), None)
    for name in ("accumulate", "multiply_accumulate", "dense", "saved"):
        told = found[f"synaptic_operations.{name}"]
        assert told.reason == "the counter synaptic_operations was not read"
    found = measure(make_trace(counters=operations(4, 0, 4)), None)
    assert found["synaptic_operations.saved"].reason == "no inferences were completed in the window"
    found = measure(make_trace(requests=rows, counters=operations(0, 0, 0)), None)
    assert found["synaptic_operations.saved"].reason == "the network has no synapses"
    alone = measure(make_trace(requests=rows, counters=operations(4, 0, 4)[:1]), None)
    assert not [name for name in alone if name.startswith("synaptic_operations")]


def test_a_training_tells_what_its_last_evaluation_counted(
    make_trace: MakeTrace, values: Values
) -> None:
    """Activity and operations of a sample are there, where no counter is."""
    told = {
        "activity": 0.1,
        "synaptic_operations.accumulate": 30.0,
        "synaptic_operations.multiply_accumulate": 0.0,
        "synaptic_operations.dense": 120.0,
    }
    rows = [
        {"at": 1, "metric": name, "split": "test", "value": value, "n": 360}
        for name, value in told.items()
    ]
    found = values(make_trace(evals=rows))
    assert {name: found[name] for name in told} == told
    assert found["activity.sparsity"] == pytest.approx(0.9)
    assert found["synaptic_operations.saved"] == pytest.approx(0.75)
    assert found["quality"] is None
    counted = [counter("spikes", 50), counter("neurons", 100), counter("timesteps", 10)]
    assert values(make_trace(evals=rows, counters=counted))["activity"] == pytest.approx(0.05)


def test_events_that_were_lost_were_not_handled(make_trace: MakeTrace) -> None:
    """The rate is of those handled; what was lost is a share of those offered."""
    told = [counter("events.offered", 1000), counter("events.dropped", 100)]
    found = measure(make_trace(10, counters=told), None)
    assert found["events.rate"].value == pytest.approx(90)
    assert found["events.drop_rate"].value == pytest.approx(0.1)
    found = measure(make_trace(10, counters=told[:1]), None)
    for name in ("events.rate", "events.drop_rate"):
        assert found[name].reason == "the counter events.dropped was not read"
    silent = [counter("events.offered", 0), counter("events.dropped", 0)]
    found = measure(make_trace(10, counters=silent), None)
    assert found["events.rate"].value == 0
    assert found["events.drop_rate"].reason == "no event was offered"
    still = measure(make_trace(0, counters=told), None)
    assert still["events.rate"].reason == "the window has no length"


def test_energy_of_a_synaptic_operation_includes_idle(make_trace: MakeTrace) -> None:
    """All energy of the window, and the note says that idle power was not taken off."""
    told = [counter("synaptic_operations", 1e9)]
    found = measure(make_trace(10, counters=told, samples=power(2)), None)
    each = found["energy.per_synaptic_op"]
    assert each.value == pytest.approx(20e-9)
    assert each.energy is not None
    assert each.energy.net_of_idle is False
    none = [counter("synaptic_operations", 0)]
    found = measure(make_trace(10, counters=none, samples=power(2)), None)
    assert found["energy.per_synaptic_op"].reason == "no synaptic operation was done"
    assert "energy.per_synaptic_op" not in measure(make_trace(10, counters=told), None)


def test_quiet_intervals_lower_temporal_utilization(make_trace: MakeTrace, machine: Any) -> None:
    """Operations over the whole window, against what the machine is built for."""
    told = [counter("synaptic_operations", 1e9)]
    trace = make_trace(10, {"precision": "fp32"}, counters=told)
    found = measure(trace, machine(1e9, None))
    assert found["utilization.temporal"].value == pytest.approx(0.1)
    assert measure(trace, None)["utilization.temporal"].reason == "no platform sheet is known"
    brief = make_trace(0, {"precision": "fp32"}, counters=told)
    found = measure(brief, machine(1e9, None))
    assert found["utilization.temporal"].reason == "the window has no length"


def test_one_expert_is_balanced(make_trace: MakeTrace, values: Values) -> None:
    """It carries the mean."""
    found = values(make_trace(counters=[counter("moe.expert_tokens", 7, "token", "0")]))
    assert (found["experts.balance"], found["experts.cv"]) == (1, 0)


def test_experts_without_tokens(make_trace: MakeTrace) -> None:
    """Nothing is balanced about nothing."""
    told = [counter("moe.expert_tokens", 0, "token", str(k)) for k in range(2)]
    found = measure(make_trace(counters=[*told, counter("moe.dropped_tokens", 0, "token")]), None)
    for name in ("experts.balance", "experts.cv", "experts.drop_rate"):
        assert found[name].reason == "no token was sent to an expert"


def test_dropped_tokens_are_a_share_of_all_that_were_sent(make_trace: MakeTrace) -> None:
    """Those that found no room and those that did."""
    told = [counter("moe.expert_tokens", 45, "token", str(k)) for k in range(2)]
    dropped = counter("moe.dropped_tokens", 10, "token")
    found = measure(make_trace(counters=[*told, dropped]), None)
    assert found["experts.drop_rate"].value == pytest.approx(0.1)
    found = measure(make_trace(counters=[dropped]), None)
    assert found["experts.drop_rate"].reason == "the counter moe.expert_tokens was not read"
    assert "experts.balance" not in found


def test_converters_and_writes_take_time(make_trace: MakeTrace, values: Values) -> None:
    """Phases of their names, what overlaps counted once, what lies outside the window not at all."""
    phases = [
        {"name": name, "kind": "other", "start": start, "end": end}
        for name, start, end in [
            ("adc", 0, 2), ("dac", 1, 3), ("weight_write", 4, 5), ("weight_write", 9, 12),
        ]
    ]  # fmt: skip
    found = values(make_trace(10, phases=phases, requests=[request(9, samples=4)]))
    assert found["converter.time_share"] == pytest.approx(0.3)
    assert found["remap.time_per_inference"] == pytest.approx(0.5)
    assert "remap.energy_per_inference" not in found


def test_writing_weights_costs_energy(make_trace: MakeTrace) -> None:
    """The ledger's component over the inferences; how it is known goes with it."""
    rows = [{"phase": "program", "component": "weight_write", "energy_j": 6.0}]
    trace = make_trace(10, SIMULATED, ledger=rows, requests=[request(9, samples=4)])
    found = measure(trace, None)["remap.energy_per_inference"]
    assert found.value == pytest.approx(1.5)
    assert found.energy.quality == "modelled"
    idle = measure(make_trace(10, SIMULATED, ledger=rows), None)["remap.energy_per_inference"]
    assert idle.reason == "no inferences were completed in the window"
