"""Whether a load generator tells the waiting that it causes or meets: coordinated omission.

Ten requests a second are offered to a server that takes half a second for each and serves one at a
time, so that each request ends 0.4 s later after its due instant than the one before. Once the
requests wait in the server, and once in the client, which is told to have one on its way at most.

    python benchmarks/load_generators/omission.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from interface import Load, Peer, Request
from runs import Answers, Bench, attempt, bench, options, report, run, table

Row = dict[str, Any]


def growth_s(values: Sequence[float]) -> float:
    """By how much a latency grows from one request to the next, least squares, seconds."""
    return float(np.polyfit(np.arange(len(values)), values, 1)[0])


def latencies(requests: Sequence[Request]) -> Mapping[str, Any]:
    """Latencies in the order of their start: from the send, and from the due instant where told."""
    ordered = sorted(requests, key=lambda request: request.start_s)
    due = [request.due_e2e_s for request in ordered if request.due_e2e_s is not None]
    return {
        "send": [request.e2e_s for request in ordered],
        "due": due if len(due) == len(ordered) else None,
    }


def measure(bench: Bench, peer: Peer, cap: int | None, args: argparse.Namespace) -> Row:
    """One tool, with or without a cap in the client."""
    load = Load(args.requests, args.tokens, rate_per_s=args.rate, cap=cap)
    found = run(bench, peer, load, Answers(args.tokens, args.service, slots=1))
    told = found.told
    told_of = latencies(told.requests)
    named = {"send": "e2e", "due": "due_e2e"}
    rows = {
        name: None
        if told_of[name] is None or (name == "due" and not told.due_name)
        else {
            "quantiles_s": told.quantiles.get(of),
            "max_s": max(told_of[name]),
            "growth_s": growth_s(told_of[name]),
        }
        for name, of in named.items()
    }
    return {
        **rows,
        "ttft_s": told.quantiles.get("ttft"),
        "due_ttft_s": told.quantiles.get("due_ttft"),
        "due_name": told.due_name,
        "schedule_delay_s": told.schedule_delay_s,
        "served": found.served,
        "told": len(told.requests),
        "verdict": told.verdict,
    }


def implied(requests: int, service_s: float, rate_per_s: float) -> Row:
    """What the schedule implies of a server with one slot."""
    values = service_s + (service_s - 1 / rate_per_s) * np.arange(requests)
    p50, p99 = np.percentile(values, (50, 99))
    quantiles = (float(p50), float(p99))
    told = {"quantiles_s": quantiles, "max_s": values[-1], "growth_s": growth_s(list(values))}
    return {"tool": "(the schedule)", "send": None, "due": told, "due_name": "", "served": requests}


def _latency(name: str) -> Callable[[Mapping[str, Any]], str]:
    def show(row: Mapping[str, Any]) -> str:
        of = row[name]
        if of is None:
            return "-"
        parts = [*(of["quantiles_s"] or ()), of["max_s"]]
        return f"{' / '.join(f'{value:.2f}' for value in parts)}, grows by {of['growth_s']:+.2f}"

    return show


def _ttft(row: Mapping[str, Any]) -> str:
    names = {"ttft_s": "send", "due_ttft_s": "due"}
    parts = [
        f"{row[key][0]:.2f} / {row[key][1]:.2f} from the {told}"
        for key, told in names.items()
        if row.get(key)
    ]
    return "; ".join(parts) or "-"


def _delay(row: Mapping[str, Any]) -> str:
    delay = row.get("schedule_delay_s")
    return "-" if delay is None else f"{delay[0]:.2f} / {delay[1]:.2f}"


_COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    "E2E from the send: p50 / p99 / max, s": _latency("send"),
    "E2E from the due instant: p50 / p99 / max, s": _latency("due"),
    "which it calls": lambda row: row["due_name"] or "-",
    "TTFT p50 / p99, s": _ttft,
    "its schedule delay p50 / p99, s": _delay,
    "served": lambda row: str(row["served"]),
}


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=30)
    parser.add_argument("--rate", type=float, default=10, help="requests a second")
    parser.add_argument("--service", type=float, default=0.5, help="seconds of a request")
    parser.add_argument("--tokens", type=int, default=2, help="inference-perf has no TTFT of one")
    args = parser.parse_args()
    if args.quick:
        args.requests = 10
    rows: dict[str, list[Row]] = {}
    with bench(args) as found:
        for where, cap in (("server", None), ("client", 1)):
            rows[where] = [implied(args.requests, args.service, args.rate)]
            for peer in found.peers:
                told = attempt(
                    f"{peer.name}: waiting in the {where}",
                    lambda: measure(found, peer, cap, args),  # noqa: B023  (called at once)
                )
                rows[where].append({"tool": peer.name, **told})
    text = "\n\n".join(
        f"## Requests wait in the {where}\n\n{table(_COLUMNS, of)}" for where, of in rows.items()
    )
    what = (
        f"{args.requests} requests, {args.rate:g} a second, {args.service:g} s of service, one slot"
    )
    report(args, f"Coordinated omission: {what}", text, rows)


if __name__ == "__main__":
    main()
