"""`accelbench show WORKLOAD`: what a preset asks of a machine, by its operator graphs."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from accelbench.cli.compose import preset
from accelbench.cli.document import print_document
from accelbench.harness.errors import ConfigError
from accelbench.harness.run import registry
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.cell import Workload
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.platform import Platform
from accelbench.harness.simulation.placement import (
    Asked,
    Place,
    asked_by,
    phases_of,
    place,
    roof_of,
)
from accelbench.harness.units import human

_FIELDS = ("name", "builder", "family", "summary", "gate")


def show_workload(name: str, args: argparse.Namespace) -> None:
    """Prints what each phase of a preset asks, and where it falls under a roofline.

    Args:
        name: Of the preset.
        args: The command line: `batch`, `tokens`, `context`, `precision`, `platform`, `json`.

    Raises:
        ConfigError: The precision is not known, or the sheet lacks it.
        MissingPart: What the builder needs is not installed.
    """
    if args.precision not in ELEMENT_BYTES:
        raise ConfigError(
            f"precision {args.precision!r} is not known",
            where="--precision",
            remedy=f"one of {', '.join(ELEMENT_BYTES)}",
        )
    workload = _workload(name)
    builder = registry.builder(workload)
    roof = roof_of(
        decode(Platform, preset("platform", args.platform), args.platform), args.precision
    )
    parameters, asked = _asked(builder, args)
    placed = [place(one, roof) for one in asked]
    document = _document(workload, builder, parameters, args, list(zip(asked, placed, strict=True)))
    if args.json:
        print_document("workload", document)
    else:
        print("\n".join(_lines(document)))


def _workload(name: str) -> Workload:
    """A preset of the group, its options apart from what all workloads have."""
    data = preset("workload", name)
    options = {key: value for key, value in data.items() if key not in _FIELDS}
    told = {key: value for key, value in data.items() if key in _FIELDS}
    return decode(Workload, {**told, "options": options}, name)


def _asked(builder: WorkloadBuilder, args: argparse.Namespace) -> tuple[int, list[Asked]]:
    found, parameters = [], 0
    for phase in phases_of(builder):
        tokens, context = args.tokens, 0
        if phase == "decode":
            tokens, context = 1, args.context or args.tokens
        elif phase == "prefill":
            context = args.context
        graph = builder.lower(phase, args.batch, tokens, context)
        parameters = max(parameters, graph.parameters)
        found.append(asked_by(graph, args.precision))
    return parameters, found


def _document(
    workload: Workload,
    builder: WorkloadBuilder,
    parameters: int,
    args: argparse.Namespace,
    rows: Sequence[tuple[Asked, Place]],
) -> dict[str, Any]:
    width = ELEMENT_BYTES[args.precision]
    layout = builder.kv(width) if isinstance(builder, Generates) else None
    document: dict[str, Any] = {
        "workload": workload.name,
        "family": workload.family,
        "summary": workload.summary,
        "precision": args.precision,
        "platform": args.platform,
        "parameters": parameters,
        "weight_bytes": parameters * width,
        "kv_bytes_per_token": None
        if layout is None
        else 2 * layout.layers * layout.kv_heads * layout.head_dim * layout.element_bytes,
        "phases": [_row(asked, found) for asked, found in rows],
    }
    if layout is None:
        document["reason"] = "it keeps no keys and values"
    return document


def _row(asked: Asked, found: Place) -> dict[str, Any]:
    return {
        **{key: value for key, value in vars(asked).items() if key != "moved"},
        "bytes": asked.moved,
        "intensity": asked.intensity,
        "roofline": vars(found),
    }


def _lines(document: Mapping[str, Any]) -> list[str]:
    kept = document["kv_bytes_per_token"]
    kv = document["reason"] if kept is None else f"keys and values {human(kept, 'byte')} a token"
    weights = f"{human(document['weight_bytes'], 'byte')} as {document['precision']}"
    lines = [
        f"{document['workload']}: {document['summary']}",
        f"{document['parameters']:,} parameters, {weights}; {kv}",
        "",
    ]
    heads = ("phase", "batch", "tokens", "context", "FLOPs", "bytes", "FLOP/byte")
    roof = (f"bound on {document['platform']}", "of peak", "at least")
    rows = [[*heads, *roof], *(_cells(row) for row in document["phases"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines += [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return lines


def _cells(row: Mapping[str, Any]) -> list[str]:
    found = row["roofline"]
    return [
        row["phase"],
        *(str(row[name]) for name in ("batch", "tokens", "context")),
        human(row["flops"], "FLOP"),
        human(row["bytes"], "byte"),
        f"{row['intensity']:.3g}",
        found["bound"],
        f"{found['share']:.1%}",
        human(found["seconds"], "s"),
    ]
