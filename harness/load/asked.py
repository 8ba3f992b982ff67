"""What a trial asked of its engine: how much at once, after what warm-up, and how long."""

from collections import Counter
from collections.abc import Mapping, Sequence

from accelbench.harness.schema.plain import Plain
from accelbench.harness.schema.scenario import Offline, Scenario, TrainToTarget

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
    if isinstance(scenario, Offline):
        size = scenario.batch_size
        process = "all due at the start, one batch at a time"
        load: dict[str, Plain] = {"process": process, "concurrency": size}
    else:
        size = 1
        process = "closed loop of one: the next is due when the one before is done"
        load = {"process": process, "concurrency": 1, "unloaded": True}
    return {
        "regime": regime,
        "batch": size,
        "load": load,
        "warmup": {"included": False, "iterations": warmup},
    }


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
