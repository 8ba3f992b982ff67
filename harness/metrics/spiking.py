"""Spiking and event-driven machines: activity, events, synaptic operations."""

from accelbench.harness.metrics.compute import over_peak, peak_flops
from accelbench.harness.metrics.meters import watched, window_energy
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, tells, total
from accelbench.harness.metrics.throughput import NO_LENGTH

_PER_STEP = "counter spikes / (counter neurons x counter timesteps); graded spikes count once"


def _operates_synapses(seen: Observation) -> bool:
    return watched(seen) and tells("synaptic_operations")(seen)


@metric(
    "activity",
    unit="1",
    summary="Spikes for each neuron and time step.",
    formula=_PER_STEP,
    source="section 3.6.7",
    better="neither",
    applies=tells("spikes"),
)
def activity(seen: Observation) -> Outcome:
    """Mean activity."""
    spikes, neurons = total(seen, "spikes"), total(seen, "neurons")
    steps = total(seen, "timesteps")
    if isinstance(neurons, Absent):
        return neurons
    if isinstance(steps, Absent):
        return steps
    places = Value(neurons.value * steps.value, neurons.n)
    return ratio(spikes, places, "no neuron was simulated for any time step")


@metric(
    "activity.sparsity",
    unit="1",
    summary="Share of neurons and time steps without a spike.",
    formula=f"1 - {_PER_STEP}",
    source="section 3.6.7",
    better="neither",
    applies=tells("spikes"),
)
def sparsity(seen: Observation) -> Outcome:
    """What activity leaves."""
    found = activity(seen)
    return found if isinstance(found, Absent) else Value(1 - found.value, found.n)


@metric(
    "events.rate",
    unit="event/s",
    summary="Events handled a second.",
    formula="(counter events.offered - counter events.dropped) / T_window",
    source="section 3.6.7",
    better="higher",
    applies=tells("events.offered"),
)
def event_rate(seen: Observation) -> Outcome:
    """Events that were not lost, a second."""
    offered, dropped = total(seen, "events.offered"), total(seen, "events.dropped")
    if seen.length_ns == 0:
        return NO_LENGTH
    if isinstance(offered, Absent):
        return offered
    if isinstance(dropped, Absent):
        return dropped
    return Value((offered.value - dropped.value) / seen.length_s, offered.n)


@metric(
    "events.drop_rate",
    unit="1",
    summary="Share of the events offered that were lost.",
    formula="counter events.dropped / counter events.offered",
    source="section 3.6.7; section 3.2.7",
    better="lower",
    applies=tells("events.offered"),
)
def drop_rate(seen: Observation) -> Outcome:
    """Dropped over offered events."""
    offered, dropped = total(seen, "events.offered"), total(seen, "events.dropped")
    return ratio(dropped, offered, "no event was offered")


@metric(
    "energy.per_synaptic_op",
    unit="J",
    summary="Energy for each synaptic operation, idle power included.",
    formula="E / counter synaptic_operations; E is not net of idle",
    source="Table 1; section 4.7",
    better="lower",
    applies=_operates_synapses,
)
def energy_per_operation(seen: Observation) -> Outcome:
    """Energy over synaptic operations, J."""
    found = window_energy(seen)
    if isinstance(found, Absent):
        return found
    spent = Value(found.energy_j, found.n, energy=found.note)
    return ratio(spent, total(seen, "synaptic_operations"), "no synaptic operation was done")


@metric(
    "utilization.temporal",
    unit="1",
    summary="Synaptic operations a second of the window over what the machine is built for.",
    formula="counter synaptic_operations / T_window, quiet intervals included, / peak of the"
    " platform sheet at the precision of the trace",
    source="section 3.5.7",
    better="higher",
    applies=tells("synaptic_operations"),
)
def temporal_utilization(seen: Observation) -> Outcome:
    """Useful work rate over provisioned capacity."""
    if seen.length_ns == 0:
        return NO_LENGTH
    done = total(seen, "synaptic_operations")
    if isinstance(done, Absent):
        return done
    return over_peak(Value(done.value / seen.length_s, done.n), peak_flops(seen))
