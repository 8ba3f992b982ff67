"""What a load generator costs and how late it sends, against a server that answers at once.

Processor time is that of the whole process tree, from start to end. A request all in costs the
slope between two sizes of run, so that start and imports cancel out; pairs of runs give it a 95 %
interval. Lateness is measured at the server, for all alike: how far a request came after the even
schedule that the earliest one fits.

    python benchmarks/load_generators/overhead.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from interface import Load, Peer
from runs import Answers, Bench, Run, attempt, bench, ms, options, report, run, table

from accelbench.harness.errors import AccelbenchError, TrialError
from accelbench.harness.statistics.intervals import mean_estimate

Row = dict[str, Any]
Offsets = npt.NDArray[np.float64]
_START_RATE = 50.0


def late_s(stamps: Sequence[Sequence[int]], rate_per_s: float) -> Offsets:
    """By how much each request came after an even schedule, that which the earliest fits; seconds.

    Args:
        stamps: The server's log by the order of coming.
        rate_per_s: Of the schedule.
    """
    came = np.array([entry[0] for entry in stamps], dtype=np.float64)
    offsets = (came - came[0]) * 1e-9 - np.arange(came.size) / rate_per_s
    return offsets - offsets.min()


def cost(small: Sequence[Run], large: Sequence[Run]) -> Row:
    """What a request costs beyond the start: the slope between two sizes of run, pair by pair.

    Args:
        small: Runs of few requests.
        large: As many of many.

    Raises:
        TrialError: A large run served no more than a small one.
    """
    if max(run.served for run in small) >= min(run.served for run in large):
        raise TrialError("the large run served no more requests than the small one")
    slopes = [
        (more.cpu_s - less.cpu_s) / (more.served - less.served)
        for less, more in zip(small, large, strict=True)
    ]
    found = mean_estimate(slopes, of="pairs of runs")
    bounds = found.bounds
    start_s = statistics.median(run.cpu_s - found.value * run.served for run in small)
    return {
        "cpu_per_request_s": found.value,
        "cpu_interval_s": None if bounds is None else [bounds.low, bounds.high],
        "start_cpu_s": start_s,
        "total_per_request_s": statistics.median(run.cpu_s / run.served for run in large),
        "total_of": large[0].served,
        "calibration_cpu_s": next((run.calibration_s for run in large if run.calibration_s), None),
    }


def closed(bench: Bench, peer: Peer, args: argparse.Namespace) -> Row:
    """A closed loop of two sizes."""
    loads = [Load(requests, args.tokens, users=args.users) for requests in (args.few, args.most)]
    found = [[run(bench, peer, load, Answers(args.tokens)) for load in loads] for _ in _times(args)]
    small, large = zip(*found, strict=True)
    return {**_shared(large), **cost(small, large)}


def start(bench: Bench, peer: Peer, args: argparse.Namespace) -> list[Run]:
    """Small runs of one second, which are nearly start and imports alone.

    Raises:
        AccelbenchError: One of them failed.
    """
    load = Load(round(_START_RATE), args.tokens, rate_per_s=_START_RATE)
    return [run(bench, peer, load, Answers(args.tokens)) for _ in _times(args)]


def opened(
    bench: Bench, peer: Peer, args: argparse.Namespace, rate: float, small: Sequence[Run]
) -> Row:
    """An open loop, its cost that beyond the small runs'."""
    load = Load(min(round(rate * args.seconds), args.most), args.tokens, rate_per_s=rate)
    found = [run(bench, peer, load, Answers(args.tokens)) for _ in _times(args)]
    if peer.even:
        offsets = np.concatenate([late_s(one.stamps, rate) for one in found])
        late = tuple(float(value) for value in np.percentile(offsets, (50, 99)))
    else:
        late = found[0].told.schedule_delay_s or (None, None)
    return {
        **_shared(found),
        **cost(small, found),
        "achieved": statistics.median(_rate(one) / rate for one in found),
        "lateness_p50_s": late[0],
        "lateness_p99_s": late[1],
        "lateness_at": "the server" if peer.even else "the tool, of its own exponential gaps",
    }


def _times(args: argparse.Namespace) -> range:
    return range(args.repeats)


def _rate(found: Run) -> float:
    """Requests a second at which they came."""
    return (found.served - 1) / (found.stamps[-1][0] - found.stamps[0][0]) * 1e9


def _shared(found: Sequence[Run]) -> Row:
    return {
        "requests_per_s": statistics.median(one.requests_per_s for one in found),
        "served": [one.served for one in found],
        "told": [len(one.told.requests) for one in found],
        "cpu_s": [one.cpu_s for one in found],
        "wall_s": [one.wall_s for one in found],
        "server_busy": statistics.median(one.server_busy for one in found),
        "verdict": ", ".join(sorted({one.told.verdict for one in found})),
    }


def _cost_ms(row: Mapping[str, Any]) -> str:
    """The cost of a request with its interval."""
    bounds = row["cpu_interval_s"]
    told = "" if bounds is None else f" [{ms(bounds[0])}, {ms(bounds[1])}]"
    return f"{ms(row['cpu_per_request_s'])}{told}"


_COST: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    "requests/s": lambda row: f"{row['requests_per_s']:,.0f}",
    "server busy": lambda row: f"{row['server_busy']:.0%}",
    "client CPU a request, ms": _cost_ms,
    "start CPU, s": lambda row: f"{row['start_cpu_s']:.2f}",
    "all CPU over requests, ms": lambda row: (
        f"{ms(row['total_per_request_s'])} of {row['total_of']:,}"
    ),
    "its verdict": lambda row: row["verdict"] or "-",
}
_LATE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    "asked, req/s": lambda row: f"{row['rate']:g}",
    "achieved": lambda row: f"{row['achieved']:.1%}",
    "late p50, ms": lambda row: ms(row["lateness_p50_s"]),
    "late p99, ms": lambda row: f"{ms(row['lateness_p99_s'])}{'' if row['even'] else ' (own)'}",
    "client CPU a request, ms": _cost_ms,
    "all CPU over requests, ms": lambda row: (
        f"{ms(row['total_per_request_s'])} of {row['total_of']:,}"
    ),
    "its verdict": lambda row: row["verdict"] or "-",
}


def measure(bench: Bench, args: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    """The rows of the closed loop and of the open loops."""
    shut, wide = [], []
    for peer in bench.peers:
        name = {"tool": peer.name, "even": peer.even}
        told = attempt(f"{peer.name}: closed loop", lambda: closed(bench, peer, args))  # noqa: B023  (called at once)
        shut.append({**name, "users": args.users, **told})
        try:
            small = start(bench, peer, args)
        except AccelbenchError as error:
            wide += [{**name, "rate": rate, "error": f"its start: {error}"} for rate in args.rates]
            continue
        for rate in args.rates:
            told = attempt(
                f"{peer.name}: {rate:g} req/s",
                lambda: opened(bench, peer, args, rate, small),  # noqa: B023  (called at once)
            )
            wide.append({**name, "rate": rate, **told})
    return shut, sorted(wide, key=lambda row: float(row["rate"]))


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--few", type=int, default=1000, help="requests of a small closed loop")
    parser.add_argument("--most", type=int, default=20_000, help="requests of any run")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 200, 500, 1000])
    parser.add_argument("--seconds", type=int, default=20, help="of an open loop, at most")
    parser.add_argument("--repeats", type=int, default=4, help="pairs of runs; 2 give an interval")
    args = parser.parse_args()
    if args.quick:
        args.few, args.most, args.rates, args.seconds, args.repeats = 200, 600, [50, 200], 2, 1
    with bench(args) as found:
        shut, wide = measure(found, args)
    text = (
        f"## Closed loop of {args.users} users, {args.tokens} tokens streamed\n\n"
        f"{table(_COST, shut)}\n\n## Open loop, even gaps, {args.seconds} s or {args.most:,} requests\n\n{table(_LATE, wide)}"
    )
    report(args, "Overhead and lateness", text, {"closed": shut, "open": wide})


if __name__ == "__main__":
    main()
