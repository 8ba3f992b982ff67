"""What a trial asked of its engine: how much at once, by what process, and after what warm-up."""

from collections import Counter
from collections.abc import Mapping, Sequence

from accelbench.harness.errors import TrialError
from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    Scenario,
    SingleStream,
    TrainToTarget,
)

BINS = 32
"""Most bins of a histogram of lengths; with fewer distinct lengths each has its own."""


def asked(scenario: Scenario, warmup: int, *, generates: bool) -> dict[str, Plain]:
    """What a scenario asks of its engine, as facts of the trial.

    Under a queue of single requests, how many are worked on together is the engine's choice, so
    that no batch is asked for.

    Args:
        scenario: How work arrives.
        warmup: Requests, queries or batches that come before the window; training has none.
        generates: Whether tokens are generated; samples are answered otherwise.

    Raises:
        TrialError: The scenario is a search, whose trials are open loops.
    """
    if isinstance(scenario, TrainToTarget):
        return {
            "regime": "training",
            "batch": scenario.batch_size,
            "load": {"process": "one step after another", "concurrency": 1},
            "warmup": {"included": True, "iterations": 0},
        }
    regime = "inference: prefill and decode" if generates else "inference"
    return {
        "regime": regime,
        **_load(scenario, generates=generates),
        "warmup": {"included": False, "iterations": warmup},
    }


def _load(scenario: Scenario, *, generates: bool) -> dict[str, Plain]:
    """How many samples are asked for together, and how they come."""
    if isinstance(scenario, Offline):
        size = scenario.batch_size
        how = "at most a batch of requests at once" if generates else "one batch at a time"
        return _at_once(f"all due at the start, {how}", size)
    if isinstance(scenario, SingleStream):
        process = "closed loop of one: the next is due when the one before is done"
        return {
            "batch": 1,
            "load": {"process": process, "concurrency": 1, "unloaded": True},
        }
    if isinstance(scenario, MultiStream):
        process = "one query of several samples at a time: the next is due when all are done"
        return _at_once(process, scenario.streams)
    if isinstance(scenario, ClosedLoop):
        process = "closed loop of users: the next of each is due when its one before is done"
        return {"load": {"process": process, "concurrency": scenario.concurrency}}
    if isinstance(scenario, OpenLoop):
        process = f"open loop: due by a {scenario.arrivals.kind} schedule made beforehand"
        load: dict[str, Plain] = {"process": process}
        if scenario.max_in_flight is not None:
            load["max_in_flight"] = scenario.max_in_flight
        return {"load": load}
    raise TrialError(f"scenario {scenario.kind!r} is not one load", remedy="ask for its trials")


def _at_once(process: str, size: int) -> dict[str, Plain]:
    return {"batch": size, "load": {"process": process, "concurrency": size}}


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
