"""Codes about what came out: counts that can be true, enough of them, steady, good enough."""

from dataclasses import replace

import numpy as np
import pytest

from accelbench.harness.judge.case import Case
from accelbench.harness.judge.outcome import too_few_samples
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import Interval, Measurement
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.trace import Target


def machine(bandwidth):
    """A sheet with 1 EFLOP/s and this main memory bandwidth, byte/s."""
    level = MemoryLevel("DRAM", Figure(bandwidth, "made up for a test", "estimate"), None)
    return Platform(
        name="sheet",
        summary="a machine",
        family="reference",
        peak={"fp32": Figure(1e18, "made up for a test", "estimate")},
        memory=(level,),
        power=None,
        power_scope=None,
        notes=(),
        sources=("made up for a test",),
    )


def in_turn(services, *, samples=None):
    """Requests one after another, each with its service time in seconds."""
    ends = np.cumsum(services)
    rows = [
        {"id": str(k), "due": end - taken, "sent": end - taken, "done": end, "status": "ok"}
        for k, (taken, end) in enumerate(zip(services, ends, strict=True))
    ]
    if samples is not None:
        rows = [{**row, "samples": size} for row, size in zip(rows, samples, strict=True)]
    return rows


def accuracy(value):
    """One evaluation on the test split."""
    return [{"at": 1, "metric": "accuracy", "split": "test", "value": value, "n": 10}]


def test_a_good_trial_has_no_reasons(make_trial, judged):
    """Steady, complete, above its gate, below its roofline."""
    work = {"name": "f", "kind": "steady", "start": 0, "end": 1, "flops": 1e9, "bytes": 1e9}
    trace = make_trial(requests=in_turn([1.0] * 40), phases=[work], evals=accuracy(0.95))
    assert judged(trace, gate=Gate("accuracy", 0.95), platform=machine(1e12)) == {}


def test_more_than_the_roofline_allows_is_a_counting_error(make_trial, judged):
    """2 FLOP/byte at 1 GB/s allow 2 GFLOP/s; only what a nanosecond a phase makes is forgiven."""

    def found(bandwidth, end=1.0):
        """The reasons of 2 GFLOP and 1 GB in so many seconds."""
        work = {"name": "f", "kind": "steady", "start": 0, "end": end, "flops": 2e9, "bytes": 1e9}
        trace = make_trial(requests=in_turn([1.0]), phases=[work])
        return judged(trace, platform=machine(bandwidth))

    assert found(1e9) == found(1e9 * (1 - 1e-9)) == found(0.9995e15, end=1e-6) == {}
    assert {*found(0.9995e9)} == {"arithmetic"}
    assert found(0.8e9)["arithmetic"] == (
        "2 GFLOP/s achieved, but the roofline allows 1.6 GFLOP/s: check the FLOP count and the"
        " sheet's peak and bandwidth, and whether the data stays in a cache"
    )


def test_what_was_measured_is_no_law(make_trial, judged):
    """A cache passes a measured bandwidth, a better kernel a measured peak: nothing is wrong."""
    work = {"name": "f", "kind": "steady", "start": 0, "end": 1, "flops": 2e9, "bytes": 1e9}
    trace = make_trial(phases=[work])
    sheet = machine(1e8)
    measured = Figure(1e8, "triad", "measured")
    assert "arithmetic" in judged(trace, platform=sheet)
    level = replace(sheet.memory[0], bandwidth=measured)
    assert "arithmetic" not in judged(trace, platform=replace(sheet, memory=(level,)))
    peak = {"fp32": Figure(1e8, "gemm", "measured")}
    assert "arithmetic" not in judged(trace, platform=replace(sheet, peak=peak))


def test_quality_below_the_gate_or_not_shown_at_all(make_trial, judged):
    """A gate that nobody checked is not passed."""
    gate, requests = Gate("accuracy", 0.9), in_turn([1.0])
    assert judged(make_trial(requests=requests, evals=accuracy(0.9)), gate=gate) == {}
    assert judged(make_trial(requests=requests, evals=accuracy(0.1))) == {}
    assert judged(make_trial(requests=requests, evals=accuracy(0.87)), gate=gate) == {
        "quality_below_gate": "accuracy is 0.87, at least 0.9 is asked for:"
        " check weights and precision"
    }
    assert judged(make_trial(requests=requests), gate=gate) == {
        "quality_below_gate": "accuracy was not evaluated, at least 0.9 is asked for:"
        " evaluate it on the test split"
    }
    other = make_trial(requests=requests, evals=accuracy(0.95))
    assert judged(other, gate=Gate("agreement_of_it", 0.9)) == {
        "quality_below_gate": "agreement_of_it was not evaluated, at least 0.9 is asked for:"
        " ask for accuracy"
    }


def test_a_loss_above_its_gate_is_not_good_enough(make_trial, judged):
    """Of losses and perplexities less is better: at most the gate is accepted."""
    gate, requests = Gate("loss", 0.5), in_turn([1.0])

    def found(value):
        """The reasons of a trial with this loss."""
        rows = [{**row, "metric": "loss"} for row in accuracy(value)]
        return judged(make_trial(requests=requests, evals=rows), gate=gate)

    assert found(0.5) == found(0.1) == {}
    assert found(0.7) == {
        "quality_below_gate": "loss is 0.7, at most 0.5 is asked for: check weights and precision"
    }


def test_failed_requests_are_counted(make_trial, judged):
    """Each request due in the window that is not ok."""
    failed = [{"id": f"f{k}", "due": due, "status": "failed"} for k, due in enumerate((1, 2, 101))]
    assert judged(make_trial(requests=[*in_turn([1.0]), *failed])) == {
        "requests_failed": "2 of 3 requests due in the window failed, none may: see column `error`"
        " of the trace's requests"
    }


def test_a_target_not_met_tells_the_best_value(make_trial, judged):
    """Training that gave up says how far it came."""
    head, steps = {"target": Target("accuracy", "test", 0.9)}, in_turn([1.0])
    assert judged(make_trial(head=head, requests=steps, evals=accuracy(0.9))) == {}
    assert judged(make_trial(head=head, requests=steps, evals=accuracy(0.8))) == {
        "target_not_met": "accuracy on split 'test' did not reach 0.9: best 0.8 of 1 evaluated:"
        " allow more epochs or lower the target"
    }


def test_too_few_completed_requests(make_trial, judged):
    """Counted by what was done in the window; without any request none was."""
    three = make_trial(requests=in_turn([1.0] * 3))
    assert judged(three, samples=3) == {}
    assert judged(three, samples=4) == {
        "too_few_samples": "3 requests were completed in the window, at least 4 are asked for: ask"
        " for more requests"
    }
    assert {*judged(make_trial(requests=[]))} == {"too_few_samples"}
    assert {*judged(make_trial(requests=in_turn([60, 60])), samples=2)} == {"too_few_samples"}


def test_an_interval_that_the_rules_claim_must_be_there(make_trial, make_rules):
    """The detail repeats why it is not, with the samples it needs; what does not apply is free."""
    seen = Observation(make_trial(requests=in_turn([1.0])))
    given = Interval(0.9, 1.1, 0.95, "a method", "requests")
    reason = "an interval of p99 needs 368 requests, there are 100"

    def claimed(*claims):
        """What the code says of these claims."""
        measurements = {
            "e2e.response.p50": Measurement(1.0, "s", 100, interval=given),
            "e2e.response.p99": Measurement(2.0, "s", 100, reason=reason),
        }
        return too_few_samples(Case(seen, measurements, make_rules(claims=claims), None))

    assert claimed() is claimed("e2e.response.p50", "ttft.response.p99") is None
    assert claimed("e2e.response.p50", "e2e.response.p99") == (
        "an interval of e2e.response.p99 is claimed: an interval of p99 needs 368 requests, there"
        " are 100: ask for more requests, or claim less"
    )
    assert claimed("e2e.replies.p99") == (
        "an interval of 'e2e.replies.p99' is claimed, which is no metric: ask for more requests,"
        " or claim less"
    )


@pytest.mark.parametrize(
    ("services", "kind", "change"),
    [
        ([2.0] * 30 + [1.0] * 70, "warm-up", "+100.0%"),
        ([1.0] * 50 + [1.5] * 50, "slow-down", "-33.3%"),
        ([1.0] * 95 + [1.5] * 5, "no steady state", "-33.3%"),
    ],
)
def test_service_times_that_move_are_unsteady(make_trial, judged, services, kind, change):
    """The class, how far the times moved, and by how much from quarter to quarter."""
    services = [0.1 * taken for taken in services]
    trace = make_trial(requests=in_turn(services))
    detail = judged(trace)["unsteady"]
    quarters = np.mean(services[-25:]) / np.mean(services[:25]) - 1
    assert detail.startswith(
        f"{kind}: the service time was up to {change} off its last level, and changed by"
        f" {quarters:+.1%} from the first to the last quarter of requests, at most 10.0% is"
        " allowed: "
    )
    assert judged(trace, drift=1.01) == {}


def test_noise_is_steady(make_trial, judged):
    """Independent service times, however heavy their tail, have no phases."""
    services = np.random.default_rng(1).exponential(0.1, 400)
    assert judged(make_trial(requests=in_turn(services))) == {}


def test_a_change_of_the_mix_is_not_a_change_of_the_machine(make_trial, judged):
    """Service time counts for each sample, so that larger batches later are no drift."""
    sizes = [1] * 50 + [3] * 50
    services = [0.1 * size for size in sizes]
    assert judged(make_trial(requests=in_turn(services, samples=sizes))) == {}
    assert {*judged(make_trial(requests=in_turn(services)))} == {"unsteady"}


@pytest.mark.parametrize("last", [1.2, 0.8])
def test_a_short_series_is_held_to_its_quarters(make_trial, judged, last):
    """Below the fewest that can be classified: the mean of the last quarter against the first."""
    trace = make_trial(requests=in_turn([1.0, 1.0, 5.0, 0.1, 3.0, 2.0, last, last]))
    assert judged(trace) == {
        "unsteady": f"too short: the service time was up to {last - 1:+.1%} off its last level, and"
        f" changed by {last - 1:+.1%} from the first to the last quarter of requests, at most"
        " 10.0% is allowed: warm up longer, or ask for more requests"
    }
    assert judged(trace, drift=0.21) == {}


def test_few_requests_and_training_steps_are_not_judged_for_drift(make_trial, judged):
    """Seven requests show no trend, and a training window holds its one-off costs on purpose."""
    assert judged(make_trial(requests=in_turn([1.0] * 5 + [2.0] * 2))) == {}
    head = {"target": Target("accuracy", "test", 0.9)}
    steps = in_turn([1.0] * 20 + [2.0] * 20)
    assert judged(make_trial(head=head, requests=steps, evals=accuracy(0.9))) == {}
