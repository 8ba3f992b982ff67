"""`accelbench draw roofline`: workloads under the roofline of a sheet (the survey's Figure 3)."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accelbench.cli.demand import preset_workload
from accelbench.cli.graph_figure import GraphFigure, at_least, graph_of, rows_told, sheet_roof
from accelbench.cli.survey_cases import CASES, NEAR, REFERENCE, REGIONS, Case, agrees, out_of_order
from accelbench.harness.errors import ConfigError
from accelbench.harness.run import registry
from accelbench.harness.schema.builders import WorkloadBuilder
from accelbench.harness.schema.phases import TRAINING
from accelbench.harness.simulation.placement import (
    Asked,
    Place,
    Roof,
    asked_by,
    place,
)
from accelbench.reports import figure_placement, figure_roofline
from accelbench.reports.figure_placement import Placed


@dataclass(frozen=True)
class _Point:
    """A phase of a workload under a roof.

    Attributes:
        name: What it stands for.
        workload: The preset.
        precision: Of all elements.
        asked: What it asks.
        roof: The ceilings.
        place: Where it falls under them.
        case: Which of the survey's it is, if any.
    """

    name: str
    workload: str
    precision: str
    asked: Asked
    roof: Roof
    place: Place
    case: Case | None = None


def roofline(args: argparse.Namespace) -> GraphFigure:
    """The figure of the phases asked for, or of the survey's workloads if none is.

    Args:
        args: The command line: `workloads`, `batch`, `tokens`, `context`, `precision`, `platform`.

    Raises:
        ConfigError: A phase, a size, the precision or the sheet is wrong.
        UnknownName: There is no such preset.
        MissingPart: What a builder needs is not installed.
    """
    points = _own(args) if args.workloads else _survey(args)
    judged = args.platform == REFERENCE
    order = None if args.workloads else _order(points)
    document: dict[str, Any] = {
        "platform": args.platform,
        "points": [_row(point, judged) for point in points],
    }
    if order is not None:
        document["order"] = order
    title = f"Workloads under the roofline of {args.platform}"
    return GraphFigure(
        title, _lines(title, points, judged, order), document, partial(_drawn, args, points, order)
    )


def _own(args: argparse.Namespace) -> list[_Point]:
    precision = args.precision or "bf16"
    roof = sheet_roof(args.platform, precision)
    batch = at_least(args.batch if args.batch is not None else 1, 1, "--batch")
    tokens = at_least(args.tokens if args.tokens is not None else 512, 1, "--tokens")
    context = at_least(args.context or 0, 0, "--context")
    points = []
    for word in args.workloads:
        name, _, phase = word.partition(":")
        builder = registry.builder(preset_workload(name))
        for one in (phase,) if phase else _phases(builder, name):
            sizes = _sizes_of(builder, one, tokens, context)
            asked = _asked(builder, name, one, batch, *sizes, precision=precision)
            told = f"{name}, {one}"
            points.append(_Point(told, name, precision, asked, roof, place(asked, roof)))
    return points


def _sizes_of(builder: WorkloadBuilder, phase: str, tokens: int, context: int) -> tuple[int, int]:
    """New tokens and context of a phase, as far as it has them; a step of decoding makes one."""
    if phase == "decode":
        return 1, context or tokens
    parts = [own for own in builder.phases() if own.name in _parts(phase)]
    with_tokens, with_context = any(p.tokens for p in parts), any(p.context for p in parts)
    return tokens if with_tokens else 1, context if with_context else 0


def _survey(args: argparse.Namespace) -> list[_Point]:
    for option in ("batch", "tokens", "context"):
        if getattr(args, option) is not None:
            raise ConfigError(
                "the survey's workloads have sizes of their own",
                where=f"--{option}",
                remedy="name the workloads that are meant",
            )
    points = []
    for case in CASES:
        precision = args.precision or case.precision
        roof = sheet_roof(args.platform, precision)
        sizes = (case.batch, case.tokens, case.context)
        builder = registry.builder(preset_workload(case.workload))
        asked = _asked(builder, case.workload, case.phase, *sizes, precision=precision)
        placed = place(asked, roof)
        points.append(_Point(case.name, case.workload, precision, asked, roof, placed, case))
    return points


def _phases(builder: WorkloadBuilder, name: str) -> list[str]:
    """What a workload lowers, a training step as one."""
    found = [phase.name for phase in builder.phases()]
    if not found:
        raise ConfigError(
            "its operators are not known here",
            where=name,
            remedy="name a workload whose model is run on this machine",
        )
    served = [phase for phase in found if phase not in TRAINING]
    return [*served, "train"] if len(served) < len(found) else served


def _parts(phase: str) -> tuple[str, ...]:
    return TRAINING if phase == "train" else (phase,)


def _asked(
    builder: WorkloadBuilder,
    name: str,
    phase: str,
    batch: int,
    tokens: int,
    context: int,
    *,
    precision: str,
) -> Asked:
    """What a phase asks; of "train" the sum over the parts of a step."""
    parts = [
        asked_by(graph_of(builder, name, part, batch, tokens, context), precision)
        for part in _parts(phase)
    ]
    return Asked(
        phase=phase,
        batch=batch,
        tokens=tokens,
        context=context,
        operators=sum(part.operators for part in parts),
        calls=sum(part.calls for part in parts),
        flops=sum(part.flops for part in parts),
        moved=sum(part.moved for part in parts),
    )


def _row(point: _Point, judged: bool) -> dict[str, Any]:
    asked = point.asked
    row: dict[str, Any] = {
        "name": point.name,
        "workload": point.workload,
        "precision": point.precision,
        **{key: value for key, value in vars(asked).items() if key != "moved"},
        "bytes": asked.moved,
        "intensity": asked.intensity,
        "roofline": {**vars(point.roof), **vars(point.place)},
    }
    if point.case is not None and judged:
        row["survey"] = {
            "region": REGIONS[point.case.region],
            "agrees": _agrees(point, point.case),
        }
    return row


def _order(points: Sequence[_Point]) -> dict[str, Any]:
    cases = [point.case for point in points if point.case is not None]
    found = out_of_order(cases, [point.asked.intensity for point in points])
    return {
        "survey": "pre-training; fine-tuning and PEFT; batch; edge; real-time inference",
        "agrees": not found,
        "differs": [{"above": above, "below": below} for below, above in found],
    }


def _agrees(point: _Point, case: Case) -> bool:
    return agrees(case.region, point.asked.intensity, point.place.ridge)


def _remark(point: _Point) -> str:
    if point.case is None:
        return ""
    agreed = "agrees" if _agrees(point, point.case) else "does not agree"
    return f"survey: {REGIONS[point.case.region]}; {agreed}"


def _sizes(point: _Point) -> str:
    asked = point.asked
    tokens = "" if asked.tokens == 1 else f", {asked.tokens} tokens"
    context = f", context {asked.context}" if asked.context else ""
    return f"batch {asked.batch}{tokens}{context}, {point.precision}"


def _lines(
    title: str, points: Sequence[_Point], judged: bool, order: Mapping[str, Any] | None
) -> list[str]:
    heads = ["", "workload", "phase", "sizes", "FLOP/byte", "ridge", "bound", "of peak"]
    rows = [
        [
            point.name if point.case else "",
            point.workload,
            point.asked.phase,
            _sizes(point),
            figure_placement.figure(point.asked.intensity),
            f"{point.place.ridge:.3g}",
            point.place.bound,
            f"{point.place.share:.1%}",
            *([_remark(point)] if judged else []),
        ]
        for point in points
    ]
    table = rows_told([*heads, *([""] if judged else [])], rows)
    return [title, "", *table, *([] if order is None else ["", _order_told(order)])]


def _order_told(order: Mapping[str, Any]) -> str:
    if order["agrees"]:
        return "The order of intensities is the survey's."
    below: dict[str, list[str]] = {}
    for pair in order["differs"]:
        below.setdefault(pair["above"], []).append(pair["below"])
    told = "; ".join(f"{name} has more than {_listed(those)}" for name, those in below.items())
    return f"The order of intensities is not the survey's: {told}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _drawn(
    args: argparse.Namespace, points: Sequence[_Point], order: Mapping[str, Any] | None
) -> Any:
    placed = [
        Placed(
            name=point.name,
            told=f"{point.workload}, {point.asked.phase}, {_sizes(point)}"
            if point.case
            else _sizes(point),
            intensity=point.asked.intensity,
            roof=figure_roofline.Roof(
                _roof_name(args, point), point.roof.peak, point.roof.bandwidth
            ),
            remark=_remark(point) if args.platform == REFERENCE else "",
        )
        for point in points
    ]
    notes = []
    if order is not None:
        near = f'"Near the ridge" is taken as within a factor of {NEAR:g}. '
        notes = [(near if args.platform == REFERENCE else "") + _order_told(order)]
    return figure_placement.draw(placed, notes)


def _roof_name(args: argparse.Namespace, point: _Point) -> str:
    return args.platform if args.platform == REFERENCE else f"{args.platform}, {point.precision}"
