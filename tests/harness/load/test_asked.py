"""What a trial says it asked of its engine."""

import pytest

from accelbench.harness.load.asked import BINS, asked, histogram
from accelbench.harness.schema.scenario import Offline, SingleStream, TrainToTarget


def test_few_lengths_are_counted_each():
    """A length is a key of its own, in order, with the number of times it occurs."""
    counts = histogram([64, 8, 64, 64])
    assert list(counts.items()) == [("8", 1), ("64", 3)]


def test_many_lengths_are_counted_in_bins_that_lose_none():
    """At most 32 bins of one width, both ends in; every length lies in one of them."""
    lengths = [*range(10, 1010), 1009]
    counts = histogram(lengths)
    assert len(counts) <= BINS
    assert sum(counts.values()) == len(lengths)
    assert next(iter(counts)) == "10-41"
    low, high = next(reversed(counts)).split("-")
    assert int(low) <= 1009 <= int(high)
    assert counts[f"{low}-{high}"] == sum(int(low) <= length for length in lengths)


def test_no_length_has_an_empty_histogram():
    """A window without requests has no lengths."""
    assert histogram([]) == {}


@pytest.mark.parametrize("task", ["classify", "generate"])
def test_a_single_stream_is_an_unloaded_machine(task):
    """One request is in flight, and none waits."""
    told = asked(SingleStream("single_stream", 9), task, 3)
    assert told["batch"] == told["load"]["concurrency"] == 1
    assert told["load"]["unloaded"] is True
    assert told["warmup"] == {"included": False, "iterations": 3}
    assert ("prefill and decode" in told["regime"]) == (task == "generate")


def test_offline_batches_are_a_load():
    """As many samples are in flight as a batch has, which is no unloaded machine."""
    told = asked(Offline("offline", 8, 64), "classify", 2)
    assert told["batch"] == told["load"]["concurrency"] == 8
    assert "unloaded" not in told["load"]


def test_training_counts_its_own_start():
    """Its window opens before the first step: there is no warm-up outside it."""
    told = asked(TrainToTarget("train_to_target", "accuracy", 0.9, 32, 5), "classify", 3)
    assert (told["regime"], told["batch"]) == ("training", 32)
    assert told["warmup"] == {"included": True, "iterations": 0}
