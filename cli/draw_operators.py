"""`accelbench draw operators`: time by kind of operator over the length (the survey's Figure 23)."""

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from accelbench.cli.demand import preset_workload
from accelbench.cli.graph_figure import GraphFigure, at_least, graph_of, rows_told, sheet_roof
from accelbench.harness.errors import ConfigError
from accelbench.harness.metrics.kv_layout import kv_bytes
from accelbench.harness.run import registry
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.simulation.classes import CLASSES, class_costs
from accelbench.harness.units import human
from accelbench.reports import figure_kernels
from accelbench.reports.figure_kernels import Costs

PHASES = ("prefill", "decode", "forward")
"""Phases of inference; how a training step splits by kind is not told."""


def operators(args: argparse.Namespace) -> GraphFigure:
    """The figure of one workload.

    Args:
        args: The command line: `workload`, `lengths`, `phase`, `batch`, `precision`, `platform`.

    Raises:
        ConfigError: A phase, a length, the precision or the sheet is wrong, or the workload
            does not depend on the length.
        UnknownName: There is no such preset.
        MissingPart: What the builder needs is not installed.
    """
    precision = args.precision or "bf16"
    roof = sheet_roof(args.platform, precision)
    batch = at_least(args.batch if args.batch is not None else 1, 1, "--batch")
    builder = registry.builder(preset_workload(args.workload))
    lengths = _lengths(args.lengths or _usual(builder))
    phases = _phases(builder, args.workload, args.phase)
    costs = []
    for phase in phases:
        for length in lengths:
            tokens, context = (1, length) if phase == "decode" else (length, 0)
            graph = graph_of(builder, args.workload, phase, batch, tokens, context)
            costs.append(Costs(phase, length, class_costs(graph, roof, precision)))
    kept = _kept(builder, precision, batch, lengths)
    longest = _longest(builder)
    notes = _notes(args.workload, longest, lengths)
    title = (
        f"{args.workload}, batch {batch}, {precision}: time by kind of operator on {args.platform}"
    )
    document = {
        "workload": args.workload,
        "batch": batch,
        "precision": precision,
        "platform": args.platform,
        "roofline": vars(roof),
        "longest": longest,
        "classes": dict(CLASSES),
        "rows": [_row(one, kept) for one in costs],
    }
    return GraphFigure(
        title,
        _lines(title, costs, kept, notes),
        document,
        partial(figure_kernels.draw, costs, notes),
    )


def _usual(builder: WorkloadBuilder) -> str:
    return "128,512,2048,8192,32768" if isinstance(builder, Generates) else "32,64,128,256,512"


def _lengths(words: str) -> list[int]:
    try:
        found = sorted({int(word) for word in words.split(",")})
    except ValueError as error:
        raise ConfigError(
            f"{words!r} is no list of whole numbers",
            where="--lengths",
            remedy="write it like 128,512,2048",
        ) from error
    return [at_least(length, 1, "--lengths") for length in found]


def _phases(builder: WorkloadBuilder, name: str, asked: str | None) -> list[str]:
    """The phases of inference that depend on a length, or the one asked for."""
    known = [
        phase.name
        for phase in builder.phases()
        if phase.name in PHASES and (phase.tokens or phase.context)
    ]
    if not known:
        raise ConfigError(
            "nothing that it computes depends on a length",
            where=name,
            remedy="choose a workload that takes tokens, or draw its roofline",
        )
    if asked is None:
        return known
    if asked not in known:
        raise ConfigError(
            f"it has no phase of inference {asked!r}",
            where="--phase",
            remedy=f"one of {', '.join(known)}",
        )
    return [asked]


def _kept(
    builder: WorkloadBuilder, precision: str, batch: int, lengths: Sequence[int]
) -> Mapping[int, float]:
    """Bytes of keys and values of all sequences by length; empty for a model that keeps none."""
    layout = builder.kv(ELEMENT_BYTES[precision]) if isinstance(builder, Generates) else None
    if layout is None:
        return {}
    return {length: batch * float(kv_bytes(layout, length)) for length in lengths}


def _row(one: Costs, kept: Mapping[int, float]) -> dict[str, Any]:
    return {
        "phase": one.phase,
        "length": one.length,
        "seconds": one.seconds,
        "kv_bytes": kept.get(one.length),
        **({} if kept else {"reason": "it keeps no keys and values"}),
        "classes": [
            {
                "class": kind.name,
                "calls": kind.calls,
                "flops": kind.flops,
                "bytes": kind.moved,
                "seconds": kind.seconds,
                "share": kind.seconds / one.seconds,
                "bound": kind.bound,
                "bound_seconds": dict(kind.bounds),
            }
            for kind in one.classes
        ],
    }


def _longest(builder: WorkloadBuilder) -> int | None:
    """The longest context that the model is made for, where its geometry tells."""
    context = builder.geometry().get("context")
    longest = context.get("longest") if isinstance(context, Mapping) else None
    return longest if isinstance(longest, int) else None


def _notes(name: str, longest: int | None, lengths: Sequence[int]) -> list[str]:
    if longest is None or max(lengths) <= longest:
        return []
    return [f"{name} is made for {longest:,} tokens; beyond these the figure extrapolates it."]


def _lines(
    title: str, costs: Sequence[Costs], kept: Mapping[int, float], notes: Sequence[str]
) -> list[str]:
    names = [
        name for name in CLASSES if any(kind.name == name for one in costs for kind in one.classes)
    ]
    rows = []
    for one in costs:
        shares = {
            kind.name: f"{kind.seconds / one.seconds:.1%} {'C' if kind.bound == 'compute' else 'M'}"
            for kind in one.classes
        }
        memory = [human(kept[one.length], "byte")] if kept else []
        rows.append(
            [
                one.phase,
                f"{one.length:,}",
                human(one.seconds, "s"),
                *(shares.get(name, "") for name in names),
                *memory,
            ]
        )
    heads = ["phase", "length", "a call", *names, *(["keys and values"] if kept else [])]
    letters = "C: most of its time is bound by compute; M: by memory."
    return [title, "", *rows_told(heads, rows), "", letters, *notes]
