"""Over the load: the latency-throughput curve and the load that can be sustained.

The load is the offered rate of an open loop or the number of users of a closed one. A curve is
named by it: `curve.tp.system.8` is `tp.system` at a load of 8.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from accelbench.harness.metrics.registry import Absent, Definition, Value, define, measurement
from accelbench.harness.schema.measurement import Better, Measurement
from accelbench.harness.schema.trace import ServiceLevel
from accelbench.harness.units import human

ATTAINMENT = 0.99
"""Share of requests that must meet their own thresholds: what a limit on p99 asks of each alone."""

_TRIED = (
    "the largest load tried that meets every limit where no lower one is shown to miss one; a limit"
    " is met if the interval over trials lies within it, missed if it lies beyond, else undecided;"
    " without an interval the value decides; a load without a valid trial never meets; 0 where the"
    " lowest load misses"
)
_SOURCE = "section 3.6.1"

SUSTAINABLE = define(
    Definition(
        "sustainable.load",
        unit="request/s",
        summary="The largest offered load that meets the service-level objective.",
        formula=_TRIED,
        source=_SOURCE,
        better="higher",
    )
)
SUSTAINABLE_USERS = define(
    Definition(
        "sustainable.concurrency",
        unit="1",
        summary="The largest number of users of a closed loop that meets the objective.",
        formula=_TRIED,
        source=_SOURCE,
        better="higher",
    )
)
SUSTAINABLE_TOKENS = define(
    Definition(
        "sustainable.tokens",
        unit="token/s",
        summary="Tokens emitted a second at the largest load that meets the objective.",
        formula="tp.system at sustainable.load, or at sustainable.concurrency",
        source=_SOURCE,
        better="higher",
    )
)

_TIMES = ("ttft.response", "itl.gap", "itl.request", "e2e.response")
COLUMNS: Mapping[str, tuple[str, Better]] = {
    "load.offered": ("request/s", "neither"),
    "load.sent": ("request/s", "neither"),
    "load.in_flight.mean": ("1", "neither"),
    "tp.requests": ("request/s", "higher"),
    "tp.system": ("token/s", "higher"),
    "goodput.requests": ("request/s", "higher"),
    "goodput.tokens": ("token/s", "higher"),
    "slo.attainment": ("1", "higher"),
    **{
        f"{quantity}.{percentile}": ("s", "lower")
        for quantity in _TIMES
        for percentile in ("p50", "p95", "p99")
    },
    "ttft.response.censored.p99": ("s", "lower"),
    "e2e.response.censored.p99": ("s", "lower"),
    "energy.per_output_token": ("J/token", "lower"),
    "energy.per_inference": ("J/inference", "lower"),
    "tokens_per_joule": ("token/J", "higher"),
}
"""Measurements of a row of the curve, with unit and direction."""

_DEFINED: Mapping[str, Definition] = {
    name: define(
        Definition(
            f"curve.{name}.<load>",
            unit,
            f"Metric {name} at one load of a latency-throughput curve.",
            f"{name} over the valid trials of the cells at this load, which is the offered rate of"
            " an open loop, request/s, or the number of users of a closed one",
            _SOURCE,
            better,
        )
    )
    for name, (unit, better) in COLUMNS.items()
}

Verdict: TypeAlias = Literal["met", "invalid", "undecided", "not met"]
_WORSE: tuple[Verdict, ...] = ("met", "invalid", "undecided", "not met")


@dataclass(frozen=True)
class LoadPoint:
    """What was measured at one load.

    Attributes:
        load: Requests a second offered, or users.
        measurements: By name, over valid trials; empty where there is none.
    """

    load: float
    measurements: Mapping[str, Measurement]


@dataclass(frozen=True)
class Judgement:
    """Whether a load meets an objective.

    Attributes:
        verdict: Met, not met, undecided by its intervals, or invalid: without a valid trial.
        why: What decided, in words; empty where every interval lies within its limit.
    """

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True)
class Objective:
    """What a load must meet as a whole; every given limit holds.

    Attributes:
        at_most: The largest value allowed, by name of a measurement. The censored percentiles
            count failures, the plain ones are of completed requests alone.
        attainment: The least share of requests that meet their own thresholds, or None.
    """

    at_most: Mapping[str, float]
    attainment: float | None = None

    def judge(self, point: LoadPoint) -> Judgement:
        """Whether a load meets it; what was not measured is not met."""
        if not point.measurements:
            return Judgement("invalid", "no valid trial")
        found = [_within(point, name, limit, 1) for name, limit in self.at_most.items()]
        if self.attainment is not None:
            found.append(_within(point, "slo.attainment", self.attainment, -1))
        return _worst(found)


def objective(level: ServiceLevel) -> Objective:
    """The objective of a service level: the p99 of each threshold, and the share that meets all.

    A failed request counts as infinitely slow; gaps between tokens exist of completed ones alone.
    """
    limits = {
        "ttft.response.censored.p99": level.ttft_s,
        "itl.request.p99": level.itl_s,
        "e2e.response.censored.p99": level.e2e_s,
    }
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return Objective(given, ATTAINMENT)


def curve(points: Sequence[LoadPoint]) -> dict[str, Measurement]:
    """The latency-throughput curve (D-03): each of `COLUMNS` at each load, by load.

    A column that no load has is left out; a load that lacks one of the others says why. One load
    alone is no curve: its rows say so.

    Args:
        points: One a load.
    """
    columns = [name for name in COLUMNS if any(name in p.measurements for p in points)]
    known = sum(bool(point.measurements) for point in points)
    few = known < 2  # noqa: PLR2004  (a curve needs two)
    alone = Absent(
        f"a curve needs 2 loads with a valid trial, there {'is' if known == 1 else 'are'} {known}"
    )
    return {
        f"curve.{name}.{load_told(point.load)}": measurement(_DEFINED[name], alone)
        if few
        else _row(point, name)
        for point in sorted(points, key=lambda point: point.load)
        for name in columns or ("tp.requests",)
    }


def load_told(load: float) -> str:
    """A load as it stands in a name."""
    return f"{load:.12g}"


def sustainable(
    points: Sequence[LoadPoint], wanted: Objective, load: Definition = SUSTAINABLE
) -> dict[str, Measurement]:
    """The largest load that meets an objective, and the tokens a second at it (D-02).

    The reason beside the value states the bracket that was tried, and what was left undecided.

    Args:
        points: Every load that was tried; a load tried twice must meet the objective twice.
        wanted: What it must meet.
        load: `SUSTAINABLE` for offered rates, `SUSTAINABLE_USERS` for users.
    """
    judged = _by_load(points, wanted)
    tried = _Tried(judged, "users" if load is SUSTAINABLE_USERS else load.unit)
    n, best = len(points), tried.best
    if best is None:
        reason = tried.nothing()
        missed = bool(judged) and tried.missed == min(judged)
        none = Absent(reason, n)
        return {
            load.name: measurement(load, Value(0, n, reason=reason) if missed else none),
            SUSTAINABLE_TOKENS.name: measurement(SUSTAINABLE_TOKENS, none),
        }
    at = next(point for point in points if point.load == best)
    tokens = at.measurements.get("tp.system")
    return {
        load.name: measurement(load, Value(best, n, reason=tried.bracket(best))),
        SUSTAINABLE_TOKENS.name: replace(tokens, version=SUSTAINABLE_TOKENS.version)
        if tokens
        else measurement(SUSTAINABLE_TOKENS, Absent("tp.system was not measured at this load")),
    }


@dataclass(frozen=True)
class _Tried:
    """The loads that were tried and how each came out.

    Attributes:
        judged: By load, ascending.
        unit: Of a load, in words.
    """

    judged: Mapping[float, Judgement]
    unit: str

    @property
    def missed(self) -> float | None:
        """The lowest load that is shown not to meet the objective."""
        return min(self._of("not met"), default=None)

    @property
    def best(self) -> float | None:
        """The highest load that meets it below the lowest that does not."""
        missed = self.missed
        return max((x for x in self._of("met") if missed is None or x < missed), default=None)

    def nothing(self) -> str:
        """Why no load is sustainable."""
        if not self.judged:
            return "no load was tried"
        missed = self.missed
        if missed is None:
            head = "no load tried is shown to meet the objective"
        else:
            head = f"not met at {missed:g} {self.unit} ({self.judged[missed].why})"
            head += "" if missed == min(self.judged) else ", and at no lower load shown to be met"
        return head + self._beside(missed)

    def bracket(self, met: float) -> str:
        """Between which loads the answer lies."""
        count, missed = len(self.judged), self.missed
        if missed is not None:
            why = self.judged[missed].why
            head = f"met at {met:g}, not at {missed:g} {self.unit} ({why}); {count} loads tried"
        elif met == max(self.judged):
            head = f"met at {met:g} {self.unit}, the highest of {count} loads tried: a lower bound"
        else:
            head = f"met at {met:g} {self.unit}, not shown to fail at any of {count} loads tried"
        return head + self._beside(missed)

    def _beside(self, missed: float | None) -> str:
        """What else a reader must know: what was undecided, invalid, or decided by single values."""
        below = [load for load in self.judged if missed is None or load < missed]
        told = [
            f"; undecided at {load:g}: {self.judged[load].why}"
            for load in below
            if self.judged[load].verdict == "undecided"
        ]
        invalid = self._of("invalid")
        if invalid:
            told.append(
                f"; no valid trial at {_listed(invalid)}, which counts as not shown to meet"
            )
        bare = [load for load in self._of("met") if self.judged[load].why]
        if bare:
            told.append(f"; at {_listed(bare)} by values without an interval")
        return "".join(told)

    def _of(self, verdict: Verdict) -> list[float]:
        return [load for load, found in self.judged.items() if found.verdict == verdict]


def _by_load(points: Sequence[LoadPoint], wanted: Objective) -> dict[float, Judgement]:
    """The judgement of each load, ascending; the worst of those tried more than once."""
    return {
        load: _worst([wanted.judge(point) for point in points if point.load == load])
        for load in sorted({point.load for point in points})
    }


def _worst(found: Iterable[Judgement]) -> Judgement:
    """The worst of several; of those alike one that says why."""
    return max(
        found,
        key=lambda one: (_WORSE.index(one.verdict), bool(one.why)),
        default=Judgement("met"),
    )


def _within(point: LoadPoint, name: str, limit: float, sign: int) -> Judgement:
    """Whether a measurement is at most a limit (sign 1) or at least (sign -1)."""
    found = point.measurements.get(name)
    if found is None or found.value is None:
        return Judgement("not met", f"{name}: {found.reason if found else 'not measured'}")
    value, at = found.value, f"{name} is {human(found.value, found.unit)}"
    most = f"{'at most' if sign > 0 else 'at least'} {human(limit, found.unit)} is asked for"
    if found.interval is None:
        met = sign * value <= sign * limit
        return Judgement("met" if met else "not met", f"{at} without an interval, {most}")
    low, high = found.interval.low, found.interval.high
    best, worst = (low, high) if sign > 0 else (high, low)
    if sign * worst <= sign * limit:
        return Judgement("met")
    ends = f"{human(low, found.unit)} to {human(high, found.unit)}"
    verdict: Verdict = "not met" if sign * best > sign * limit else "undecided"
    return Judgement(verdict, f"{at}, {ends}, {most}")


def _row(point: LoadPoint, name: str) -> Measurement:
    found = point.measurements.get(name)
    if found is not None:
        return replace(found, version=_DEFINED[name].version)
    why = f"{name} was not measured" if point.measurements else "there is no valid trial"
    return measurement(_DEFINED[name], Absent(f"{why} at this load"))


def _listed(loads: Iterable[float]) -> str:
    return ", ".join(f"{load:g}" for load in loads)
