"""Spiking and event-driven machines: activity, events, synaptic operations.

Activity and synaptic operations are those of the window where they were counted there; a training
tells those of its last evaluation. Operations are defined as by J. Yik et al., "The NeuroBench
framework for benchmarking neuromorphic computing algorithms and systems", Nature Communications 16,
2025: effective is a connection whose input is not 0; it accumulates where its layer's inputs are
spikes (-1, 0 or 1), else it multiplies and accumulates; a dense execution does all of them in every
time step. Biases are left out, and so is what updates the neurons.
"""

from functools import partial

from accelbench.harness.metrics.compute import over_peak, peak_flops
from accelbench.harness.metrics.evaluations import figure, tells_figure
from accelbench.harness.metrics.meters import watched, window_energy
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import ratio, tells, total
from accelbench.harness.metrics.throughput import NO_LENGTH, inferences

_PER_STEP = "counter spikes / (counter neurons x counter timesteps); graded spikes count once"
_EVALUATED = "where not counted in the window, the last evaluation on the test split"
_DONE = "synaptic_operations"
_MULTIPLIED = "synaptic_operations.multiply"
_NOT_NEEDED = "synaptic_operations.not_needed"
_ACCUMULATE = "synaptic_operations.accumulate"
_MULTIPLY_ACCUMULATE = "synaptic_operations.multiply_accumulate"
_DENSE = "synaptic_operations.dense"


def _tells_activity(seen: Observation) -> bool:
    return tells("spikes")(seen) or tells_figure("activity")(seen)


def _tells_operations(seen: Observation) -> bool:
    return tells(_MULTIPLIED, _NOT_NEEDED)(seen) or tells_figure(_DENSE)(seen)


def _operates_synapses(seen: Observation) -> bool:
    return watched(seen) and tells("synaptic_operations")(seen)


@metric(
    "activity",
    unit="1",
    summary="Spikes for each neuron and time step.",
    formula=f"{_PER_STEP}; {_EVALUATED}",
    source="section 3.6.7",
    better="neither",
    applies=_tells_activity,
)
def activity(seen: Observation) -> Outcome:
    """Mean activity."""
    if not tells("spikes")(seen):
        return figure(seen, "activity")
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
    summary="Share of neurons and time steps without a spike; NeuroBench's activation sparsity.",
    formula=f"1 - {_PER_STEP}; {_EVALUATED}",
    source="section 3.6.7",
    better="neither",
    applies=_tells_activity,
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


def _counted(seen: Observation, name: str) -> Outcome:
    """Synaptic operations of one kind in the window, as the counters tell."""
    done = total(seen, _DONE)
    if isinstance(done, Absent):
        return done
    other = total(seen, _NOT_NEEDED if name == _DENSE else _MULTIPLIED)
    if isinstance(other, Absent):
        return other
    each = {
        _ACCUMULATE: done.value - other.value,
        _MULTIPLY_ACCUMULATE: other.value,
        _DENSE: done.value + other.value,
    }
    return Value(each[name], done.n)


def _operations(seen: Observation, name: str) -> Outcome:
    """Synaptic operations of one kind for each inference."""
    if not tells(_MULTIPLIED, _NOT_NEEDED)(seen):
        return figure(seen, name)
    nothing = "no inferences were completed in the window"
    return ratio(_counted(seen, name), inferences(seen), nothing)


for _name, _summary, _formula in (
    (
        _ACCUMULATE,
        "Effective synaptic operations of an inference that add a weight; NeuroBench's ACs.",
        f"counters {_DONE} - {_MULTIPLIED}",
    ),
    (
        _MULTIPLY_ACCUMULATE,
        "Effective synaptic operations of an inference that multiply too; NeuroBench's MACs.",
        f"counter {_MULTIPLIED}",
    ),
    (
        _DENSE,
        "Synaptic operations of an inference where nothing is skipped; NeuroBench's Dense.",
        f"counters {_DONE} + {_NOT_NEEDED}",
    ),
):
    metric(
        _name,
        unit="SOP/inference",
        summary=_summary,
        formula=f"{_formula}, / sum of samples (1 where not told), over requests that are ok and"
        f" done in the window; {_EVALUATED}",
        source="section 3.6.7",
        better="neither",
        applies=_tells_operations,
    )(partial(_operations, name=_name))


@metric(
    "synaptic_operations.saved",
    unit="1",
    summary="Share of the synaptic operations that are not needed, because their input is 0.",
    formula=f"1 - ({_ACCUMULATE} + {_MULTIPLY_ACCUMULATE}) / {_DENSE}; whether they are skipped is"
    " up to the execution",
    source="section 3.6.7",
    better="neither",
    applies=_tells_operations,
)
def saved(seen: Observation) -> Outcome:
    """What effective operations leave of the dense ones."""
    added, multiplied = (_operations(seen, name) for name in (_ACCUMULATE, _MULTIPLY_ACCUMULATE))
    if isinstance(added, Absent):
        return added
    if isinstance(multiplied, Absent):
        return multiplied
    effective = Value(added.value + multiplied.value, added.n)
    share = ratio(effective, _operations(seen, _DENSE), "the network has no synapses")
    return share if isinstance(share, Absent) else Value(1 - share.value, share.n)
