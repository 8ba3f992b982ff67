"""What a trial asked of its engine: how much at once, after what warm-up, and how long."""

from collections import Counter
from collections.abc import Mapping, Sequence

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    TrainToTarget,
)

BINS = 32
"""Most bins of a histogram of lengths; with fewer distinct lengths each has its own."""


def asked(scenario: Scenario, task: str, warmup: int) -> dict[str, Plain]:
    """What the loops of `in_process` do for a scenario, as facts of the trial.

    Args:
        scenario: How work arrives.
        task: "classify" or "generate".
        warmup: Requests or batches that come before the window; training has none.
    """
    if isinstance(scenario, TrainToTarget):
        return {
            "regime": "training",
            "batch": scenario.batch_size,
            "load": {"process": "one step after another", "concurrency": 1},
            "warmup": {"included": True, "iterations": 0},
        }
    regime = "inference: prefill and decode" if task == "generate" else "inference"
    size, load = _load(scenario)
    return {
        "regime": regime,
        "batch": size,
        "load": load,
        "warmup": {"included": False, "iterations": warmup},
    }


def _load(scenario: Scenario) -> tuple[int, dict[str, Plain]]:
    """How many samples or requests are asked for together, and how they come."""
    if isinstance(scenario, Offline):
        size = scenario.batch_size
        return size, {"process": "all due at the start, one batch at a time", "concurrency": size}
    if isinstance(scenario, MultiStream):
        size = scenario.streams
        process = "one query of several samples at a time: the next is due when all are done"
        return size, {"process": process, "concurrency": size}
    if isinstance(scenario, ClosedLoop):
        process = "closed loop of users: the next of each is due when its one before is done"
        return 1, {"process": process, "concurrency": scenario.concurrency}
    if isinstance(scenario, OpenLoop):
        process = f"open loop: due by a {scenario.arrivals.kind} schedule made beforehand"
        load: dict[str, Plain] = {"process": process}
        if scenario.max_in_flight is not None:
            load["max_in_flight"] = scenario.max_in_flight
        return 1, load
    process = "closed loop of one: the next is due when the one before is done"
    return 1, {"process": process, "concurrency": 1, "unloaded": True}


def histogram(lengths: Sequence[int]) -> Mapping[str, Plain]:
    """How often each length occurs; bins "low-high", both ends in, where there are many.

    Args:
        lengths: E.g. tokens of each prompt.
    """
    counts = Counter(lengths)
    if len(counts) <= BINS:
        return {str(length): counts[length] for length in sorted(counts)}
    low = min(counts)
    width = -(-(max(counts) + 1 - low) // BINS)
    bins = Counter((length - low) // width for length in lengths)
    starts = {number: low + number * width for number in sorted(bins)}
    return {f"{start}-{start + width - 1}": bins[number] for number, start in starts.items()}
