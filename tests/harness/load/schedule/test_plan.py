"""The plan of a load: which requests there are, and when each is due."""

from dataclasses import replace

import pytest

from accelbench.harness.errors import ConfigError, TrialError
from accelbench.harness.load.schedule.processes import arrival_times
from accelbench.harness.load.schedule.replay import digest, read, times
from accelbench.harness.schema.scenario import Offline, Sustainable, TrainToTarget
from accelbench.harness.schema.trace import Arrivals
from tests.harness.load.schedule.loads import (
    DRAWN,
    EXAMPLES,
    FAST,
    MOONCAKE,
    POISSON,
    REPLAYS,
    STAGES,
    UNSCHEDULED,
    Builder,
    open_loop,
    plan,
    recorded,
)


class Faulty(Builder):
    """A workload whose prompts are changed before they are handed over."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def prompts(self, count, seed):
        """Changed."""
        return self.change(super().prompts(count, seed))

    def prompts_for(self, asks, seed):
        """Changed."""
        return self.change(super().prompts_for(asks, seed))


@pytest.mark.parametrize(
    ("scenario", "mode", "counts", "users", "group"),
    [
        (UNSCHEDULED[0], "users", (2, 5, 0), 1, 1),
        (UNSCHEDULED[1], "users", (8, 12, 0), 1, 4),
        (UNSCHEDULED[2], "users", (2, 7, 3), 3, 1),
        (UNSCHEDULED[3], "start", (8, 12, 0), 4, 1),
        (Offline("offline", 4, 12), "start", (8, 12, 0), 4, 1),
        (Offline("offline", 8, 1), "start", (16, 8, 0), 8, 1),
    ],
)
def test_without_a_schedule_users_or_the_start_make_work_due(scenario, mode, counts, users, group):
    """Queries and batches count by their samples, and a closed loop ends under load."""
    found = plan(scenario)
    warmup, requests, tail = counts
    assert (found.mode, found.users, found.group) == (mode, users, group)
    assert (found.warmup, found.requests) == (warmup, requests)
    assert len(found.prompts) == warmup + requests + tail
    assert found.facts["load"]["tail"] == tail
    assert found.facts["load"]["requests"] == requests
    assert (found.due_s, found.arrivals, found.max_in_flight) == (None, None, None)
    assert found.slo == (None if isinstance(scenario, Offline) else FAST)


def test_the_warm_up_is_told_in_what_it_counts():
    """In requests, in queries where a query has several samples, or in batches."""
    for scenario in (*UNSCHEDULED, open_loop()):
        assert plan(scenario).facts["warmup"] == {"included": False, "iterations": 2}


def test_a_load_may_have_no_warm_up():
    """Its first request then opens the window."""
    for scenario in (*UNSCHEDULED, open_loop()):
        found = plan(scenario, warmup=0)
        assert found.warmup == 0
        assert found.requests + found.facts["load"]["tail"] == len(found.prompts)


@pytest.mark.parametrize("process", DRAWN)
def test_an_open_loop_is_due_when_its_process_says(process):
    """Warm-up, window and tail are one draw, and the rate is that of the process."""
    found = plan(open_loop(process, requests=20, tail=5, slo=FAST, max_in_flight=9), seed=3)
    assert found.mode == "schedule"
    assert found.due_s.tolist() == arrival_times(process, 27, 3).tolist()
    assert (found.warmup, found.requests, len(found.prompts)) == (2, 20, 27)
    assert (found.users, found.group, found.max_in_flight) == (1, 1, 9)
    rate = {"stages": None, "bursts": 5.0}.get(process.kind, 5.0)
    assert found.arrivals == Arrivals(process.kind, rate)
    assert found.slo == FAST


def test_stages_may_be_taken_to_their_end():
    """The window is then all that they hold but warm-up and tail."""
    found = plan(open_loop(STAGES, None, tail=3), warmup=4)
    held = arrival_times(STAGES, None, 1)
    assert found.due_s.tolist() == held.tolist()
    assert (found.warmup, found.requests) == (4, held.size - 7)
    assert found.facts["load"]["requests"] == held.size - 7


@pytest.mark.parametrize(("process", "due"), REPLAYS)
def test_a_replay_is_due_as_recorded(process, due):
    """Requests are those of the recording, made by the workload, from the seed of the trial."""
    builder = Builder()
    found = plan(open_loop(process, None), warmup=1, seed=5, builder=builder)
    asks = read(process)
    assert found.due_s.tolist() == pytest.approx(due)
    assert builder.wanted == [(asks, 5)]
    assert [prompt.id for prompt in found.prompts] == [f"r{n}" for n in range(len(due))]
    assert (found.warmup, found.requests) == (1, len(due) - 1)
    assert found.arrivals == Arrivals("replay", None)


def test_a_folder_of_ours_is_replayed_too():
    """A trace of an earlier run is a recording like others."""
    process = recorded("accelbench", "accelbench")
    found = plan(open_loop(process, None), warmup=0)
    assert found.due_s.tolist() == times(read(process), process).tolist()
    assert found.facts["replay"]["sha256"] == digest(EXAMPLES / "accelbench")


def test_a_replay_may_end_before_its_recording():
    """Stamps are spread over all of it first, so that the end changes no instant."""
    builder = Builder()
    found = plan(open_loop(MOONCAKE, 1), warmup=1, builder=builder)
    assert found.due_s.tolist() == [0.0, 1.5]
    assert builder.wanted == [(read(MOONCAKE)[:2], 1)]
    assert found.facts["replay"]["rows"]["replayed"] == 2
    assert found.facts["replay"]["rows"]["not_reached"] == 2


@pytest.mark.parametrize(
    ("scenario", "warmup", "told"),
    [
        (
            open_loop(MOONCAKE, None),
            4,
            "hold 4 requests; warm-up, window and tail need more than 4",
        ),
        (
            open_loop(MOONCAKE, None),
            9,
            "hold 4 requests; warm-up, window and tail need more than 9",
        ),
        (open_loop(MOONCAKE, None, tail=3), 1, "need more than 4"),
        (open_loop(MOONCAKE, 3), 2, "hold 4 requests; warm-up, window and tail need 5"),
        (open_loop(STAGES, None, tail=50), 60, "need more than 110"),
        (open_loop(STAGES, 500), 2, "requests with this seed, 502 are needed"),
    ],
)
def test_a_process_too_short_for_its_window_is_refused_in_one_line(scenario, warmup, told):
    """Nothing is made shorter than asked, and a window holds at least one request."""
    builder = Builder()
    with pytest.raises(ConfigError) as caught:
        plan(scenario, warmup, builder=builder)
    assert told in str(caught.value)
    assert str(caught.value).startswith("scenario.arrivals")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    assert not builder.wanted


def test_the_last_request_of_a_recording_can_be_the_window():
    """One is enough."""
    found = plan(open_loop(MOONCAKE, None, tail=2), warmup=1)
    assert found.requests == 1


def test_a_recording_without_times_has_no_schedule():
    """Its texts can be asked under another process."""
    process = recorded("sharegpt.json", "sharegpt")
    with pytest.raises(ConfigError, match="does not tell when requests arrived"):
        plan(open_loop(process, None))


@pytest.mark.parametrize(
    "scenario",
    [
        Sustainable("sustainable", POISSON, 30, FAST),
        TrainToTarget("train_to_target", "accuracy", 0.9, 32, 5),
    ],
)
def test_what_is_no_load_of_requests_has_no_plan(scenario):
    """A search asks for a plan for each of its trials; training has no requests."""
    with pytest.raises(TrialError) as caught:
        plan(scenario)
    assert str(caught.value) == f"scenario {scenario.kind!r} makes no load of requests"


@pytest.mark.parametrize("scenario", [*UNSCHEDULED, open_loop(), open_loop(MOONCAKE, None)])
def test_every_prompt_has_an_id_of_its_own(scenario):
    """A trace tells requests apart by it."""
    builder = Faulty(lambda prompts: [*prompts[:-1], replace(prompts[-1], id=prompts[0].id)])
    with pytest.raises(TrialError) as caught:
        plan(scenario, builder=builder)
    assert str(caught.value) == "two prompts of the workload share an id; give each its own"


@pytest.mark.parametrize("scenario", [*UNSCHEDULED, open_loop(), open_loop(MOONCAKE, None)])
@pytest.mark.parametrize(
    "change", [lambda prompts: prompts[:-1], lambda prompts: [*prompts, prompts[0]]]
)
def test_a_workload_makes_as_many_prompts_as_it_is_asked_for(scenario, change):
    """One too few or too many would put the window elsewhere."""
    total = len(plan(scenario).prompts)
    with pytest.raises(TrialError) as caught:
        plan(scenario, builder=Faulty(change))
    made = len(change(list(range(total))))
    assert str(caught.value) == (
        f"the workload made {made} prompts where {total} were asked for;"
        " correct the workload, or ask for fewer requests"
    )


def test_prompts_and_schedule_do_not_change_each_other():
    """Another workload is due at the same instants; another process asks for the same prompts."""
    one, other = Builder(), Builder(tokens=99)
    first, second = plan(open_loop(), builder=one), plan(open_loop(), builder=other)
    assert first.due_s.tolist() == second.due_s.tolist()
    assert first.facts["load"] == second.facts["load"]
    assert first.prompts == plan(open_loop(DRAWN[2])).prompts
    assert one.wanted == other.wanted == [(42, 1)]


def test_the_seed_is_that_of_prompts_and_schedule():
    """The same one makes the same plan; it is told."""
    builder = Builder()
    first, same, other = (plan(open_loop(), seed=seed, builder=builder) for seed in (1, 1, 2))
    assert first.due_s.tolist() == same.due_s.tolist() != other.due_s.tolist()
    assert builder.wanted == [(42, 1), (42, 1), (42, 2)]
    assert [found.facts["load"]["seed"] for found in (first, same, other)] == [1, 1, 2]
    assert plan(UNSCHEDULED[2], seed=8).facts["load"]["seed"] == 8


def test_a_tail_or_a_longer_window_changes_nothing_before_it():
    """What is due when in a shorter load is due then in a longer one."""
    short = plan(open_loop(requests=20)).due_s
    assert plan(open_loop(requests=20, tail=9)).due_s[:22].tolist() == short.tolist()
    assert plan(open_loop(requests=90)).due_s[:22].tolist() == short.tolist()
