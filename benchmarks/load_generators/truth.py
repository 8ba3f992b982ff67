"""How far what a load generator tells is from what the server did, by the server's own stamps.

The null server waits before the first token and between tokens, and logs when each request had
come whole and when it wrote each token. The truth of a request is taken from these; the tool's
value less the truth is its error, which also holds the way through the loopback interface.
Requests are paired by the order of their start. Where the numbers of requests differ, p50 and p99
are compared instead.

    python benchmarks/load_generators/truth.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from interface import Load, Peer, Quantiles, Request, Told
from runs import Answers, Bench, Run, attempt, bench, ms, options, report, run, table

Row = dict[str, Any]
QUANTITIES = ("ttft", "itl", "e2e")


def errors(requests: Sequence[Request], stamps: Sequence[Sequence[int]]) -> Mapping[str, Any]:
    """Absolute errors of paired requests, seconds, one a request; of the gaps one each where told.

    Args:
        requests: As many as the server has logged.
        stamps: The server's log by the order of coming.
    """
    found: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    ordered = sorted(requests, key=lambda request: request.start_s)
    for request, entry in zip(ordered, stamps, strict=True):
        at = np.array(entry, dtype=np.float64) * 1e-9
        gaps = np.diff(at[1:])
        if request.ttft_s is not None:
            found["ttft"].append(request.ttft_s - (at[1] - at[0]))
        found["e2e"].append(request.e2e_s - (at[-1] - at[0]))
        if len(request.gaps_s) == gaps.size:
            found["itl"] += list(np.array(request.gaps_s) - gaps)
        elif request.gaps_s:
            found["itl"].append(float(np.mean(request.gaps_s) - gaps.mean()))
    return {name: np.abs(values) for name, values in found.items()}


def true_quantiles(stamps: Sequence[Sequence[int]]) -> Mapping[str, Quantiles]:
    """p50 and p99 of what the server did, seconds."""
    values: dict[str, list[int]] = {
        "ttft": [entry[1] - entry[0] for entry in stamps],
        "itl": [gap for entry in stamps for gap in np.diff(entry[1:]).tolist()],
        "e2e": [entry[-1] - entry[0] for entry in stamps],
    }
    return {name: _quantiles(np.array(of) * 1e-9) for name, of in values.items()}


def compare(bench: Bench, peer: Peer, args: argparse.Namespace) -> Row:
    """One tool."""
    load = Load(args.requests, args.tokens, users=args.users)
    answers = Answers(args.tokens, args.first_ms * 1e-3, args.gap_ms * 1e-3)
    found = run(bench, peer, load, answers)
    truth = true_quantiles(found.stamps)
    paired = len(found.told.requests) == found.served
    return {
        "paired": paired,
        "gaps": _gaps_told(found.told, args.tokens),
        "served": found.served,
        "told": len(found.told.requests),
        "server_busy": found.server_busy,
        "verdict": found.told.verdict,
        "truth": truth,
        "reported": found.told.quantiles,
        "off": _paired(found) if paired else _apart(found.told.quantiles, truth),
    }


def _gaps_told(told: Told, tokens: int) -> str:
    """Whether each gap is told or the mean of a request alone."""
    each = all(len(request.gaps_s) == tokens - 1 for request in told.requests)
    return "each" if each else "mean"


def _paired(found: Run) -> Mapping[str, Quantiles | None]:
    values = errors(found.told.requests, found.stamps)
    return {name: _quantiles(of) if len(of) else None for name, of in values.items()}


def _apart(
    told: Mapping[str, Quantiles], truth: Mapping[str, Quantiles]
) -> Mapping[str, Quantiles | None]:
    """What quantiles that are told lie off the true ones."""
    return {
        name: (abs(told[name][0] - truth[name][0]), abs(told[name][1] - truth[name][1]))
        if name in told
        else None
        for name in QUANTITIES
    }


def _quantiles(values: Any) -> Quantiles:
    p50, p99 = np.percentile(values, (50, 99))
    return float(p50), float(p99)


def _error(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _pair(row["off"][name])


def _told(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"{_pair(row['reported'].get(name), 4)} ({_pair(row['truth'][name], 4)})"


def _pair(quantiles: Quantiles | None, digits: int = 3) -> str:
    return "-" if quantiles is None else " / ".join(ms(value, digits) for value in quantiles)


_ERRORS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    "TTFT, ms": _error("ttft"),
    "ITL, ms": _error("itl"),
    "E2E, ms": _error("e2e"),
    "how": lambda row: f"{'paired' if row['paired'] else 'quantiles apart'}, gaps: {row['gaps']}",
    "its verdict": lambda row: row["verdict"] or "-",
}
_TOLD: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "tool": lambda row: row["tool"],
    **{f"{name.upper()}, ms": _told(name) for name in QUANTITIES},
}


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--first-ms", type=float, default=50)
    parser.add_argument("--gap-ms", type=float, default=10)
    args = parser.parse_args()
    if args.quick:
        args.requests = 100
    rows = []
    with bench(args) as found:
        for peer in found.peers:
            told = attempt(f"{peer.name}: truth", lambda: compare(found, peer, args))  # noqa: B023  (called at once)
            rows.append({"tool": peer.name, **told})
    what = f"{args.users} users, first token after {args.first_ms:g} ms, then one every {args.gap_ms:g} ms"
    text = (
        f"## Absolute error, p50 / p99; {what}\n\n{table(_ERRORS, rows)}\n\n"
        f"## As told, p50 / p99 (and the truth)\n\n{table(_TOLD, rows)}"
    )
    report(args, "Error against the server's own stamps", text, rows)


if __name__ == "__main__":
    main()
