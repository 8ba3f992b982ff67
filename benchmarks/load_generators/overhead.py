"""What a load generator costs and how late it sends, against a server that answers at once.

Processor time is that of the whole process tree, from start to end. A request all in costs the
slope between two sizes of run, so that start and imports cancel out. Lateness is measured at the
server, for all alike: how far a request came after the even schedule that the earliest one fits.

    python benchmarks/load_generators/overhead.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from interface import Load, Peer
from runs import Answers, Bench, Run, attempt, bench, ms, options, report, run, table

Row = dict[str, Any]
_START_RATE = 50.0


def lateness_s(stamps: Sequence[Sequence[int]], rate_per_s: float) -> tuple[float, float]:
    """p50 and p99 of the time by which requests came after an even schedule, seconds.

    Args:
        stamps: The server's log by the order of coming.
        rate_per_s: Of the schedule.
    """
    came = np.array([entry[0] for entry in stamps], dtype=np.float64)
    offsets = (came - came[0]) * 1e-9 - np.arange(came.size) / rate_per_s
    p50, p99 = np.percentile(offsets - offsets.min(), (50, 99))
    return float(p50), float(p99)


def closed(bench: Bench, peer: Peer, args: argparse.Namespace) -> Row:
    """A closed loop of two sizes."""
    loads = [Load(args.requests * times, args.tokens, users=args.users) for times in (1, 3)]
    small, large = (run(bench, peer, load, Answers(args.tokens)) for load in loads)
    slope = (large.cpu_s - small.cpu_s) / (large.served - small.served)
    return {
        **_shared(large),
        "cpu_per_request_s": slope,
        "start_cpu_s": small.cpu_s - slope * small.served,
        "total_per_request_s": small.cpu_s / small.served,
        "total_of": small.served,
        "calibration_cpu_s": small.calibration_s,
    }


def start(bench: Bench, peer: Peer, args: argparse.Namespace) -> Row:
    """Small runs of one second, which are nearly start and imports alone."""
    load = Load(round(_START_RATE), args.tokens, rate_per_s=_START_RATE)
    found = [run(bench, peer, load, Answers(args.tokens)) for _ in range(args.repeats)]
    cpu_s = [one.cpu_s for one in found]
    return {
        "cpu_s": statistics.median(cpu_s),
        "spread_s": (max(cpu_s) - min(cpu_s)) / 2,
        "served": found[0].served,
    }


def opened(bench: Bench, peer: Peer, args: argparse.Namespace, rate: float, small: Row) -> Row:
    """An open loop, its cost that beyond the small run's."""
    seconds = min(args.seconds, max(1, args.most // rate))
    load = Load(round(rate * seconds), args.tokens, rate_per_s=rate)
    found = run(bench, peer, load, Answers(args.tokens))
    more = found.served - small["served"]
    came = [entry[0] for entry in found.stamps]
    late = lateness_s(found.stamps, rate) if peer.even else found.told.schedule_delay_s
    return {
        **_shared(found),
        "cpu_per_request_s": (found.cpu_s - small["cpu_s"]) / more if more > 0 else None,
        "cpu_spread_s": small["spread_s"] / more if more > 0 else None,
        "total_per_request_s": found.cpu_s / found.served,
        "total_of": found.served,
        "calibration_cpu_s": found.calibration_s,
        "achieved": (len(came) - 1) / (came[-1] - came[0]) * 1e9 / rate,
        "lateness_p50_s": None if late is None else late[0],
        "lateness_p99_s": None if late is None else late[1],
        "lateness_at": "the server" if peer.even else "the tool, of its own exponential gaps",
    }


def _shared(found: Run) -> Row:
    return {
        "requests_per_s": found.requests_per_s,
        "served": found.served,
        "told": len(found.told.requests),
        "cpu_s": found.cpu_s,
        "wall_s": found.wall_s,
        "server_busy": found.server_busy,
        "verdict": found.told.verdict,
    }


_COST: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    "requests/s": lambda row: f"{row['requests_per_s']:,.0f}",
    "server busy": lambda row: f"{row['server_busy']:.0%}",
    "client CPU a request, ms": lambda row: ms(row["cpu_per_request_s"]),
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
    "client CPU a request, ms": lambda row: (
        f"{ms(row['cpu_per_request_s'])} ± {ms(row['cpu_spread_s'], 1)}"
    ),
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
        small = attempt(f"{peer.name}: start", lambda: start(bench, peer, args))  # noqa: B023  (called at once)
        for rate in args.rates:
            if "error" in small:
                wide.append({**name, "rate": rate, **small})
                continue
            told = attempt(
                f"{peer.name}: {rate:g} req/s",
                lambda: opened(bench, peer, args, rate, small),  # noqa: B023  (called at once)
            )
            wide.append({**name, "rate": rate, **told})
    return shut, sorted(wide, key=lambda row: float(row["rate"]))


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=1500, help="closed loop, and thrice that")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--rates", type=float, nargs="+", default=[50, 200, 500, 1000])
    parser.add_argument("--seconds", type=int, default=5, help="of an open loop")
    parser.add_argument("--most", type=int, default=2500, help="requests of an open loop, about")
    parser.add_argument("--repeats", type=int, default=2, help="of the small run")
    args = parser.parse_args()
    if args.quick:
        args.requests, args.rates, args.seconds, args.repeats = 200, [50, 200], 2, 1
    with bench(args) as found:
        shut, wide = measure(found, args)
    text = (
        f"## Closed loop of {args.users} users, {args.tokens} tokens streamed\n\n"
        f"{table(_COST, shut)}\n\n## Open loop, even gaps, {args.seconds} s or {args.most:,} requests\n\n{table(_LATE, wide)}"
    )
    report(args, "Overhead and lateness", text, {"closed": shut, "open": wide})


if __name__ == "__main__":
    main()
