"""What came before the steady state: compilation, warm-up, and rates that count them in.

Cold time is the union of the window with all phases of kind compile and warmup, whenever they
ran; steady time is what is left of the window without them.
"""

from accelbench.harness.metrics.applies import serves_or_is_idle, tells_samples
from accelbench.harness.metrics.busy import Spans, ends, of_kind, starts, union, window
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.metrics.registry import Absent, Outcome, Value, metric
from accelbench.harness.metrics.throughput import sum_over
from accelbench.harness.units import NS_PER_S

_COLD = "union of phases of kind compile and warmup, at any time, and the window"


def _compiles(seen: Observation) -> bool:
    return bool(of_kind(seen, "compile").any())


def _starts_cold(seen: Observation) -> bool:
    return bool(of_kind(seen, "compile", "warmup").any())


def _serves_from_cold(seen: Observation) -> bool:
    return serves_or_is_idle(seen) and _starts_cold(seen)


def _samples_from_cold(seen: Observation) -> bool:
    return tells_samples(seen) and _starts_cold(seen)


@metric(
    "compile.time",
    unit="s",
    summary="Time spent compiling, whenever it was.",
    formula="union of phases of kind compile, at any time of the trial",
    source="section 3.6.1",
    better="lower",
    applies=_compiles,
)
def compile_time(seen: Observation) -> Outcome:
    """Compilation time, s."""
    return Value(_one_off(seen, "compile").length_ns / NS_PER_S, _count(seen, "compile"))


@metric(
    "compile.share",
    unit="1",
    summary="Share of a cold run that compilation and warm-up took.",
    formula=f"(cold time - steady time) / cold time; cold: {_COLD}; steady: the window without"
    " those phases",
    source="section 3.6.1",
    better="lower",
    applies=_starts_cold,
)
def compile_share(seen: Observation) -> Outcome:
    """What the steady state leaves out."""
    once = _one_off(seen, "compile", "warmup")
    cold_ns = (once | window(seen)).length_ns
    if cold_ns == 0:
        return Absent("neither the window nor what came before it took any time")
    return Value(once.length_ns / cold_ns, _count(seen, "compile", "warmup"))


@metric(
    "tp.requests.inclusive",
    unit="request/s",
    summary="Requests completed a second, compilation and warm-up counted in.",
    formula=f"requests that are ok and done in the window / {_COLD}",
    source="section 3.6.1",
    better="higher",
    applies=_serves_from_cold,
)
def requests_inclusive(seen: Observation) -> Outcome:
    """The rate that was lived, not the steady one; what warm-up did is not counted."""
    finished = int(seen.requests.finished.sum())
    return _inclusive(seen, Value(finished, finished))


@metric(
    "tp.samples.inclusive",
    unit="sample/s",
    summary="Samples completed a second, compilation and warm-up counted in.",
    formula=f"samples of requests that are ok and done in the window / {_COLD}",
    source="section 3.6.1",
    better="higher",
    applies=_samples_from_cold,
)
def samples_inclusive(seen: Observation) -> Outcome:
    """The same for samples."""
    return _inclusive(seen, sum_over(seen.requests.samples, seen.requests.finished, "samples"))


def _inclusive(seen: Observation, done: Outcome) -> Outcome:
    if isinstance(done, Absent):
        return done
    cold_ns = (_one_off(seen, "compile", "warmup") | window(seen)).length_ns
    if cold_ns == 0:
        return Absent("neither the window nor what came before it took any time", done.n)
    return Value(done.value * NS_PER_S / cold_ns, done.n)


def _one_off(seen: Observation, *kinds: str) -> Spans:
    rows = of_kind(seen, *kinds)
    return union(starts(seen)[rows], ends(seen)[rows])


def _count(seen: Observation, *kinds: str) -> int:
    return int(of_kind(seen, *kinds).sum())
