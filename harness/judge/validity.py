"""Is a trial what it was meant to be: the closed list of validity codes.

What came out (`outcome`):

`arithmetic`           more FLOP/s than the roofline allows: something was counted wrongly
`early_stopping`       a latency limit is not met at the confidence of MLPerf's early stopping,
                       or requests are too few for the percentile that a stream reports
`quality_below_gate`   the model's quality is below the gate, or was not evaluated
`requests_failed`      a request that was due in the window is not ok, or was never sent
`target_not_met`       no evaluation of a training trial met its target
`too_few_samples`      fewer requests were completed than the rules ask for, the window is shorter,
                       none of a class of a mix was completed, or requests are too few for an
                       interval that the rules claim
`unsteady`             the service time for each unit of work has no steady state from the first
                       request to the last (training steps are not checked, as their window holds
                       one-off costs on purpose)

What was counted (`tokens`):

`cache_contrary`       prompts were found in a cache that was to be cold, or not in a warm one, as
                       requests or the engine's counters tell
`output_length_off`    output lengths are not those that were asked for
`tokens_uncounted`     arrivals without a count, or a told length that is not what arrived; counts
                       that were laid on arrivals by convention are counts

The load (`generator`), the first and the last in an open loop:

`arrivals_off`         the sends are another process than the schedule
`client_bound`         the load generator's error, as calibrated or as its own lag in this run, is
                       too large for what is reported, or it was late with its processor used up
`generator_late`       requests were sent later (or earlier) than they were due

The machine (`machine`) and its meters (`meters`):

`clock_step`           the time of day was set during the trial
`energy_window_short`  the window holds too few periods of the meter
`foreign_load`         others used the machine: their CPU time, a hypervisor's steal, tasks that
                       waited for a processor, switches that the engine did not want; of these the
                       first two alone beside a stated neighbour, which is none of the others
`probe_lost`           a declared meter gave no reading, or left out part of the window
`throttled`            a clock was held back, or fell

The last two groups are about hardware and do not apply to a simulated clock. What a trace does
not tell is not judged.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from accelbench.harness.judge import generator, machine, meters, outcome, tokens
from accelbench.harness.judge.case import Case
from accelbench.harness.judge.early_stopping import early_stopping
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.schema.cell import Gate
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.record import Reason
from accelbench.harness.schema.rules import Rules

Check = Callable[[Case], str | None]

_OF_WORK: Mapping[str, Check] = {
    "arithmetic": outcome.arithmetic,
    "cache_contrary": tokens.cache_contrary,
    "early_stopping": early_stopping,
    "output_length_off": tokens.output_length_off,
    "quality_below_gate": outcome.quality_below_gate,
    "requests_failed": outcome.requests_failed,
    "target_not_met": outcome.target_not_met,
    "tokens_uncounted": tokens.tokens_uncounted,
    "too_few_samples": outcome.too_few_samples,
    "unsteady": outcome.unsteady,
}

_OF_HARDWARE: Mapping[str, Check] = {
    "arrivals_off": generator.arrivals_off,
    "client_bound": generator.client_bound,
    "clock_step": machine.clock_step,
    "energy_window_short": meters.energy_window_short,
    "foreign_load": machine.foreign_load,
    "generator_late": generator.generator_late,
    "probe_lost": meters.probe_lost,
    "throttled": machine.throttled,
}

CHECKS: Mapping[str, Check] = dict(sorted({**_OF_WORK, **_OF_HARDWARE}.items()))
"""The detail of each code, or None where all is well."""


def judge(
    seen: Observation, measurements: Mapping[str, Measurement], rules: Rules, gate: Gate | None
) -> tuple[Reason, ...]:
    """Why a trial is invalid, and what it warns of.

    A code that the rules name neither under `invalid` nor under `warn` is not reported.

    Args:
        seen: The trial, with what was watched from outside.
        measurements: Its metrics.
        rules: What it is held against.
        gate: The quality gate of the workload, or None.
    """
    case = Case(seen, measurements, rules, gate)
    checks = _OF_WORK if seen.trace.head.clock == "simulated" else CHECKS
    reasons: list[Reason] = []
    for code in sorted({*rules.invalid, *rules.warn} & checks.keys()):
        level: Literal["invalid", "warning"] = "invalid" if code in rules.invalid else "warning"
        detail = checks[code](case)
        if detail:
            reasons.append(Reason(code, detail, level))
    return tuple(reasons)


def status(reasons: Sequence[Reason]) -> Literal["valid", "invalid"]:
    """Whether a trial with these reasons counts."""
    return "valid" if all(reason.level == "warning" for reason in reasons) else "invalid"
