"""Time by kernel of a language model over the length of its sequence (the survey's Figure 23)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.harness.simulation.classes import CLASSES, ClassCost
from accelbench.reports.drawing import (
    BLUE,
    DASHES,
    GREEN,
    GREY,
    INK,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    Drawing,
    axis_of,
    stacked,
)

_ORANGE = "#e69f00"
_COLOURS = dict(zip(CLASSES, (VERMILION, BLUE, SKY, PURPLE, GREEN, _ORANGE, GREY), strict=True))
_DASHES = dict(zip(CLASSES, (*DASHES, [1, 2], [10, 2, 2, 2]), strict=True))
_SHAPES = {"compute": "circle", "memory": "diamond"}
_TOLD_FROM = 0.075
_BAR = 24
_CAPTION = (
    "A model, no measurement: each operator takes the longer of FLOPs / peak and bytes / bandwidth "
    "(eq. 14), one after another; nothing is fused, attention is one kernel that keeps its scores "
    "on chip, and a launch takes no time. Bars: share of the time, kinds in the order of the "
    "legend. Lines: seconds of a call; a circle where most of the time is bound by compute, a "
    "diamond where by memory."
)


@dataclass(frozen=True)
class Costs:
    """A phase at one length.

    Attributes:
        phase: As `WorkloadBuilder.lower` names it.
        length: Tokens of the prompt, or of the context of a decode step.
        classes: What each kind of operator costs, in the order of `CLASSES`.
    """

    phase: str
    length: int
    classes: tuple[ClassCost, ...]

    @property
    def seconds(self) -> float:
        """Time of a call."""
        return sum(one.seconds for one in self.classes)


def draw(costs: Sequence[Costs], notes: Sequence[str] = ()) -> Drawing:
    """For each phase shares of the time, and times, over the length.

    Args:
        costs: At least one of each phase; phases in the order of the panels.
        notes: Sentences for the end of the caption.
    """
    panels = []
    for phase in dict.fromkeys(one.phase for one in costs):
        own = [one for one in costs if one.phase == phase]
        panels += [_shares(phase, own), _times(phase, own)]
    return Drawing(" ".join((_CAPTION, *notes)), stacked(panels))


def _shares(phase: str, costs: Sequence[Costs]) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    rows, order = [], [f"{one.length:,}" for one in costs]
    for one in costs:
        begin = 0.0
        for kind in one.classes:
            share = kind.seconds / one.seconds
            rows.append(
                {
                    "length": f"{one.length:,}",
                    "class": kind.name,
                    "begin": begin,
                    "end": begin + share,
                    "middle": begin + share / 2,
                    "told": f"{share:.0%}" if share >= _TOLD_FROM else "",
                }
            )
            begin += share
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("length:N", sort=order, title=_title(phase))
    )
    x = {
        "title": f"{phase}: share of the time",
        "scale": alt.Scale(domain=[0, 1], nice=False),
        "axis": alt.Axis(format=".0%", tickCount=5),
    }
    bars = base.mark_bar(height=_BAR - 5, stroke="white", strokeWidth=1).encode(
        x=alt.X("begin:Q", **x), x2="end:Q", color=_colour()
    )
    texts = base.mark_text(color="#000000", fontSize=11).encode(
        x=alt.X("middle:Q", **x), text="told:N"
    )
    return alt.layer(bars, texts).properties(width=WIDTH, height=alt.Step(_BAR))


def _times(phase: str, costs: Sequence[Costs]) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    rows: list[dict[str, Any]] = [
        {
            "length": one.length,
            "class": kind.name,
            "seconds": kind.seconds,
            "bound": "compute" if kind.bound == "compute" else "memory",
        }
        for one in costs
        for kind in one.classes
    ]
    x_axis = axis_of([one.length for one in costs], _title(phase), ratio=4.0)
    y_axis = axis_of([row["seconds"] for row in rows], f"{phase}: seconds a call", unit="s")
    shown = [bound for bound in _SHAPES if any(row["bound"] == bound for row in rows)]
    shapes = alt.Scale(domain=shown, range=[_SHAPES[bound] for bound in shown])
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("length:Q", **x_axis), y=alt.Y("seconds:Q", **y_axis), color=_colour()
    )
    dashes = alt.Scale(domain=list(CLASSES), range=list(_DASHES.values()))
    lines = base.mark_line(strokeWidth=1.8).encode(
        strokeDash=alt.StrokeDash("class:N", scale=dashes)
    )
    points = base.mark_point(filled=True, size=55, opacity=1).encode(
        shape=alt.Shape(
            "bound:N", scale=shapes, legend=alt.Legend(symbolFillColor=INK, symbolStrokeColor=INK)
        )
    )
    return alt.layer(lines, points).properties(width=WIDTH, height=240)


def _title(phase: str) -> str:
    return "tokens of the context" if phase == "decode" else "tokens of the prompt"


def _colour() -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    scale = alt.Scale(domain=list(CLASSES), range=list(_COLOURS.values()))
    return alt.Color("class:N", scale=scale, legend=alt.Legend(columns=4))
