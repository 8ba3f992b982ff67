"""How far what a load generator tells is from what the server did.

The null server waits a stated time before the first token and between tokens, and logs when a
request had come whole and when it wrote each token. A closed loop; each request that the tool
tells of is paired with the server's by the order of their starts. The error is the tool's value
less the server's own. It holds the way to the server and back, the same for all tools.

    python benchmarks/load_generators/truth.py --peer vllm=PYTHON ... [--quick] [--json FILE]
"""

import argparse
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from interface import Load, Peer, Request
from runs import Answers, Bench, Run, attempt, bench, ms, options, report, run, table

Row = dict[str, Any]
Numbers = npt.NDArray[np.float64]
_NS = 1e-9
_NAMES = ("ttft", "itl", "e2e")


def of_server(stamps: Sequence[Sequence[int]]) -> dict[str, list[Numbers]]:
    """What the server measured of each request, seconds, by the order of coming."""
    whole = [np.asarray(entry, dtype=np.float64) * _NS for entry in stamps]
    return {
        "ttft": [entry[1:2] - entry[0] for entry in whole],
        "itl": [np.diff(entry[1:]) for entry in whole],
        "e2e": [entry[-1:] - entry[0] for entry in whole],
    }


def of_tool(requests: Sequence[Request]) -> dict[str, list[Numbers]]:
    """What the tool tells of each request, seconds, by the order of start."""
    ordered = sorted(requests, key=lambda one: one.start_s)
    return {
        "ttft": [np.array([] if one.ttft_s is None else [one.ttft_s]) for one in ordered],
        "itl": [np.asarray(one.gaps_s, dtype=np.float64) for one in ordered],
        "e2e": [np.array([one.e2e_s]) for one in ordered],
    }


def paired(ours: Sequence[Numbers], theirs: Sequence[Numbers]) -> tuple[Numbers, str]:
    """Errors of all values, of the tool less the server, and how they were paired.

    Where a tool tells another number of gaps than the server made, as it tells the mean alone or
    takes several tokens for one, the means of the request are compared.
    """
    found, means = [], 0
    for one, other in zip(ours, theirs, strict=True):
        if one.size == other.size:
            found.append(one - other)
        elif one.size and other.size:
            found.append(np.array([one.mean() - other.mean()]))
            means += 1
    how = "each value" if not means else f"means of {means / len(ours):.0%} of requests"
    return np.concatenate(found or [np.array([])]), how


def errors(found: Run) -> Row:
    """Errors by quantity: paired, else of the quantiles alone."""
    told, server = of_tool(found.told.requests), of_server(found.stamps)
    same = len(found.told.requests) == len(found.stamps)
    row: Row = {}
    for name in _NAMES:
        values = [np.concatenate(side[name]) for side in (told, server)]
        if not all(one.size for one in values):
            row[name] = {"reason": "it tells none"}
            continue
        reported = found.told.quantiles.get(name)
        truth = np.percentile(values[1], (50, 99))
        row[name] = {
            "reported_s": reported or [float(one) for one in np.percentile(values[0], (50, 99))],
            "server_s": [float(one) for one in truth],
        }
        if same:
            error, how = paired(told[name], server[name])
            quantiles = np.percentile(abs(error), (50, 99))
            row[name] |= {
                "error_s": [float(one) for one in quantiles],
                "bias_s": float(np.median(error)),
                "how": how,
            }
        else:
            apart = abs(np.asarray(row[name]["reported_s"]) - truth)
            row[name] |= {
                "error_s": [float(one) for one in apart],
                "bias_s": None,
                "how": f"quantiles alone: it tells of {len(found.told.requests)} "
                f"of {len(found.stamps)} requests",
            }
    return row


def measure(bench: Bench, peer: Peer, args: argparse.Namespace, users: int) -> Row:
    """A closed loop against the programmed server."""
    load = Load(args.requests, args.tokens, users=users)
    found = run(bench, peer, load, Answers(args.tokens, args.first, args.gap))
    return {
        **errors(found),
        "served": found.served,
        "requests_per_s": found.requests_per_s,
        "server_busy": found.server_busy,
        "verdict": found.told.verdict,
    }


def _pair(values: Sequence[float] | None) -> str:
    return "-" if values is None else " / ".join(ms(value) for value in values)


def _columns(name: str) -> Mapping[str, Callable[[Mapping[str, Any]], str]]:
    """The columns of the table of one quantity."""
    return {
        "tool": lambda row: row["tool"],
        "users": lambda row: str(row["users"]),
        "error p50 / p99, ms": lambda row: _pair(row[name].get("error_s")),
        "median with its sign, ms": lambda row: ms(row[name].get("bias_s")),
        "told p50 / p99, ms": lambda row: _pair(row[name].get("reported_s")),
        "server p50 / p99, ms": lambda row: _pair(row[name].get("server_s")),
        "compared": lambda row: row[name].get("how") or row[name]["reason"],
        "its verdict": lambda row: row["verdict"] or "-",
    }


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--requests", type=int, default=1600)
    parser.add_argument("--users", type=int, nargs="+", default=[16])
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--first", type=float, default=0.05, help="seconds to the first token")
    parser.add_argument("--gap", type=float, default=0.01, help="seconds between tokens")
    args = parser.parse_args()
    if args.quick:
        args.requests = 160
    rows = []
    with bench(args) as found:
        for users, peer in itertools.product(args.users, found.peers):
            told = attempt(
                f"{peer.name}: {users} users",
                lambda: measure(found, peer, args, users),  # noqa: B023  (called at once)
            )
            rows.append({"tool": peer.name, "users": users, **told})
    titles = ("Time to first token", "Gap between tokens", "End to end")
    told = [
        f"## {title}\n\n{table(_columns(name), rows)}"
        for title, name in zip(titles, _NAMES, strict=True)
    ]
    intro = (
        f"First token after {args.first * 1e3:g} ms, then one every {args.gap * 1e3:g} ms, "
        f"{args.tokens} of them; {args.requests} requests."
    )
    report(args, "Truth: errors against the server's own stamps", "\n\n".join([intro, *told]), rows)


if __name__ == "__main__":
    main()
