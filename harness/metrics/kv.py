"""Memory of keys and values in a trial, from the layout that its head tells.

Bytes are those reserved: whole blocks, heads replicated where there are more devices than heads,
quantisation scales, and no more than a sliding window keeps.
"""

import numpy as np

from accelbench.harness.metrics.applies import serves
from accelbench.harness.metrics.distribution import lacking
from accelbench.harness.metrics.kv_layout import (
    bytes_per_token,
    bytes_per_token_paper,
    held_tokens,
    kv_bytes,
    reserved_tokens,
)
from accelbench.harness.metrics.observation import Numbers, Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.tallies import mean_gauge, tells, total
from accelbench.harness.schema.trace import KvLayout

_IN_FLIGHT = "from when it left the queue (or was sent) to when it was done"


def _has_layout(seen: Observation) -> bool:
    return seen.trace.head.kv is not None


def _serves_with_layout(seen: Observation) -> bool:
    return _has_layout(seen) and serves(seen)


def _may_run_out(seen: Observation) -> bool:
    return serves(seen) and (_has_layout(seen) or tells("kv.capacity")(seen))


@metric(
    "kv.bytes_per_token",
    unit="byte/token",
    summary="Memory of keys and values for each token of context.",
    formula="layers max(H_kv, devices) (2 d s + scales), over all devices",
    source="eq. 15, section 6.2",
    better="lower",
    applies=_has_layout,
)
def per_token(seen: Observation) -> Outcome:
    """Bytes of one token."""
    return Value(bytes_per_token(_layout(seen)), 1)


@metric(
    "kv.bytes_per_sequence",
    unit="byte",
    summary="Memory reserved for the longest context of a completed request.",
    formula="bytes per token times min(L, window) rounded up to whole blocks, L the largest L_in +"
    " L_out of completed requests due in the window",
    source="eq. 15, section 6.2",
    better="lower",
    applies=_serves_with_layout,
)
def per_sequence(seen: Observation) -> Outcome:
    """Equation 15 with blocks, window, replication and scales."""
    longest = _longest(seen)
    if isinstance(longest, Absent):
        return longest
    return Value(float(kv_bytes(_layout(seen), longest.value)), longest.n)


@metric(
    "kv.bytes_per_sequence_paper",
    unit="byte",
    summary="Memory of keys and values of the longest context, as the survey prints it.",
    formula="layers 2 L H_kv d s, L the largest L_in + L_out of completed requests due in the"
    " window; no blocks, window, replication or scales",
    source="eq. 15 as printed, section 6.2",
    better="lower",
    applies=_serves_with_layout,
)
def per_sequence_paper(seen: Observation) -> Outcome:
    """Equation 15 as printed."""
    longest = _longest(seen)
    if isinstance(longest, Absent):
        return longest
    return Value(longest.value * bytes_per_token_paper(_layout(seen)), longest.n)


@metric(
    "kv.bytes_total",
    unit="byte",
    summary="Most memory that the requests in flight at one time need for keys and values.",
    formula=f"maximum over the window of the sum over requests in flight ({_IN_FLIGHT}) of the"
    " bytes reserved for L_in - cached L_in + L_out: each at its final context, so no less than"
    " what was held; prompt tokens found in a prefix cache count with who computed them",
    source="eq. 15 text, section 6.2",
    better="lower",
    applies=_serves_with_layout,
)
def total_bytes(seen: Observation) -> Outcome:
    """Keys and values of all sequences at their peak, bytes."""
    layout = _layout(seen)
    requests, made = seen.requests, seen.output_tokens
    made = np.where(np.isnan(made) & ~requests.ok, 0.0, made)
    own = requests.input_tokens - np.nan_to_num(requests.cached_input_tokens) + made
    peak = _peak(seen, reserved_tokens(layout, own))
    return peak if isinstance(peak, Absent) else Value(peak.value * bytes_per_token(layout), peak.n)


@metric(
    "kv.sequences",
    unit="1",
    summary="Most requests in flight at one time.",
    formula=f"maximum over the window of requests in flight, each {_IN_FLIGHT}",
    source="eq. 15 text, section 6.2",
    better="neither",
    applies=_serves_with_layout,
)
def sequences(seen: Observation) -> Outcome:
    """Peak concurrency."""
    return _peak(seen, np.ones_like(seen.requests.due))


@metric(
    "kv.capacity.sequences",
    unit="1",
    summary="Sequences of this load whose keys and values fit at one time: more of them wait.",
    formula="counter kv.capacity, added over scopes / mean over completed requests due in"
    " the window of L_in + L_out, in whole blocks and no more than a sliding window keeps where a"
    " layout tells them; each at its final length, nothing shared by a prefix cache",
    source="section 6.2; section 3.6.5",
    better="higher",
    applies=_may_run_out,
)
def capacity_sequences(seen: Observation) -> Outcome:
    """The concurrency at which memory for keys and values runs out."""
    room = total(seen, "kv.capacity")
    if isinstance(room, Absent):
        return Absent(f"{room.reason}: without a budget the cache grows with the batch", room.n)
    contexts, layout = _contexts(seen), seen.trace.head.kv
    held = contexts if layout is None else reserved_tokens(layout, contexts)
    if not held.any():
        return lacking(seen, "both an input and an output length")
    return Value(room.value / float(held.mean()), held.size)


@metric(
    "kv.waste",
    unit="1",
    summary="Share of the memory reserved for keys and values that held no token.",
    formula="(allocated - used) / allocated, each the mean over time of its counter in the window,"
    " added over scopes",
    source="section 5.5.3",
    better="lower",
    applies=tells("kv.allocated", "kv.used"),
)
def waste(seen: Observation) -> Outcome:
    """Reserved and not used, as the engine counted it."""
    allocated, used = mean_gauge(seen, "kv.allocated"), mean_gauge(seen, "kv.used")
    if isinstance(allocated, Absent):
        return allocated
    if isinstance(used, Absent):
        return used
    if allocated.value == 0:
        return Absent("no memory was reserved for keys and values", allocated.n)
    return Value((allocated.value - used.value) / allocated.value, allocated.n)


@metric(
    "kv.waste.rounding",
    unit="1",
    summary="Share of the reserved memory that rounding up to whole blocks alone leaves empty.",
    formula="1 - sum of tokens kept / sum of the same rounded up to whole blocks, at the final"
    " context L_in + L_out of completed requests due in the window",
    source="section 5.5.3",
    better="lower",
    applies=_serves_with_layout,
)
def rounding_waste(seen: Observation) -> Outcome:
    """What the layout's blocks waste on these lengths."""
    layout, contexts = _layout(seen), _contexts(seen)
    reserved = float(reserved_tokens(layout, contexts).sum())
    if reserved == 0:
        return lacking(seen, "both an input and an output length")
    return Value(1 - float(held_tokens(layout, contexts).sum()) / reserved, contexts.size)


def _layout(seen: Observation) -> KvLayout:
    layout = seen.trace.head.kv
    assert layout is not None
    return layout


def _contexts(seen: Observation) -> Numbers:
    """Final contexts of completed requests that tell both lengths, tokens."""
    found = (seen.requests.input_tokens + seen.output_tokens)[seen.requests.completed]
    return found[~np.isnan(found)]


def _longest(seen: Observation) -> Outcome:
    found = _contexts(seen)
    if found.size == 0:
        return lacking(seen, "both an input and an output length")
    return Value(float(found.max()), found.size)


def _peak(seen: Observation, amount: Numbers) -> Outcome:
    """The most that requests in flight at one time hold together; who leaves goes first."""
    requests = seen.requests
    start = np.where(np.isnan(requests.queue_exit), requests.sent, requests.queue_exit)
    taken = (start <= seen.length_ns) & (requests.done > 0) & (requests.done >= start)
    if not taken.any():
        return Absent("no request was in flight in the window")
    held = amount[taken]
    silent = int(np.isnan(held).sum())
    if silent:
        return Absent(f"{silent} of {held.size} requests in flight do not tell their lengths")
    at = np.concatenate((requests.done[taken], np.maximum(start[taken], 0.0)))
    change = np.concatenate((-held, held))
    arrives = np.repeat((0, 1), held.size)
    level = np.cumsum(change[np.lexsort((arrives, at))])
    return Value(max(float(level.max()), 0.0), held.size)
