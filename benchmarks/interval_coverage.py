"""How often the intervals for correlated series cover the truth, over simulated runs.

Every process has a known mean and known percentiles. Printed and written are, for the mean, p50,
p95 and p99: how many runs got an interval, how many of those hold the truth, how many of all runs
got an interval that does not, and the median width against an oracle that knows the process: 2 x
1.96 standard deviations of the estimate over the runs.

    python benchmarks/interval_coverage.py [--runs 2000] [--quick] [--out docs/interval-coverage.md]
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter
from scipy.special import ndtri

from accelbench.harness.statistics.dependent import mean_interval, percentile_interval
from accelbench.harness.statistics.intervals import Estimate

Series = npt.NDArray[np.float64]
PERCENTS = (50, 95, 99)
STATISTICS = ("mean", *(f"p{percent}" for percent in PERCENTS))
SEED = 20251124
VALUES = 10**9  # a case has no more simulated values than this, and no fewer than 400 runs


@dataclass(frozen=True)
class Process:
    """A stationary process whose mean and quantiles are known."""

    name: str
    generate: Callable[[np.random.Generator, int], Series]
    mean: float
    quantile: Callable[[float], float]

    def truths(self) -> tuple[float, ...]:
        """The mean and the percentiles, as in `STATISTICS`."""
        return (self.mean, *(self.quantile(percent / 100) for percent in PERCENTS))


def ar1(random: np.random.Generator, n: int, phi: float) -> Series:
    """First-order autoregression with normal innovations of variance 1, started stationary."""
    first = random.standard_normal() / math.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], random.standard_normal(n), zi=[phi * first])[0]


def mm1(random: np.random.Generator, n: int, load: float) -> Series:
    """Sojourn times of successive customers of an M/M/1 queue (service rate 1), stationary.

    Lindley's recursion, W' = max(0, W + S - A), in closed form: a cumulative sum over its running
    minimum. The first customer finds the queue as any does.
    """
    service = random.exponential(1.0, n)
    between = random.exponential(1 / load, n)
    first = random.exponential(1 / (1 - load)) if random.random() < load else 0.0
    walk = np.zeros(n)
    np.cumsum(service[:-1] - between[1:], out=walk[1:])
    return walk + np.maximum(first, np.maximum.accumulate(-walk)) + service


def queue(load: float) -> Process:
    """The M/M/1 queue of a load: its sojourn times are exponential with mean 1 / (1 - load)."""
    mean = 1 / (1 - load)
    return Process(
        f"M/M/1 at load {load:g}",
        lambda random, n: mm1(random, n, load),
        mean,
        lambda share: -mean * math.log1p(-share),
    )


EXPONENTIAL = Process(
    "i.i.d. exponential",
    lambda random, n: random.exponential(1.0, n),
    1.0,
    lambda share: -math.log1p(-share),
)
LOGNORMAL = Process(
    "i.i.d. lognormal",
    lambda random, n: random.lognormal(0.0, 1.0, n),
    math.exp(0.5),
    lambda share: math.exp(ndtri(share)),
)
AR1 = Process(
    "AR(1), phi 0.9",
    lambda random, n: ar1(random, n, 0.9),
    0.0,
    lambda share: float(ndtri(share)) / math.sqrt(1 - 0.9**2),
)
HALF, LOADED = queue(0.5), queue(0.8)

STATED = (
    (EXPONENTIAL, 2000),
    (LOGNORMAL, 2000),
    (AR1, 10_000),
    (HALF, 10_000),
    (LOADED, 300_000),
)
LONGER = tuple((process, n * times) for process, n in STATED for times in (3, 10))
SHORTER = (
    (EXPONENTIAL, 100),
    (EXPONENTIAL, 400),
    (EXPONENTIAL, 1000),
    (LOGNORMAL, 100),
    (LOGNORMAL, 400),
    (LOGNORMAL, 1000),
    (AR1, 300),
    (AR1, 1000),
    (AR1, 3000),
    (HALF, 300),
    (HALF, 1000),
    (HALF, 3000),
    (LOADED, 1000),
    (LOADED, 3000),
    (LOADED, 10_000),
    (LOADED, 30_000),
    (LOADED, 100_000),
)


@dataclass(frozen=True)
class Found:
    """What the runs of one case say of one statistic.

    Attributes:
        process: Name of the process.
        n: Length of a series.
        statistic: One of `STATISTICS`.
        runs: How many series.
        answered: Share of the runs that got an interval.
        coverage: Share of those whose interval holds the truth; NaN without any.
        wrong: Share of all runs that got an interval that does not hold it.
        width: Median width over the oracle's; NaN without any.
    """

    process: str
    n: int
    statistic: str
    runs: int
    answered: float
    coverage: float
    wrong: float
    width: float


def run(process: Process, n: int, number: int) -> list[tuple[float, float, float]]:
    """Value, low and high (NaN without an interval) of each statistic of one simulated run."""
    series = process.generate(np.random.default_rng([SEED, n, number]), n)
    ordered = np.sort(series)
    estimates = [mean_interval(series)]
    estimates += [percentile_interval(series, percent, ordered=ordered) for percent in PERCENTS]
    return [_ends(estimate) for estimate in estimates]


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    if estimate.bounds is None:
        return estimate.value, math.nan, math.nan
    return estimate.value, estimate.bounds.low, estimate.bounds.high


def judge(
    process: Process, n: int, rows: Sequence[list[tuple[float, float, float]]]
) -> list[Found]:
    """What the runs say of each statistic."""
    found = []
    for statistic, truth, ends in zip(
        STATISTICS, process.truths(), np.array(rows).transpose(1, 2, 0), strict=True
    ):
        value, low, high = ends
        answered = ~np.isnan(low)
        holds = (low <= truth) & (truth <= high)
        oracle = 2 * 1.96 * value.std(ddof=1)
        found.append(
            Found(
                process.name,
                n,
                statistic,
                value.size,
                float(answered.mean()),
                float(holds[answered].mean()) if answered.any() else math.nan,
                float((answered & ~holds).mean()),
                float(np.median((high - low)[answered])) / oracle if answered.any() else math.nan,
            )
        )
    return found


def coverage(process: Process, n: int, runs: int) -> list[Found]:
    """Runs a case in this process."""
    return judge(process, n, [run(process, n, number) for number in range(runs)])


CASES = {"stated": STATED, "longer": LONGER, "shorter": SHORTER}


def _chunk(kind: str, case: int, numbers: range) -> list[list[tuple[float, float, float]]]:
    process, n = CASES[kind][case]
    return [run(process, n, number) for number in numbers]


def tables(runs: int, most: int) -> Iterator[tuple[str, list[Found]]]:
    """The findings of every case with series of at most `most` values, on two processes."""
    with ProcessPoolExecutor(2) as pool:
        for kind, cases in CASES.items():
            found = []
            for case, (process, n) in enumerate(cases):
                if n > most:
                    continue
                began, count = time.perf_counter(), min(runs, max(400, VALUES // n))
                chunks = [range(at, min(at + 25, count)) for at in range(0, count, 25)]
                jobs = [pool.submit(_chunk, kind, case, numbers) for numbers in chunks]
                found += judge(process, n, [row for job in jobs for row in job.result()])
                told = f"{process.name}, n = {n:,}: {time.perf_counter() - began:.1f} s"
                print(told, file=sys.stderr, flush=True)
            yield kind, found


TEXT = """# Intervals of correlated series: how often they cover

A latency series is correlated: a request that waits is followed by requests that wait. Intervals
that assume independence are then far too narrow. Those of
`accelbench.harness.statistics.dependent` measure the correlation. The series is cut into about
1,000 slices, and the variance of its mean is read from their sums' lowest 32 frequencies (of 10,
where that is more, correlation shows, and fewer than 1,000 effective values are left); over the variance that
independent values would have, this is the inflation, never taken below 1. The mean gets Student's t
with Hall's correction for skewness. A percentile gets the exact binomial order statistics of as many
values as are left after dividing by the inflation, where the inflation is that of the values at or
below it or of those at or below the percentile with three times the tail, whichever is larger. An
interval is refused, with the number of values it needs, below 100 values, below the binomial minimum
(368 for p99), and, where correlation shows, below 1.25 times that many effective values.

Nominal level: 95 %. *Answered*: runs that got an interval. *Coverage*: answered runs whose interval
holds the truth. *Wrong*: runs, of all, that got an interval that does not hold it; at most 5 % would
be perfect. *Width*: median width over that of an oracle that knows the process (1.96 standard
deviations of the estimate to either side). Written by `benchmarks/interval_coverage.py`; seeds
are fixed.
"""
TITLES = {
    "stated": """## At the stated length

From this length on the intervals are promised to answer and to cover 93 to 99 %, at most 1.5 times
as wide as the oracle's.
""",
    "longer": """## Three and ten times as long
""",
    "shorter": """## Shorter

Here refusing is allowed, and the promise is that no more than 7 % of all runs are answered wrongly.
Where only some runs are answered, these are the runs that happened to look least correlated, so their
coverage falls below the level; the column to read is *wrong*.
""",
}


def markdown(kind: str, found: list[Found]) -> str:
    """One section of the page."""
    lines = [
        TITLES[kind],
        "| process | n | runs | statistic | answered | coverage | wrong | width |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    for row in found:
        covers = "-" if math.isnan(row.coverage) else f"{row.coverage:.1%}"
        width = "-" if math.isnan(row.width) else f"{row.width:.2f}"
        lines.append(
            f"| {row.process} | {row.n:,} | {row.runs:,} | {row.statistic} "
            f"| {row.answered:.1%} | {covers} | {row.wrong:.1%} | {width} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Simulates, prints the page and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="200 runs, series up to 100,000")
    parser.add_argument("--out", type=Path, help="write the page there as well")
    args = parser.parse_args()
    runs, most = (200, 100_000) if args.quick else (args.runs, 10**9)
    page = "\n".join([TEXT, *(markdown(kind, found) for kind, found in tables(runs, most))])
    print(page)
    if args.out:
        args.out.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
