"""FLOPs of operator graphs beside PyTorch's own counter, and beside closed forms.

Of each workload the graph tells the FLOPs of given shapes without weights. The model itself is run
under `torch.utils.flop_counter.FlopCounterMode` with the same shapes: small ones with their weights
and data, full-size ones on the `meta` device.

    python benchmarks/operator_graphs/agreement.py [--only NAME ...] [--json FILE]
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from closed_forms import counted_too_often, of_graph
from concrete import Counted, counted
from families import FULL, SMALL, Case, builder
from torch.utils.flop_counter import flop_registry

from accelbench.harness.errors import AccelbenchError
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.opgraph import Operator

_IN_PARTS = ("aten.scaled_dot_product_attention", "accelbench.attention_backward")
"""Operators of ours that PyTorch counts as the products they are made of."""


@dataclass(frozen=True)
class Row:
    """Both sides of one workload at one size.

    Attributes:
        case: The workload.
        phases: What was done.
        batch: Samples or sequences.
        tokens: New tokens a sequence.
        context: Tokens in the cache.
        ours: FLOPs of the graph.
        closed: FLOPs of its operators by their closed forms.
        torch: FLOPs that PyTorch's counter tells.
        uncounted: FLOPs of ours in operators that the counter does not know.
        groups: FLOPs that the counter has too many of convolutions with groups.
        zeros: FLOPs that the counter has for zeros of sparse matrices.
        note: What the reader should know of the workload.
    """

    case: str
    phases: str
    batch: int
    tokens: int
    context: int
    ours: int
    closed: int
    torch: int
    uncounted: int
    groups: int
    zeros: int
    note: str

    @property
    def left(self) -> int:
        """What no known difference explains."""
        return self.ours - self.torch - self.uncounted + self.groups + self.zeros


def compared(case: Case) -> Iterator[Row]:
    """All rows of a workload.

    Raises:
        MissingPart: Its weights or data are not on this machine.
    """
    made = builder(case.preset, case.options)
    for found in counted(case, made):
        graphs = [
            made.lower(phase, found.batch, found.tokens, found.context) for phase in found.phases
        ]
        operators = [op for graph in graphs for op in graph.operators]
        yield Row(
            case=case.name,
            phases=" + ".join(found.phases),
            batch=found.batch,
            tokens=found.tokens,
            context=found.context,
            ours=sum(graph.flops for graph in graphs),
            closed=sum(map(of_graph, graphs)),
            torch=found.total,
            uncounted=0 if case.experts else _summed(operators, _unknown),
            groups=_summed(operators, counted_too_often),
            zeros=_zeros(made, found),
            note=case.note,
        )


def _summed(operators: Sequence[Operator], one: Callable[[Operator], int]) -> int:
    return sum(op.count * one(op) for op in operators)


def _unknown(op: Operator) -> int:
    """FLOPs of an operator that PyTorch's counter has no formula for."""
    known = op.name in _IN_PARTS or any(str(packet) == op.name for packet in flop_registry)
    return 0 if known else op.flops


def _zeros(made: Any, found: Counted) -> int:
    """FLOPs of sparse products that PyTorch counts in the backward pass as if they were dense.

    A layer of a graph network multiplies its states with the sparse adjacency matrix (nodes x
    nodes); the gradient of the states is a product with its transpose.
    """
    if getattr(made, "kernel", "") != "sparse" or "train.backward" not in found.phases:
        return 0
    nodes, widths = made.shape().nodes, made.widths()[1:]
    return sum(2 * nodes * nodes * width for width in widths)


def table(rows: Sequence[Row]) -> str:
    """The rows in markdown."""
    head = list(_COLUMNS)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(told(row) for told in _COLUMNS.values())} |" for row in rows]
    return "\n".join(lines)


def _size(row: Row) -> str:
    beside = [f"{row.tokens} tokens"] * (row.tokens > 1)
    beside += [f"behind {row.context}"] * (row.context > 0)
    return ", ".join([f"batch {row.batch}", *beside])


def why(row: Row) -> str:
    """What makes the difference, in words; then what the reader should know of the workload."""
    reasons = [
        (row.uncounted, "grouped matrix products of experts, which torch does not count"),
        (
            -row.groups,
            "torch takes all channels for the filters' gradient of a grouped convolution",
        ),
        (-row.zeros, "torch counts the zeros of the sparse matrix in its backward pass"),
    ]
    told = [f"{flops:+,}: {words}" for flops, words in reasons if flops]
    told += [f"{row.left:+,}: not explained"] * (row.left != 0)
    return "; ".join([*told, *([row.note] * bool(row.note))])


_COLUMNS: Mapping[str, Callable[[Row], str]] = {
    "workload": lambda row: row.case,
    "phase": lambda row: row.phases.replace("train.", "train "),
    "size": _size,
    "ours, FLOP": lambda row: f"{row.ours:,}",
    "ours - closed forms": lambda row: f"{row.ours - row.closed:,}",
    "torch's, FLOP": lambda row: f"{row.torch:,}",
    "ours - torch's": lambda row: f"{row.ours - row.torch:,}",
    "not counted by torch": lambda row: f"{row.uncounted:,}",
    "unexplained": lambda row: f"{row.left:,}",
    "why": why,
}


def measure(cases: Sequence[Case]) -> tuple[list[Row], list[str]]:
    """Rows of all workloads, and which were left out and why."""
    rows, left_out = [], []
    for case in cases:
        print(f"{case.name} ...", file=sys.stderr, flush=True)
        try:
            with foreign("counting", where=case.name):
                rows += list(compared(case))
        except AccelbenchError as error:
            left_out.append(f"{case.name}: {error}")
    return rows, left_out


def report(rows: Sequence[Row], left_out: Sequence[str]) -> str:
    """Both tables, what they come to, and what was left out."""
    small = {case.name for case in SMALL}
    parts = [
        ("Small presets, run with their weights and data", [r for r in rows if r.case in small]),
        ("Full-size presets, on the meta device", [r for r in rows if r.case not in small]),
    ]
    shown = [f"## {title}\n\n{table(of)}" for title, of in parts if of]
    alike = sum(row.ours == row.torch for row in rows)
    explained = sum(row.ours != row.torch and row.left == 0 for row in rows)
    right = sum(row.ours == row.closed for row in rows)
    summary = (
        f"{len(rows)} comparisons: {alike} agree to the last operation, {explained} differ by what is"
        f" explained, {len(rows) - alike - explained} otherwise; {right} are what closed forms give."
    )
    missing = [f"- left out: {said}" for said in left_out]
    head = f"# FLOPs of operator graphs and of PyTorch {torch.__version__}'s counter"
    return "\n\n".join([head, summary, *shown, *(["\n".join(missing)] if missing else [])])


def main() -> None:
    """Counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[], help="names of presets")
    parser.add_argument("--json", type=Path, help="file that takes all rows")
    args = parser.parse_args()
    chosen = [case for case in (*SMALL, *FULL) if not args.only or case.preset in args.only]
    rows, left_out = measure(chosen)
    print(report(rows, left_out))
    if args.json:
        told = {
            "torch": torch.__version__,
            "rows": [{**asdict(row), "unexplained": row.left} for row in rows],
            "left_out": left_out,
        }
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
