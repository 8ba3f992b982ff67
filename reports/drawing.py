"""How figures look: shapes, colours and axes; and how a chart becomes files.

Colours are those of Okabe and Ito, which people with any colour vision can tell apart; no
colour stands without a shape or a dash.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from accelbench.harness.errors import MissingPart
from accelbench.harness.foreign import foreign
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.units import human
from accelbench.reports.wording import ENERGY_MARK, ENERGY_TOLD

WIDTH = 460
"""Width of every panel, in pixels: readable on a phone without scrolling."""

INK = "#1b1f24"
"""The one colour of text, axes and grid: on the page it becomes the page's own."""

GREY = "#7a828e"
"""Readable on white and on black."""

BLUE, VERMILION, GREEN, PURPLE, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9"
DASHES = ([1, 0], [6, 3], [2, 2], [8, 2, 2, 2], [12, 4])

EVIDENCE = {
    "measured": ("circle", BLUE),
    "emulated": ("triangle-up", PURPLE),
    "simulated": ("diamond", VERMILION),
    "datasheet": ("square", GREEN),
}
"""Shape and colour of each evidence class."""

ENERGY = {
    "metered": ("circle", BLUE),
    "estimated": ("triangle-up", PURPLE),
    "modelled": ("diamond", VERMILION),
    "declared": ("square", GREEN),
}
"""Shape and colour of each way to know an energy."""

ENERGY_NAMES = {key: f"{ENERGY_MARK[key]} ({ENERGY_TOLD[key]})" for key in ENERGY_MARK}

_EXTRA = ("altair", "jinja2", "vl_convert", "pandas")
_ROW = 44
_SHORT = 12
_LOG_FROM = 20.0
_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, SKY)

_CONFIG: Mapping[str, Any] = {
    "aria": False,
    "background": "white",
    "font": "sans-serif",
    "view": {"stroke": None},
    "title": {"color": INK, "fontSize": 13, "anchor": "start", "fontWeight": "bold"},
    "axis": {
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": INK,
        "tickColor": INK,
        "domainColor": INK,
        "gridOpacity": 0.13,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelLimit": 0,
        "titleLimit": 0,
        "labelPadding": 5,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": INK,
        "labelFontSize": 12,
        "orient": "top",
        "direction": "horizontal",
        "labelLimit": 0,
        "title": None,
        "columns": 3,
    },
    "text": {"color": INK, "fontSize": 12},
    "rule": {"color": INK},
}


@dataclass(frozen=True)
class Drawing:
    """A figure's chart, or why there is none.

    Attributes:
        caption: What is shown and how it was obtained.
        chart: The Altair chart, or None.
        lacks: What is missing, where there is no chart.
    """

    caption: str
    chart: Any = None
    lacks: str = ""


def demand_extra(what: str) -> None:
    """Sees that all that draws and writes pages is installed.

    Args:
        what: What needs it.

    Raises:
        MissingPart: The extra `report` is not installed.
    """
    missing = [module for module in _EXTRA if find_spec(module) is None]
    if missing:
        raise MissingPart(
            f"{what} needs {', '.join(missing)}", remedy='pip install "accelbench[report]"'
        )


def rendered(chart: Any, name: str) -> dict[str, bytes]:
    """A chart as bytes of SVG, PNG and PDF, by file ending.

    Raises:
        ForeignError: Altair or vl-convert refused the chart.
    """
    import vl_convert  # noqa: PLC0415  (an extra)

    with foreign("drawing a figure", where=name):
        spec = {**chart.to_dict(), "config": _CONFIG}
        svg: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        png: bytes = vl_convert.svg_to_png(svg, scale=2)
        pdf: bytes = vl_convert.svg_to_pdf(svg)
    return {"svg": svg.encode(), "png": png, "pdf": pdf}


def inlined(svg: str, name: str, title: str) -> str:
    """An SVG as a part of a page: no background, the page's ink, ids of its own, a text for ears.

    Args:
        svg: As `rendered` gives it.
        name: Unique on the page; letters, digits and dashes.
        title: What a screen reader says; must hold no markup.
    """
    svg = re.sub(r'<rect [^>]*fill="white"/>', "", svg, count=1)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'(id="|url\(#)', rf"\g<1>{name}-", svg)
    svg = svg.replace(f'"{INK}"', '"currentColor"')
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)


def axis_of(
    values: Sequence[float], title: str, *, unit: str = "", ratio: float = _LOG_FROM
) -> Any:
    """A horizontal axis for these values: logarithmic where they span more than `ratio`.

    Args:
        values: Positive and negative ones; those not above 0 do not count for a logarithm.
        title: What is on it, with the unit unless it stands at each tick.
        unit: The unit at each tick, where that is short.
        ratio: Largest over smallest value from which the axis is logarithmic.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    plain = "format(datum.value, '~s')"
    label = f"replace({plain}, regexp('([^0-9]?)$'), ' $1{unit}')" if unit else plain
    domain = span_of(values, ratio)
    if domain[0] > 0:
        scale = alt.Scale(type="log", domain=domain, nice=False)
        axis = alt.Axis(labelExpr=label, values=ticks(*domain))
    else:
        scale = alt.Scale(domain=domain, nice=False)
        axis = alt.Axis(labelExpr=label, tickCount=6)
    return {"title": title, "scale": scale, "axis": axis}


def span_of(values: Sequence[float], ratio: float = _LOG_FROM) -> tuple[float, float]:
    """The ends of an axis for these values: from 0, or from above 0 for a logarithmic one."""
    positive = [value for value in values if value > 0] or [1.0]
    if max(positive) > ratio * min(positive):
        return min(positive) / 1.6, max(positive) * 1.6
    return 0.0, max(positive) * 1.05


def ticks(low: float, high: float) -> list[float]:
    """Where a logarithmic axis has its ticks: powers of ten, or 1, 2 and 5 of each if few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    wide = last - first > 3  # noqa: PLR2004  (more decades need no ticks between)
    step = max(1, math.ceil((last - first) / 8))
    powers = range(first, last + 1, step)
    found = [factor * 10.0**power for power in powers for factor in ((1,) if wide else (1, 2, 5))]
    return [tick for tick in found if low <= tick <= high]


def line_styles(lines: Sequence[str], field: str) -> dict[str, Any]:
    """Colour and dash of each line, with a legend of one line each where names are long.

    Args:
        lines: Names of the lines, repeated or not.
        field: The field that holds the name.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    names = list(dict.fromkeys(lines))
    colours = [_COLOURS[place % len(_COLOURS)] for place in range(len(names))]
    columns = 1 if max(map(len, names)) > _SHORT else 6
    dashes = [DASHES[place % len(DASHES)] for place in range(len(names))]
    return {
        "color": alt.Color(f"{field}:N", scale=alt.Scale(domain=names, range=colours)).legend(
            columns=columns
        ),
        "strokeDash": alt.StrokeDash(f"{field}:N", scale=alt.Scale(domain=names, range=dashes)),
    }


def class_styles(styles: Mapping[str, tuple[str, str]], names: Mapping[str, str]) -> dict[str, Any]:
    """Shape and colour by the field `kind`, with one legend.

    Args:
        styles: Shape and colour of each class.
        names: What the legend says, for the classes that are there.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    domain = list(names.values())
    shapes, colours = zip(*(styles[key] for key in names), strict=True)
    return {
        "shape": alt.Shape("kind:N", scale=alt.Scale(domain=domain, range=list(shapes))),
        "color": alt.Color("kind:N", scale=alt.Scale(domain=domain, range=list(colours))),
    }


def intervals_panel(
    rows: Sequence[Mapping[str, Any]], title: str, styles: Mapping[str, Any], *, unit: str = ""
) -> Any:
    """Points with their intervals and values, one row a label.

    Args:
        rows: Each with `label`, `kind`, and what `point_of` gives.
        title: Of the horizontal axis.
        styles: From `class_styles`.
        unit: The unit at each tick, where the title has none.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    ends = [row[end] for row in rows for end in ("low", "value", "high")]
    axis, (floor, top) = axis_of(ends, title, unit=unit), span_of(ends)
    middle = math.sqrt(floor * top) if floor else top / 2
    order = [row["label"] for row in rows]
    y = alt.Y("label:N", sort=order, axis=None)
    steps = [{**row, "low": max(row["low"], floor)} for row in rows]
    base = alt.Chart(alt.Data(values=steps)).encode(y=y)
    bars = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", **axis), x2="high:Q", color=styles["color"]
    )
    points = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("value:Q", **axis), **styles
    )
    names = base.mark_text(align="left", dy=-15).encode(x=alt.value(0), text="label:N")
    left, right = (
        alt.Chart(alt.Data(values=[row for row in steps if (row["value"] < middle) is low]))
        .mark_text(align="left" if low else "right", dx=8 if low else -8)
        .encode(y=y, x=alt.X("high:Q" if low else "low:Q", **axis), text="told:N")
        for low in (True, False)
    )
    return alt.layer(bars, points, names, left, right).properties(
        width=WIDTH, height=alt.Step(_ROW)
    )


def point_of(found: Measurement) -> dict[str, Any]:
    """Value and ends of the interval (the value itself where there is none), and a short text."""
    assert found.value is not None
    low, high = (found.interval.low, found.interval.high) if found.interval else (found.value,) * 2
    return {"value": found.value, "low": low, "high": high, "told": human(found.value, found.unit)}


def stacked(panels: Sequence[Any], *, own_colours: bool = False) -> Any:
    """Panels one below the other.

    Args:
        panels: At least one.
        own_colours: Whether each has a legend of its own.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    chart = alt.vconcat(*panels, spacing=26)
    if own_colours:
        return chart.resolve_scale(color="independent", strokeDash="independent")
    return chart
