"""Where phases of workloads fall under the roofline of a sheet (the survey's Figure 3)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from accelbench.reports.drawing import (
    BLUE,
    VERMILION,
    WIDTH,
    Drawing,
    axis_of,
    class_styles,
    stacked,
)
from accelbench.reports.figure_roofline import Roof, corners_of, roof_lines

_HEIGHT = 300
_AROUND = 3.0
_ROW = 19
_APART = 15
_BOUNDS = {"compute": ("circle", BLUE), "memory": ("diamond", VERMILION)}
_CAPTION = (
    "Lines: peak and main-memory bandwidth of the sheet, min(peak, intensity x bandwidth). Points: "
    "the most that each may reach; none of them was run. Intensity: FLOPs over bytes of the "
    "operator graph, each operand of each operator moved once (nothing is fused), all elements "
    "at the precision named."
)


@dataclass(frozen=True)
class Placed:
    """A workload under a roofline.

    Attributes:
        name: What it stands for.
        told: Workload, phase, sizes and precision, as the figure says them.
        intensity: FLOP/byte.
        roof: The ceilings it is held to.
        remark: What the survey says and whether this agrees; empty where it says nothing.
    """

    name: str
    told: str
    intensity: float
    roof: Roof
    remark: str = ""

    @property
    def bound(self) -> str:
        """What holds it down: "compute" from the ridge on, "memory" before."""
        return "compute" if self.intensity * self.roof.bandwidth >= self.roof.peak else "memory"


def draw(placed: Sequence[Placed], notes: Sequence[str] = ()) -> Drawing:
    """The roofs, a numbered point for each workload on them, and what the numbers stand for.

    Args:
        placed: At least one.
        notes: Sentences for the end of the caption.
    """
    caption = " ".join((_CAPTION, *notes))
    return Drawing(caption, stacked([_roofline(placed), _key(placed)]))


def _roofline(placed: Sequence[Placed]) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    roofs = list(dict.fromkeys(one.roof for one in placed))
    xs = [one.intensity for one in placed] + [roof.peak / roof.bandwidth for roof in roofs]
    low, high = min(xs) / _AROUND, max(xs) * _AROUND
    corners = corners_of(roofs, low, high)
    x_axis = axis_of([low, high], "operational intensity (FLOP/byte)")
    ends = [row["flops"] for row in corners]
    y_axis = axis_of([min(ends) / 2, max(ends) * 2], "attainable FLOP/s")
    x, y = alt.X("intensity:Q", **x_axis), alt.Y("flops:Q", **y_axis)
    points = [_point(number, one) for number, one in enumerate(placed, 1)]
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    names = {
        bound: f"bound by {bound}" for bound in _BOUNDS if any(one.bound == bound for one in placed)
    }
    marks = base.mark_point(filled=True, size=90, opacity=1).encode(**class_styles(_BOUNDS, names))
    offsets = _offsets([one.intensity for one in placed], low, high)
    labels = [
        alt.Chart(alt.Data(values=[point]))
        .mark_text(dy=offset, fontWeight="bold")
        .encode(x=x, y=y, text="number:N")
        for point, offset in zip(points, offsets, strict=True)
    ]
    return alt.layer(roof_lines(corners, x, y), marks, *labels).properties(
        width=WIDTH, height=_HEIGHT
    )


def _key(placed: Sequence[Placed]) -> Any:
    """What each number stands for, two or three lines each."""
    import altair as alt  # noqa: PLC0415  (an extra)

    rows: list[dict[str, Any]] = []
    for number, one in enumerate(placed, 1):
        head = f"{number}  {one.name}: {figure(one.intensity)} FLOP/byte, bound by {one.bound}"
        rows.append({"line": len(rows), "text": head, "weight": "bold"})
        details = [text for text in (one.told, one.remark) if text]
        rows += [
            {"line": len(rows) + place, "text": f"    {text}", "weight": "normal"}
            for place, text in enumerate(details)
        ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("line:O", axis=None), x=alt.value(0), text="text:N"
    )
    texts = [
        base.transform_filter(f"datum.weight == '{weight}'").mark_text(
            align="left", fontSize=11, fontWeight=weight
        )
        for weight in ("bold", "normal")
    ]
    return alt.layer(*texts).properties(width=WIDTH, height=alt.Step(_ROW))


def figure(intensity: float) -> str:
    """An intensity in FLOP/byte as a person reads it."""
    return f"{intensity:,.0f}" if intensity >= 100 else f"{intensity:.3g}"  # noqa: PLR2004  (three digits)


def _point(number: int, one: Placed) -> Mapping[str, Any]:
    return {
        "number": str(number),
        "kind": f"bound by {one.bound}",
        "intensity": one.intensity,
        "flops": one.roof.allows(one.intensity),
    }


def _offsets(intensities: Sequence[float], low: float, high: float) -> list[int]:
    """How far below its point each label stands (less than 0: above), so that none hides another."""
    scale = WIDTH / math.log(high / low)
    taken: list[tuple[float, int]] = []
    found = dict.fromkeys(range(len(intensities)), 0)
    for place in sorted(found, key=lambda place: intensities[place]):
        x = scale * math.log(intensities[place] / low)
        near = {offset for other, offset in taken if abs(x - other) < _APART}
        free = (side * (_APART * step - 1) for step in count(1) for side in (-1, 1))
        found[place] = next(offset for offset in free if offset not in near)
        taken.append((x, found[place]))
    return list(found.values())
