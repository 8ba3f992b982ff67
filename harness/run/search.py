"""A cell that searches: which rate its next trial takes, as far as its records tell."""

from collections.abc import Sequence

from accelbench.harness.metrics.curve import LoadPoint, objective
from accelbench.harness.metrics.derived import over_trials
from accelbench.harness.schema.record import Record
from accelbench.harness.schema.scenario import Sustainable
from accelbench.harness.statistics.bracket import next_level


def next_rate(scenario: Sustainable, done: Sequence[Record]) -> float | None:
    """The rate of the next trial; None where the search has ended.

    Each rate is tried `repeats` times in a row. What its trials leave undecided does not pass.
    A rate at which every trial broke down ends the search: another would hardly do better.

    Args:
        scenario: The search.
        done: The cell's records, in the order of their repeats.
    """
    latest = done[-scenario.repeats :]
    broken = len(latest) == scenario.repeats and all(one.status == "failed" for one in latest)
    if broken or len(done) >= scenario.most_trials:
        return None
    at: dict[float, list[Record]] = {}
    for record in done:
        if record.rate_per_s is not None:
            at.setdefault(record.rate_per_s, []).append(record)
    for rate, trials in at.items():
        if len(trials) < scenario.repeats:
            return rate
    passed = {rate: _passes(scenario, rate, trials) for rate, trials in at.items()}
    return next_level(passed, scenario.arrivals.rate_per_s, scenario.resolution)


def _passes(scenario: Sustainable, rate: float, trials: Sequence[Record]) -> bool:
    valid = [trial.measurements for trial in trials if trial.status == "valid"]
    point = LoadPoint(rate, over_trials(valid) if valid else {})
    return objective(scenario.slo).judge(point).verdict == "met"
