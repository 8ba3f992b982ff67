"""Each validity code: when it is told, at which level, and in which words."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from accelbench.harness.judge.validity import CHECKS, Gate, judge, status
from accelbench.harness.metrics.catalogue import measure
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.schema.record import Reason
from accelbench.harness.schema.recorder import table_of
from accelbench.harness.schema.rules import CODES, Limits, Rules
from accelbench.harness.schema.trace import Target, Trace, TraceHead

S = 1_000_000_000


def rules(*, invalid: Sequence[str] = CODES, warn: Sequence[str] = (), **limits: Any) -> Rules:
    """Rules that name these codes."""
    return Rules(
        name="r",
        summary="r",
        trials=1,
        warmup=0,
        session="shared",
        time_limit_s=1,
        seed=0,
        limits=Limits(**limits),
        invalid=tuple(invalid),
        warn=tuple(warn),
    )


def trace_of(
    services: Sequence[float] = (1.0,),
    *,
    failed: int = 0,
    flops: float | None = None,
    phase_ns: int = S,
    target: Target | None = None,
    accuracy: float | None = None,
) -> Trace:
    """Requests one after another, each with its service time in seconds, in a 100 s window."""
    rows: list[Mapping[str, Any]] = []
    at = 0
    for number, service in enumerate(services):
        end = at + round(service * S)
        rows.append(
            {"id": str(number), "due_ns": at, "sent_ns": at, "done_ns": end, "status": "ok"}
        )
        at = end
    rows += [{"id": f"f{k}", "due_ns": 1, "status": "failed"} for k in range(failed)]
    tables = {"requests": table_of("requests", rows)}
    if flops is not None:
        phase = {"name": "f", "kind": "steady", "start_ns": 0, "end_ns": phase_ns}
        tables["phases"] = table_of("phases", [{**phase, "flops": flops, "bytes": 1e9}])
    if accuracy is not None:
        row = {"at_ns": S, "metric": "accuracy", "split": "test", "value": accuracy, "n": 10}
        tables["evals"] = table_of("evals", [row])
    return Trace(
        TraceHead(
            schema="accelbench.trace/1",
            clock="wall",
            evidence="measured",
            window_ns=(0, 100 * S),
            target=target,
            precision="fp32",
        ),
        tables,
    )


def machine(bandwidth: float) -> Platform:
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


def reasons(
    trace: Trace,
    held: Rules | None = None,
    gate: Gate | None = None,
    observed: Mapping[str, float] | None = None,
    bandwidth: float = 1e12,
) -> tuple[Reason, ...]:
    """The judgement of a trace with its own measurements."""
    return judge(trace, measure(trace, machine(bandwidth)), held or rules(), gate, observed or {})


def test_the_list_of_codes_is_closed() -> None:
    """Each code of the rules has one check, and no check lacks its code."""
    assert tuple(CHECKS) == CODES


def test_a_good_trial_has_no_reasons() -> None:
    """Steady, complete, above its gate, on a quiet machine, below its roofline."""
    trace = trace_of([1.0] * 8, flops=1e9, accuracy=0.95)
    found = reasons(trace, gate=Gate("accuracy", 0.95), observed={"foreign_cpu_share": 0.05})
    assert found == ()
    assert status(found) == "valid"


def test_a_code_is_told_at_the_level_that_the_rules_give_it() -> None:
    """Under `invalid` it invalidates, under `warn` it warns, in neither it is not told."""
    trace = trace_of(failed=1)
    for held, level, verdict in (
        (rules(), "invalid", "invalid"),
        (rules(invalid=(), warn=("requests_failed",)), "warning", "valid"),
    ):
        found = reasons(trace, held)
        assert [(item.code, item.level) for item in found] == [("requests_failed", level)]
        assert status(found) == verdict
    assert reasons(trace, rules(invalid=("unsteady",), warn=("arithmetic",))) == ()


def test_one_invalid_reason_among_warnings_invalidates() -> None:
    """Warnings do not outvote it."""
    warning, invalid = Reason("unsteady", "x", "warning"), Reason("arithmetic", "x", "invalid")
    assert status((warning, warning)) == "valid"
    assert status((warning, invalid)) == "invalid"
    assert status((Reason("crashed", "x", "failed"),)) == "invalid"


def test_more_than_the_roofline_allows_is_a_counting_error() -> None:
    """2 FLOP/byte at 1 GB/s allow 2 GFLOP/s; only what a nanosecond a phase makes is forgiven."""
    trace = trace_of(flops=2e9)
    assert reasons(trace, bandwidth=1e9) == ()
    assert reasons(trace, bandwidth=1e9 * (1 - 1e-9)) == ()
    assert reasons(trace_of(flops=2e9, phase_ns=1000), bandwidth=0.9995e15) == ()
    assert len(reasons(trace, bandwidth=0.9995e9)) == 1
    (found,) = reasons(trace, bandwidth=0.8e9)
    assert found.code == "arithmetic"
    assert found.detail == (
        "2 GFLOP/s achieved, but the roofline allows 1.6 GFLOP/s: check the FLOP count and the"
        " sheet's peak and bandwidth, and whether the data stays in a cache"
    )


def test_foreign_load_is_held_to_its_limit() -> None:
    """Unseen is not judged; at the limit is allowed."""
    assert reasons(trace_of(), observed={}) == ()
    assert reasons(trace_of(), observed={"foreign_cpu_share": 0.05}) == ()
    (found,) = reasons(trace_of(), observed={"foreign_cpu_share": 0.123})
    assert (found.code, found.detail) == (
        "foreign_load",
        (
            "other processes used 12.3% of the CPU time, at most 5.0% is allowed: stop them and run"
            " again"
        ),
    )
    assert reasons(trace_of(), rules(foreign_cpu_share=0.2), None, {"foreign_cpu_share": 0.1}) == ()


def test_quality_below_the_gate_or_not_shown_at_all() -> None:
    """A gate that nobody checked is not passed."""
    gate = Gate("accuracy", 0.9)
    (low,) = reasons(trace_of(accuracy=0.87), gate=gate)
    assert (low.code, low.detail) == (
        "quality_below_gate",
        ("accuracy is 0.87, at least 0.9 is asked for: check weights and precision"),
    )
    (unknown,) = reasons(trace_of(), gate=gate)
    assert unknown.detail == (
        "accuracy was not evaluated, at least 0.9 is asked for: evaluate it on the test split"
    )
    assert reasons(trace_of(accuracy=0.1)) == ()


def test_failed_requests_are_counted() -> None:
    """Each request due in the window that is not ok."""
    (found,) = reasons(trace_of(failed=2))
    assert (found.code, found.detail) == (
        "requests_failed",
        (
            "2 of 3 requests due in the window failed, none may: see column `error` of the trace's"
            " requests"
        ),
    )


def test_a_target_not_met_tells_the_best_value() -> None:
    """Training that gave up says how far it came."""
    target = Target("accuracy", "test", 0.9)
    assert reasons(trace_of(target=target, accuracy=0.9)) == ()
    (found,) = reasons(trace_of(target=target, accuracy=0.8))
    assert (found.code, found.detail) == (
        "target_not_met",
        (
            "accuracy on split 'test' did not reach 0.9: best 0.8 of 1 evaluated: allow more epochs"
            " or lower the target"
        ),
    )


def test_too_few_completed_requests() -> None:
    """Counted by what was done in the window; without any request none was."""
    assert reasons(trace_of([1.0] * 3), rules(samples=3)) == ()
    (found,) = reasons(trace_of([1.0] * 3), rules(samples=4))
    assert (found.code, found.detail) == (
        "too_few_samples",
        (
            "3 requests were completed in the window, at least 4 are asked for: ask for more requests"
        ),
    )
    assert [item.code for item in reasons(trace_of([]))] == ["too_few_samples"]
    assert [item.code for item in reasons(trace_of([60, 60]), rules(samples=2))] == [
        "too_few_samples"
    ]


@pytest.mark.parametrize("last", [1.2, 0.8])
def test_a_drift_of_the_service_time_is_unsteady(last: float) -> None:
    """Faster or slower: the mean of the last quarter against that of the first."""
    services = [1.0, 1.0, 5.0, 0.1, 3.0, 2.0, last, last]
    (found,) = reasons(trace_of(services))
    assert (found.code, found.detail) == (
        "unsteady",
        (
            f"mean service time changed by {last - 1:+.1%} from the first to the last quarter of"
            " requests, at most 10.0% is allowed: warm up longer, or cool down"
        ),
    )
    assert reasons(trace_of(services), rules(drift=0.25)) == ()


def test_few_requests_and_training_steps_are_not_judged_for_drift() -> None:
    """Seven requests show no trend, and a training window holds its one-off costs on purpose."""
    assert reasons(trace_of([1.0] * 5 + [2.0] * 2)) == ()
    target = Target("accuracy", "test", 0.9)
    trace = trace_of([1.0] * 6 + [2.0] * 2, target=target, accuracy=0.9)
    assert reasons(trace) == ()
