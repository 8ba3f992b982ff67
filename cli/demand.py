"""`accelbench show WORKLOAD`: what a preset asks of a machine, by its operator graphs."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from accelbench.cli.compose import preset
from accelbench.cli.document import print_document
from accelbench.cli.graph_figure import at_least, graph_of, rows_told, sheet_roof
from accelbench.harness.errors import ConfigError
from accelbench.harness.run import registry
from accelbench.harness.schema.builders import Generates, WorkloadBuilder
from accelbench.harness.schema.cell import Workload
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.opgraph import ELEMENT_BYTES
from accelbench.harness.schema.phases import Phase
from accelbench.harness.simulation.placement import Asked, Place, asked_by, place
from accelbench.harness.units import human

_FIELDS = ("name", "builder", "family", "summary", "gate")
_TOKENS = 512
"""New tokens a sequence where the command line does not say."""


def show_workload(name: str, args: argparse.Namespace) -> None:
    """Prints what each phase of a preset asks, and where it falls under a roofline.

    Args:
        name: Of the preset.
        args: The command line: `batch`, `tokens`, `context`, `precision`, `platform`, `json`.

    Raises:
        ConfigError: The precision is not known, or the sheet lacks it; a size is wrong, or none of
            the workload's; its operators are not known here.
        MissingPart: What the builder needs is not installed.
    """
    workload = preset_workload(name)
    builder = registry.builder(workload)
    roof = sheet_roof(args.platform, args.precision)
    phases = _phases(builder, name, args)
    parameters, asked = _asked(builder, name, phases, args)
    rows = [_row(phase, one, place(one, roof)) for phase, one in zip(phases, asked, strict=True)]
    document = _document(workload, builder, parameters, args, rows)
    if args.json:
        print_document("workload", document)
    else:
        print("\n".join(_lines(document)))


def preset_workload(name: str) -> Workload:
    """A preset of the group, its options apart from what all workloads have.

    Raises:
        UnknownName: There is no such preset.
    """
    data = preset("workload", name)
    options = {key: value for key, value in data.items() if key not in _FIELDS}
    told = {key: value for key, value in data.items() if key in _FIELDS}
    return decode(Workload, {**told, "options": options}, name)


def _phases(builder: WorkloadBuilder, name: str, args: argparse.Namespace) -> Sequence[Phase]:
    """All that it lowers; the command line asks for no size that none of them has."""
    phases = builder.phases()
    if not phases:
        raise ConfigError(
            "its operators are not known here",
            where=name,
            remedy="show a workload whose model is run on this machine",
        )
    for size in ("tokens", "context"):
        if getattr(args, size) is not None and not any(getattr(own, size) for own in phases):
            raise ConfigError(
                f"does not apply: {name} depends on no {size}",
                where=f"--{size}",
                remedy="leave it out",
            )
    return phases


def _asked(
    builder: WorkloadBuilder, name: str, phases: Sequence[Phase], args: argparse.Namespace
) -> tuple[int, list[Asked]]:
    """Parameters of the model, and what each phase asks for."""
    batch = at_least(args.batch, 1, "--batch")
    tokens = at_least(_TOKENS if args.tokens is None else args.tokens, 1, "--tokens")
    context = at_least(args.context or 0, 0, "--context")
    found, parameters = [], 0
    for phase in phases:
        new, before = tokens if phase.tokens else 1, context if phase.context else 0
        if phase.name == "decode":
            new, before = 1, context or tokens
        graph = graph_of(builder, name, phase.name, batch, new, before)
        parameters = max(parameters, graph.parameters)
        found.append(asked_by(graph, args.precision))
    return parameters, found


def _document(
    workload: Workload,
    builder: WorkloadBuilder,
    parameters: int,
    args: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
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
        "phases": list(rows),
    }
    if layout is None:
        document["reason"] = "it keeps no keys and values"
    return document


def _row(phase: Phase, asked: Asked, found: Place) -> dict[str, Any]:
    absent = [size for size in ("tokens", "context") if not getattr(phase, size)]
    row = {
        **{key: value for key, value in vars(asked).items() if key != "moved"},
        **dict.fromkeys(absent),
        "bytes": asked.moved,
        "intensity": asked.intensity,
        "roofline": vars(found),
    }
    return row | ({"reason": f"it depends on no {' and no '.join(absent)}"} if absent else {})


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
    return lines + rows_told([*heads, *roof], [_cells(row) for row in document["phases"]])


def _cells(row: Mapping[str, Any]) -> list[str]:
    found = row["roofline"]
    return [
        row["phase"],
        *("-" if row[name] is None else str(row[name]) for name in ("batch", "tokens", "context")),
        human(row["flops"], "FLOP"),
        human(row["bytes"], "byte"),
        f"{row['intensity']:.3g}",
        found["bound"],
        f"{found['share']:.1%}",
        human(found["seconds"], "s"),
    ]
