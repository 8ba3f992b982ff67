"""What a trial says it asked of its engine."""

import json

import pytest

from accelbench.harness.errors import TrialError
from accelbench.harness.load.asked import BINS, asked, histogram
from accelbench.harness.schema.arrivals import (
    Bursts,
    Constant,
    Gamma,
    Poisson,
    Replay,
    Stage,
    Stages,
)
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
    Offline,
    OpenLoop,
    SingleStream,
    Sustainable,
    TrainToTarget,
)
from accelbench.harness.schema.trace import ServiceLevel

POISSON = Poisson("poisson", 5.0)


def test_few_lengths_are_counted_each():
    """A length is a key of its own, in order, with the number of times it occurs."""
    counts = histogram([64, 8, 64, 64])
    assert list(counts.items()) == [("8", 1), ("64", 3)]


def test_as_many_lengths_as_there_are_bins_are_still_counted_each():
    """One more, and they are counted in bins, of which those without a length are left out."""
    lengths = [*range(BINS - 1), 10_000]
    assert histogram(lengths) == {str(length): 1 for length in lengths}
    assert histogram([*lengths, 20_000]) == {"0-625": 31, "9390-10015": 1, "19406-20031": 1}


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


@pytest.mark.parametrize("most", [33, 40, 63, 64, 65, 96, 97, 139, 1000])
def test_bins_hold_exactly_the_lengths_that_they_name(most):
    """Whatever the longest is, there are no more bins than allowed, in order and of one width."""
    lengths = [length for length in range(3, 3 + most) for _ in range(1 + length % 3)]
    counts = histogram(lengths)
    ends = [tuple(map(int, name.split("-"))) for name in counts]
    assert len(counts) <= BINS
    assert ends == sorted(ends)
    assert len({high - low for low, high in ends}) == 1
    for (low, high), count in zip(ends, counts.values(), strict=True):
        assert count == sum(low <= length <= high for length in lengths)


def test_no_length_has_an_empty_histogram():
    """A window without requests has no lengths."""
    assert histogram([]) == {}


@pytest.mark.parametrize("generates", [False, True])
def test_a_single_stream_is_an_unloaded_machine(generates):
    """One request is in flight, and none waits."""
    told = asked(SingleStream("single_stream", 9), 3, generates=generates)
    assert told["batch"] == told["load"]["concurrency"] == 1
    assert told["load"]["unloaded"] is True
    assert told["warmup"] == {"included": False, "iterations": 3}
    assert ("prefill and decode" in told["regime"]) == generates


def test_offline_batches_are_a_load():
    """As many samples are in flight as a batch has, which is no unloaded machine."""
    told = asked(Offline("offline", 8, 64), 2, generates=False)
    assert told["batch"] == told["load"]["concurrency"] == 8
    assert told["load"]["process"] == "all due at the start, one batch at a time"
    assert "unloaded" not in told["load"]


def test_offline_requests_may_follow_each_other():
    """An engine that makes its own batches takes the next request as soon as one is done."""
    told = asked(Offline("offline", 8, 64), 2, generates=True)
    assert told["batch"] == told["load"]["concurrency"] == 8
    assert told["load"]["process"] == ("all due at the start, at most a batch of requests at once")


def test_a_multi_stream_asks_for_a_query_at_a_time():
    """Its samples are asked for together, and one query is one of the warm-up."""
    told = asked(MultiStream("multi_stream", 4, 10), 2, generates=False)
    assert told["batch"] == told["load"]["concurrency"] == 4
    assert told["load"]["process"].startswith("one query of several samples at a time")
    assert told["warmup"]["iterations"] == 2


def test_a_closed_loop_tells_its_users_and_asks_for_no_batch():
    """How many are worked on together is the engine's choice, and is not told as asked for."""
    told = asked(ClosedLoop("closed_loop", 6, 30), 0, generates=True)
    assert told["load"] == {
        "process": "closed loop of users: the next of each is due when its one before is done",
        "concurrency": 6,
    }
    assert "batch" not in told


@pytest.mark.parametrize(
    "arrivals",
    [
        Constant("constant", 5.0),
        POISSON,
        Gamma("gamma", 5.0, 0.5),
        Bursts("bursts", 5.0, 1.0, 1.0, 1.0),
        Stages("stages", (Stage(1.0, 5.0),)),
        Replay("replay", "trace", "mooncake"),
    ],
)
def test_an_open_loop_tells_its_process_and_has_no_concurrency(arrivals):
    """How many are on their way at once comes of the server; nothing of it is asked for."""
    told = asked(OpenLoop("open_loop", arrivals, 30), 1, generates=True)
    assert told["load"] == {
        "process": f"open loop: due by a {arrivals.kind} schedule made beforehand"
    }
    assert "batch" not in told


def test_a_cap_of_an_open_loop_is_told():
    """It makes a load partly closed, which a reader has to know."""
    told = asked(OpenLoop("open_loop", POISSON, 30, max_in_flight=7), 1, generates=True)
    assert told["load"]["max_in_flight"] == 7


def test_training_counts_its_own_start():
    """Its window opens before the first step: there is no warm-up outside it."""
    told = asked(TrainToTarget("train_to_target", "accuracy", 0.9, 32, 5), 3, generates=False)
    assert (told["regime"], told["batch"]) == ("training", 32)
    assert told["warmup"] == {"included": True, "iterations": 0}


def test_a_search_is_not_one_load():
    """Only the open loops of its trials are."""
    search = Sustainable("sustainable", POISSON, 30, ServiceLevel(e2e_s=1.0))
    with pytest.raises(TrialError) as caught:
        asked(search, 0, generates=True)
    assert str(caught.value) == "scenario 'sustainable' is not one load; ask for its trials"
    assert asked(search.at(3.0), 0, generates=True)["load"]["process"].startswith("open loop")


@pytest.mark.parametrize(
    "scenario",
    [
        Offline("offline", 8, 64),
        SingleStream("single_stream", 9),
        MultiStream("multi_stream", 4, 10),
        ClosedLoop("closed_loop", 6, 30),
        OpenLoop("open_loop", POISSON, 30),
        TrainToTarget("train_to_target", "accuracy", 0.9, 32, 5),
    ],
)
def test_what_was_asked_is_plain(scenario):
    """It goes into the record as it is."""
    told = asked(scenario, 3, generates=True)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
