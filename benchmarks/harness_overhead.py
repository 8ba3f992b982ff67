"""What the harness adds to a single-stream inference, against the same loop bare.

Both loops run in one process, in turns, on the same engine: calls of a stated length, busy
waiting, so that the truth is known. Printed are ratios of the two, with Student's t interval over
the pairs; absolute times depend on the machine.

    python benchmarks/harness_overhead.py [--pairs 20] [--calls 500]
"""

import argparse
import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from accelbench.harness.load.host import HostEngine
from accelbench.harness.load.in_process import Batches, infer_batches
from accelbench.harness.schema.quality import Quality
from accelbench.harness.schema.recorder import Recorder, WallClock
from accelbench.harness.statistics.intervals import mean_estimate


class Spin(HostEngine):
    """An engine whose call takes a stated time, busy."""

    def __init__(self, call_s: float) -> None:
        super().__init__(time.perf_counter_ns)
        self._call_ns = int(call_s * 1e9)

    def prepare(self, inputs: Any) -> Any:
        """Nothing to prepare."""
        return inputs

    def infer(self, inputs: Any) -> Any:
        """Waits, busy."""
        until = time.perf_counter_ns() + self._call_ns
        while time.perf_counter_ns() < until:
            pass
        return inputs


class NoTruth:
    """Samples that nothing is known of."""

    count = 1

    def batch(self, indices: Sequence[int]) -> Any:
        """The indices themselves."""
        return list(indices)

    def figures(self, answered: Iterable[tuple[Sequence[int], Any]]) -> Sequence[Quality]:  # noqa: ARG002  (nothing to score)
        """There is no truth."""
        return ()


def bare(engine: Any, inputs: Any, calls: int) -> float:
    """Seconds of the same calls in a plain loop."""
    began = time.perf_counter_ns()
    for _ in range(calls):
        engine.infer(inputs)
    return (time.perf_counter_ns() - began) / 1e9


def harness(engine: Any, samples: Any, calls: int) -> tuple[float, float]:
    """Seconds of the window as the harness records it, and of the service times in it."""
    recorder = Recorder(WallClock())
    batches = Batches(size=1, count=calls, warmup=1, due_at_start=False)
    infer_batches(engine, samples, batches, None, recorder)
    trace = recorder.freeze("measured")
    rows = trace.table("requests")
    service = rows.column("done_ns").to_numpy() - rows.column("sent_ns").to_numpy()
    start, end = trace.head.window_ns
    return (end - start) / 1e9, float(service.sum()) / 1e9


def compare(told: str, engine: Any, samples: Any, pairs: int, calls: int) -> None:
    """Runs the two loops in turns and prints their ratios."""
    inputs = engine.prepare(samples.batch([0]))
    bare(engine, inputs, calls)
    plain, recorded = [], []
    for number in range(pairs):
        if number % 2:
            plain.append(bare(engine, inputs, calls))
        recorded.append(harness(engine, samples, calls))
        if not number % 2:
            plain.append(bare(engine, inputs, calls))
    base = np.array(plain)
    for name, found in zip(("window", "service times"), zip(*recorded, strict=True), strict=True):
        percent = (np.array(found) / base - 1) * 100
        interval = mean_estimate(percent).bounds
        print(
            f"{told:<22} {name:<14} {percent.mean():+.3f} % "
            f"[{interval.low:+.3f}, {interval.high:+.3f}] of {base.mean() / calls * 1e3:.4f} ms"
        )


def main() -> None:
    """Compares for several lengths of a call."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--calls", type=int, default=500)
    args = parser.parse_args()
    print(f"harness over bare loop, {args.pairs} pairs of {args.calls} calls, 95 % intervals")
    for call_s in (1e-4, 1e-3, 5e-3):
        compare(f"busy for {call_s * 1e3:g} ms", Spin(call_s), NoTruth(), args.pairs, args.calls)


if __name__ == "__main__":
    main()
