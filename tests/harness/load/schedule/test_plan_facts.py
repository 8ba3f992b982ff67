"""What the record tells of a load that was planned."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from accelbench.harness.load.schedule.processes import arrival_times
from accelbench.harness.load.schedule.replay import digest
from accelbench.harness.schema.arrivals import (
    ArrivalProcess,
    Constant,
    Gamma,
    Poisson,
    Replay,
)
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.scenario import (
    ClosedLoop,
    MultiStream,
)
from tests.harness.load.schedule.loads import (
    DRAWN,
    EXAMPLES,
    MOONCAKE,
    POISSON,
    REPLAYS,
    UNSCHEDULED,
    Builder,
    open_loop,
    plan,
)


def schedule(scenario, warmup=2, seed=1):
    """What the facts tell of its schedule."""
    return plan(scenario, warmup, seed).facts["load"]["schedule"]


@pytest.mark.parametrize(
    "scenario",
    [
        *UNSCHEDULED,
        *(open_loop(process, 20, tail=4) for process in DRAWN),
        *(open_loop(process, None) for process, _ in REPLAYS),
    ],
    ids=lambda scenario: getattr(getattr(scenario, "arrivals", scenario), "kind", None),
)
def test_facts_are_plain(scenario):
    """They come back from JSON as they were, whole numbers whole."""
    facts = plan(scenario, warmup=1).facts
    back = json.loads(json.dumps(facts, allow_nan=False))
    assert back == facts
    assert json.dumps(back) == json.dumps(facts)


def test_the_facts_tell_whether_the_load_is_stationary():
    """Rates that change and recordings are not; what makes work due else is the same throughout."""
    loads = [*(open_loop(process, 20) for process in DRAWN), open_loop(MOONCAKE, None)]
    told = {
        scenario.arrivals.kind: plan(scenario, warmup=1).facts["load"]["stationary"]
        for scenario in loads
    }
    assert told == {
        "constant": True,
        "poisson": True,
        "gamma": True,
        "bursts": False,
        "stages": False,
        "replay": False,
    }
    assert {plan(scenario).facts["load"]["stationary"] for scenario in UNSCHEDULED} == {True}


class Classed(Builder):
    """A workload whose every third request is of class b."""

    def prompts(self, count, seed):
        """Of classes a, a, b and so on."""
        made = super().prompts(count, seed)
        return [replace(one, request_class="aab"[n % 3]) for n, one in enumerate(made)]


def test_the_facts_tell_the_classes_of_the_window():
    """Of ten requests after a warm-up of two, those of the tail left out."""
    found = plan(open_loop(POISSON, 10, tail=5), warmup=2, builder=Classed()).facts["load"]
    assert found["mix"] == {
        "a": {"requests": 6, "share": 0.6},
        "b": {"requests": 4, "share": 0.4},
    }
    assert "mix" not in plan(open_loop()).facts["load"]


@pytest.mark.parametrize("process", DRAWN)
def test_the_facts_are_enough_to_draw_the_schedule_again(process):
    """Process, seed and counts are told as they were asked for; the digest tells whether it is."""
    load = json.loads(json.dumps(plan(open_loop(process, 20, tail=4), seed=6).facts["load"]))
    assert decode(ArrivalProcess, load["arrivals"]) == process
    again = arrival_times(process, 2 + load["requests"] + load["tail"], load["seed"])
    ns = np.rint(again * 1e9).astype("<i8")
    assert load["schedule"]["sha256"] == hashlib.sha256((ns - ns[0]).tobytes()).hexdigest()


def test_the_digest_is_that_of_the_instants_in_the_trace():
    """Drivers add whole nanoseconds to their start; from the first on, the start is gone."""
    found = plan(open_loop(tail=3))
    start_ns = 123_456_789_012_345
    due_ns = [start_ns + round(float(at) * 1e9) for at in found.due_s]
    from_first = b"".join((at - due_ns[0]).to_bytes(8, "little") for at in due_ns)
    expected = hashlib.sha256(from_first).hexdigest()
    assert found.facts["load"]["schedule"]["sha256"] == expected


def test_the_digest_tells_schedules_apart():
    """By a request in the tail, a seed, a rate or a shape; not by the window they are told of."""
    loads = [
        (open_loop(), 2, 1),
        (open_loop(tail=1), 2, 1),
        (open_loop(), 2, 2),
        (open_loop(Poisson("poisson", 5.000001)), 2, 1),
        (open_loop(Gamma("gamma", 5.0, 1.001)), 2, 1),
    ]
    digests = {schedule(*load)["sha256"] for load in loads}
    assert len(digests) == len(loads)
    assert schedule(open_loop(requests=39), 3)["sha256"] in digests


def test_figures_of_the_schedule_are_of_the_window():
    """They are those that the metrics of the load are of: n - 1 gaps between n requests."""
    found = plan(open_loop(requests=30, tail=50), warmup=20)
    inside = found.due_s[20:50]
    gaps = np.diff(inside)
    told = found.facts["load"]["schedule"]
    assert told["window_s"] == inside[-1] - inside[0]
    assert told["rate_per_s"] == pytest.approx(29 / (inside[-1] - inside[0]), rel=1e-12)
    assert told["gap_cv"] == pytest.approx(np.sqrt(np.mean(gaps**2) / gaps.mean() ** 2 - 1))
    bin_of = ((inside - inside[0]) / gaps.mean() + 0.5) // 3  # three mean gaps wide
    counts = np.bincount(bin_of.astype(int), minlength=10)
    assert told["bins"] == counts.size == 10
    assert told["dispersion"] == pytest.approx(counts.var(ddof=1) / 3)


def test_figures_of_even_arrivals_are_exact():
    """Their rate is that of the process, and neither gaps nor counts vary."""
    told = schedule(open_loop(Constant("constant", 8.0), 200, tail=5))
    assert (told["rate_per_s"], told["window_s"], told["gap_cv"]) == (8.0, 199 / 8, 0.0)
    assert (told["bins"], told["dispersion"]) == (20, 0.0)


@pytest.mark.parametrize(
    ("process", "cv", "dispersion"),
    [
        (POISSON, 1.0, 1.0),
        (Gamma("gamma", 5.0, 0.25), 2.0, 4.0),
        (Gamma("gamma", 5.0, 4), 0.5, 0.3),
    ],
)
def test_figures_of_a_long_schedule_are_near_those_of_its_process(process, cv, dispersion):
    """Bins of ten arrivals tell a little less of bursts than wide ones."""
    told = schedule(open_loop(process, 20_000))
    assert told["rate_per_s"] == pytest.approx(5, rel=0.03)
    assert told["gap_cv"] == pytest.approx(cv, rel=0.03)
    assert told["bins"] == 2000
    assert told["dispersion"] == pytest.approx(dispersion, rel=0.15)


def test_figures_of_a_whole_replay_are_those_of_its_fidelity():
    """The record tells one number for one thing."""
    facts = plan(open_loop(MOONCAKE, None), warmup=0).facts
    told, gaps = facts["load"]["schedule"], facts["replay"]["gaps"]
    assert told["rate_per_s"] == pytest.approx(facts["replay"]["rate"]["replayed_per_s"])
    assert told["gap_cv"] == pytest.approx(gaps["replayed_cv"])
    assert told["bins"] == gaps["bins"]
    assert told["dispersion"] == pytest.approx(gaps["replayed_dispersion"])


def test_requests_of_one_instant_have_no_rate(tmp_path):
    """A window that a recording puts at one stamp has no length, and none of its figures."""
    path = tmp_path / "trace"
    row = '{"timestamp": 7, "input_length": 9, "output_length": 9, "hash_ids": [1]}\n'
    path.write_text(row * 5)
    process = Replay("replay", str(path), "mooncake")
    told = schedule(open_loop(process, None), warmup=0)
    assert set(told) == {"sha256", "window_s"}
    assert told["window_s"] == 0


@pytest.mark.parametrize(
    ("scenario", "known"),
    [
        (open_loop(requests=1, tail=9), set()),
        (open_loop(requests=2, tail=9), set()),
        (open_loop(requests=3, tail=9), {"rate_per_s", "gap_cv", "bins", "dispersion"}),
    ],
)
def test_a_window_of_too_few_gaps_has_no_figures(scenario, known):
    """One gap does not vary, and that is not told as 0."""
    assert set(schedule(scenario, warmup=0)) == {"sha256", "window_s"} | known


def test_the_mean_rate_is_told_where_there_is_one():
    """Of bursts it is that of whole turns, which none of their own figures is."""
    told = [plan(open_loop(process, 20)).facts["load"].get("mean_rate_per_s") for process in DRAWN]
    assert told == [5.0, 5.0, 5.0, 5.0, None]


@pytest.mark.parametrize("sha256", ["", digest(MOONCAKE.path).upper()])
def test_a_recording_is_told_by_its_digest_and_not_by_its_path(sha256):
    """The digest is told even where none was asked for; a path is one machine's own."""
    facts = plan(open_loop(replace(MOONCAKE, sha256=sha256), None), warmup=0).facts
    assert facts["load"]["arrivals"] == {
        "kind": "replay",
        "format": "mooncake",
        "speed": 1.0,
        "stamps": "spread",
        "sha256": digest(MOONCAKE.path),
    }
    assert str(EXAMPLES) not in json.dumps(facts)
    assert facts["replay"]["sha256"] == digest(MOONCAKE.path)
    assert facts["replay"]["input_tokens"]["cut_tokens"] == 500 + 500 + 936


def test_lengths_asked_for_are_those_of_the_window():
    """Those of warm-up and tail belong to no result."""
    for scenario, first, last in (
        (open_loop(requests=3, tail=4), 2, 4),
        (ClosedLoop("closed_loop", 3, 5), 2, 6),
        (MultiStream("multi_stream", 2, 2), 4, 7),
    ):
        asked = plan(scenario).facts["asked_tokens"]
        inside = range(first, last + 1)
        assert asked["output"] == {str(length): 1 for length in inside}
        assert asked["input"] == {"3": len(inside)}


def test_lengths_of_prompts_are_told_only_where_tokens_are_known():
    """Without a tokenizer there are words, and how many tokens they are the server knows."""
    asked = plan(open_loop(requests=3), builder=Builder(tokens=0)).facts["asked_tokens"]
    assert asked == {"output": {"2": 1, "3": 1, "4": 1}}


def test_a_cap_is_told_with_the_rest_of_the_load():
    """What was asked stays beside what the plan adds."""
    load = plan(open_loop(max_in_flight=6)).facts["load"]
    assert load["max_in_flight"] == 6
    assert load["process"] == "open loop: due by a poisson schedule made beforehand"
    assert load["arrivals"] == {"kind": "poisson", "rate_per_s": 5.0}
