"""Coordinated omission: does a tool report the latency that its schedule implies?

The server takes 0.5 s a request and 10 requests a second are offered, so that each waits 0.4 s
longer than the one before. In the first case the server serves one at a time and the queue is in
it; in the second the client may have one on its way and the queue is in the client. What the
schedule implies is taken from the server's log: the last token's instant less the instant at which
the request was due, in even gaps from the first that came.

    python benchmarks/load_generators/omission.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from interface import Load, Peer
from runs import Answers, Bench, Run, attempt, bench, options, report, run, table

Row = dict[str, Any]
_NS = 1e-9


def summary(values: Sequence[float]) -> Row:
    """p50, p99, largest, and growth a request by least squares; values by the order of start."""
    p50, p99 = np.percentile(values, (50, 99))
    growth = np.polynomial.Polynomial.fit(range(len(values)), values, 1).convert().coef[1]
    return {
        "p50_s": float(p50),
        "p99_s": float(p99),
        "max_s": float(max(values)),
        "growth_s": float(growth),
    }


def implied(stamps: Sequence[Sequence[int]], rate_per_s: float) -> Row:
    """What an even schedule from the first request on implies, by the server's stamps."""
    return summary(
        [
            (entry[-1] - stamps[0][0]) * _NS - number / rate_per_s
            for number, entry in enumerate(stamps)
        ]
    )


def reported(found: Run) -> Row:
    """What a tool tells end to end: from the send, and from the due instant if it tells that."""
    ordered = sorted(found.told.requests, key=lambda one: one.start_s)
    due = [one.due_e2e_s for one in ordered if one.due_e2e_s is not None]
    return {
        "sent": summary([one.e2e_s for one in ordered]),
        "due": summary(due) if len(due) == len(ordered) else None,
        "due_name": found.told.due_name,
    }


def measure(bench: Bench, peer: Peer, args: argparse.Namespace, capped: bool) -> Row:
    """An open loop beyond what can be served."""
    load = Load(args.requests, 1, rate_per_s=args.rate, cap=1 if capped else None)
    found = run(bench, peer, load, Answers(1, args.service, slots=0 if capped else 1))
    return {
        **reported(found),
        "implied": implied(found.stamps, args.rate),
        "told": len(found.told.requests),
        "served": found.served,
        "verdict": found.told.verdict,
    }


def _shown(told: Mapping[str, float] | None) -> str:
    if told is None:
        return "-"
    return f"{told['p50_s']:.2f} / {told['p99_s']:.2f} / {told['max_s']:.2f}"


def _growth(told: Mapping[str, float] | None) -> str:
    return "-" if told is None else f"{told['growth_s']:.2f}"


def _answer(row: Mapping[str, Any]) -> str:
    """Whether a figure of the tool grows as the schedule implies, to a quarter."""
    wanted = row["implied"]["growth_s"]
    found = {"from the send": row["sent"], "from the due instant": row["due"]}
    grown = [
        name
        for name, told in found.items()
        if told is not None and abs(told["growth_s"] - wanted) <= wanted / 4
    ]
    return " and ".join(grown) or "no"


_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"] + ("" if row["even"] else " (exponential gaps)"),
    "implied, s": lambda row: _shown(row["implied"]),
    "from the send, s": lambda row: _shown(row["sent"]),
    "grows by": lambda row: _growth(row["sent"]),
    "from the due instant, s": lambda row: _shown(row["due"]),
    "grows by ": lambda row: _growth(row["due"]),
    "called": lambda row: row["due_name"] or "-",
    "told of served": lambda row: f"{row['told']} of {row['served']}",
    "grows as implied": _answer,
}


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--rate", type=float, default=10.0, help="requests a second")
    parser.add_argument("--service", type=float, default=0.5, help="seconds a request")
    args = parser.parse_args()
    if args.quick:
        args.requests = 10
    rows: dict[str, list[Row]] = {"server": [], "client": []}
    with bench(args) as found:
        for peer in found.peers:
            for place, told in rows.items():
                row = attempt(
                    f"{peer.name}: one at a time at the {place}",
                    lambda: measure(found, peer, args, place == "client"),  # noqa: B023  (called at once)
                )
                told.append({"tool": peer.name, "even": peer.even, **row})
    growth = args.service - 1 / args.rate
    text = (
        f"{args.requests} requests, {args.rate:g} a second, {args.service:g} s each, one at a "
        f"time: each is due to wait {growth:g} s longer than the one before. End to end as p50 / "
        "p99 / largest.\n\n"
        f"## One slot on the server\n\n{table(_COLUMNS, rows['server'])}\n\n"
        f"## A cap of one on the client\n\n{table(_COLUMNS, rows['client'])}"
    )
    report(args, "Coordinated omission", text, rows)


if __name__ == "__main__":
    main()
