"""What busy neighbours do to a run of PyTorch, and whether the harness says so.

A campaign is run in turns alone and beside processes that are busy and no part of it: products of
matrices and a small decoder, on one thread and on two. Printed are every run with the reasons that
its record gives, and for each cell how many times slower it was beside them: the geometric mean
over the pairs with Student's t interval of the logarithms. Exit code 1 if a run that was slowed
down has no code of the machine's. Both kinds of run are only as quiet as the machine is.

    python benchmarks/contention.py [--pairs 4] [--busy 2] [--slowed 0.1]
"""

import argparse
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from accelbench.harness.bundle.summary import read_bundle
from accelbench.harness.schema.record import Record
from accelbench.harness.statistics.intervals import mean_estimate

SUITE = """summary: products of matrices and a decoder, on one thread and on two
choose: {rules: smoke, adapter: torch, probe: none, tracker: none}
set: {rules.trials: 1}
cells:
  gemm:
    choose: {workload: kernel_gemm, scenario: offline}
    set: {scenario.samples: 128, scenario.batch_size: 1}
    sweep: {adapter.threads: [1, 2]}
  decode:
    choose: {workload: tiny_llama, scenario: single_stream}
    set: {scenario.requests: 16}
    sweep: {adapter.threads: [1, 2]}
"""
RATES = {"offline": "tp.samples", "single_stream": "tp.decode"}
UNITS = {"offline": "product/s", "single_stream": "token/s"}
MACHINE = ("clock_step", "foreign_load", "throttled")
"""Codes that say that the machine was not the benchmark's alone, or not itself."""


@dataclass(frozen=True)
class Run:
    """What one trial showed.

    Attributes:
        cell: Name of the cell.
        beside: Whether the busy processes ran beside it.
        rate: Products or tokens a second.
        unit: Its unit.
        reasons: Detail of each validity code that its record gives, by code.
    """

    cell: str
    beside: bool
    rate: float
    unit: str
    reasons: Mapping[str, str]

    @property
    def told(self) -> bool:
        """Whether the record says that something was wrong with the machine."""
        return any(code in MACHINE for code in self.reasons)

    @property
    def lines(self) -> str:
        """For a reader: the rate, and a line for each reason."""
        where = "beside" if self.beside else "alone"
        told = [f"    {code}: {detail}" for code, detail in self.reasons.items()]
        return "\n".join([f"{where:<8}{self.cell:<18}{self.rate:9.4g} {self.unit}", *told])


def run_of(record: Record, beside: bool) -> Run:
    """What a record says.

    Raises:
        ValueError: The trial failed, or gave no rate.
    """
    found = record.measurements.get(RATES[record.scenario])
    if found is None or found.value is None:
        told = "; ".join(reason.detail for reason in record.reasons)
        raise ValueError(f"{record.id} gave no rate: {told}")
    reasons = {reason.code: reason.detail for reason in record.reasons}
    return Run(record.cell, beside, found.value, UNITS[record.scenario], reasons)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Processes that do nothing but use a processor each; no children of the campaign."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


def campaign(folder: Path, beside: bool) -> list[Run]:
    """Every cell once, in a campaign of its own."""
    suite = folder.with_suffix(".yaml")
    suite.write_text(SUITE, encoding="utf-8")
    words = [sys.executable, "-m", "accelbench.cli.main", "run", str(suite), "--out", str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return [run_of(record, beside) for record in read_bundle(folder).records]


def slow_down(alone: Sequence[float], beside: Sequence[float]) -> str:
    """How many times slower the runs beside were, of rates in pairs; interval from two pairs on."""
    estimate = mean_estimate(np.log(alone) - np.log(beside), of="pairs")
    told = f"{math.exp(estimate.value):.2f}"
    if estimate.bounds is None:
        return told
    return f"{told} [{math.exp(estimate.bounds.low):.2f}, {math.exp(estimate.bounds.high):.2f}]"


def slowed(runs: Sequence[Run], share: float) -> list[Run]:
    """The runs beside that were slower than the median alone by more than a share."""
    typical = float(np.median([run.rate for run in runs if not run.beside]))
    return [run for run in runs if run.beside and run.rate < (1 - share) * typical]


def codes(runs: Sequence[Run]) -> str:
    """How many of the runs have each code."""
    counted = Counter(code for run in runs for code in run.reasons)
    told = ", ".join(f"{code} {count}" for code, count in sorted(counted.items()))
    return f"{told or 'none'} of {len(runs)}"


def report(runs: Sequence[Run], share: float) -> int:
    """Prints each cell; returns how many slowed runs no code tells of."""
    untold = 0
    for cell in dict.fromkeys(run.cell for run in runs):
        mine = [run for run in runs if run.cell == cell]
        alone, beside = ([run for run in mine if run.beside == kind] for kind in (False, True))
        slow = slowed(mine, share)
        missed = sum(not run.told for run in slow)
        untold += missed
        factor = slow_down([run.rate for run in alone], [run.rate for run in beside])
        print(f"{cell:<18} {factor} times slower; slowed {len(slow)}, told {len(slow) - missed}")
        print(f"{'':<18} codes alone: {codes(alone)}; beside: {codes(beside)}")
    return untold


def main() -> int:
    """Runs the pairs and reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--busy", type=int, default=2, help="busy processes")
    parser.add_argument(
        "--slowed", type=float, default=0.1, help="slowed down: slower than alone by more than this"
    )
    args = parser.parse_args()
    print(
        f"alone and beside {args.busy} busy processes, {args.pairs} pairs, on"
        f" {len(os.sched_getaffinity(0))} processors; 95 % intervals",
        flush=True,
    )
    runs: list[Run] = []
    with TemporaryDirectory() as folder:
        for number in range(2 * args.pairs):
            beside = number % 2 == 1
            with busy(args.busy if beside else 0):
                found = campaign(Path(folder) / str(number), beside)
            print("\n".join(run.lines for run in found), flush=True)
            runs += found
    print()
    return 1 if report(runs, args.slowed) else 0


if __name__ == "__main__":
    sys.exit(main())
