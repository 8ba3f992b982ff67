"""The figures of `accelbench load` and `vllm bench serve` of the same vLLM server, one by one.

A server of a tiny model is started once, without a prefix cache. Both tools send it the same
prompts from the same seed, one after the other, each at its own turn first. Beside what each tool
tells stands what vLLM's definitions make of accelbench's own stamps: where a ratio goes to 1 there,
the definitions were the difference, and what is left is measuring and chance.

    python benchmarks/load_generators/same_server.py --peer vllm=PYTHON [--quick] [--json FILE]
"""

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from peers import Vllm
from runs import Bench, attempt, bench, options, report
from same_load import Asked, Load, Result, builder, run_ours, run_theirs
from same_table import LOADS, load_table

from accelbench.adapters.engines.vllm.launch import await_answer, free_port, running
from accelbench.adapters.engines.vllm.options import MODEL
from accelbench.adapters.engines.vllm.server import VllmServerAdapter, command
from accelbench.harness.schema.plain import Plain

TOOLS = ("accelbench", "vllm")
_START_S = 300.0

Row = dict[str, Any]


def turns(loads: int, repeats: int, seed: int) -> list[tuple[int, int, str]]:
    """Repeat, load and tool of each run, in order.

    In each repeat every load comes once, in a drawn order. The tool that goes first changes from
    one repeat to the next, as A B B A; which one it is in the first is drawn for each load.

    Args:
        loads: How many.
        repeats: How often each.
        seed: Of the draw.
    """
    draw = random.Random(f"{seed} turns")
    first = [draw.randrange(2) for _ in range(loads)]
    order = []
    for repeat in range(repeats):
        for load in draw.sample(range(loads), loads):
            lead = (first[load] + repeat) % 2
            order += [(repeat, load, TOOLS[lead]), (repeat, load, TOOLS[1 - lead])]
    return order


@contextmanager
def served(bench: Bench, python: Path, model: Path) -> Iterator[str]:
    """The base address of a server of the model; what it says goes to a file.

    Args:
        bench: What all runs share.
        python: Interpreter of vLLM's virtual environment.
        model: Folder of the model.
    """
    adapter = VllmServerAdapter(enable_prefix_caching=False, server_cpus=(bench.server_cpu,))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    line = [str(python), *command(adapter, model, port, seed=0)[1:]]
    first: dict[str, Plain] = {"model": MODEL, "prompt": [1], "max_tokens": 1, "ignore_eos": True}
    with (
        _output_to(bench.folder / "server.log"),
        running(line, adapter.environment(), adapter.server_cpus) as server,
    ):
        await_answer(server, f"{url}/v1/completions", first, _START_S)
        yield url


@contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """What is written to this process's standard output meanwhile goes to a file."""
    sys.stdout.flush()
    kept = os.dup(1)
    with file.open("wb") as sink:
        os.dup2(sink.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def measure(bench: Bench, python: Path, loads: Sequence[Load], args: argparse.Namespace) -> Row:
    """Every run, by kind of load, tool and repeat; one of accelbench comes before and is dropped."""
    made = builder(args.prompt_tokens, args.output_tokens)
    model = made.export(bench.folder / "model")
    found: dict[str, dict[str, list[Any]]] = {
        load.kind: {tool: [None] * args.repeats for tool in TOOLS} for load in loads
    }
    with served(bench, python, model) as url:
        asked = Asked(loads[0], args.seed, url, made, model)
        attempt("warm-up", lambda: vars(run_ours(bench, asked)))
        for repeat, number, tool in turns(len(loads), args.repeats, args.seed):
            this = replace(asked, load=loads[number], seed=args.seed + repeat)
            told = f"repeat {repeat + 1}: {tool}: {this.load.kind}"
            found[this.load.kind][tool][repeat] = attempt(
                told,
                lambda: vars(_run(bench, tool, this, python)),  # noqa: B023  (called at once)
            )
    return found


def _run(bench: Bench, tool: str, asked: Asked, python: Path) -> Result:
    return run_ours(bench, asked) if tool == "accelbench" else run_theirs(bench, asked, python)


def main() -> None:
    """Measures and reports."""
    parser = options(__doc__)
    parser.add_argument("--repeats", type=int, help="5, or 1 with --quick; each has its own seed")
    parser.add_argument("--requests", type=int, default=40)
    parser.add_argument("--users", type=int, default=4, help="of the closed loop")
    parser.add_argument("--rate", type=float, default=8, help="requests a second, open loop")
    parser.add_argument("--prompt-tokens", type=int, default=64, help="on average")
    parser.add_argument("--output-tokens", type=int, default=24, help="on average")
    parser.add_argument("--seed", type=int, default=1, help="of the first repeat, and the order")
    args = parser.parse_args()
    if args.quick:
        args.requests = 20
    if args.repeats is None:
        args.repeats = 1 if args.quick else 5
    loads = [
        Load("closed", args.requests, users=args.users),
        *(Load(kind, args.requests, rate_per_s=args.rate) for kind in ("open", "replay")),
    ]
    with bench(args) as found:
        pythons = [peer.python for peer in found.peers if isinstance(peer, Vllm)]
        if not pythons:
            sys.exit("--peer vllm=PYTHON is needed: the server is vLLM's")
        runs = measure(found, pythons[0], loads, args)
    text = "\n\n".join(
        f"## {LOADS[load.kind].format(load=load)}\n\n{load_table(load.kind, runs[load.kind])}"
        for load in loads
    )
    what = (
        f"prompts of {args.prompt_tokens} and answers of {args.output_tokens} tokens on average,"
        f" both from half to one and a half of that; greedy, end of text ignored;"
        f" {args.repeats} repeats, each with a seed of its own"
    )
    title = "The same vLLM server, accelbench beside `vllm bench serve`"
    report(args, title, f"{what}\n\n{text}", runs)


if __name__ == "__main__":
    main()
