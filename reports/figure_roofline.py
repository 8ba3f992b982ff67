"""The roofline of each platform that has one, with the cells that ran on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from accelbench.harness.units import human
from accelbench.reports.drawing import DASHES, EVIDENCE, GREY, WIDTH, Drawing, axis_of, class_styles
from accelbench.reports.gates import admitted, withheld
from accelbench.reports.shown import Shown, not_drawn, valid

_AROUND = 8.0
_PLACE = ("intensity", "flops.achieved")


@dataclass(frozen=True)
class Roof:
    """Two ceilings of a sheet.

    Attributes:
        name: Platform and precision.
        peak: FLOP/s.
        bandwidth: byte/s.
    """

    name: str
    peak: float
    bandwidth: float

    @property
    def told(self) -> str:
        """Its name and ceilings."""
        ceilings = f"{human(self.peak, 'FLOP/s')}, {human(self.bandwidth, 'byte/s')}"
        return f"{self.name}: {ceilings}"

    def allows(self, intensity: float) -> float:
        """FLOP/s at an intensity in FLOP/byte (survey, eq. 14)."""
        return min(self.peak, intensity * self.bandwidth)


def draw(shown: Sequence[Shown]) -> Drawing:
    """Achieved FLOP/s over operational intensity, under the roof of the sheet.

    Raises:
        BundleError: A trace cannot be read.
    """
    known = [one for one in valid(shown) if all(one.value(name) for name in _PLACE)]
    placed, said = admitted(known, *_PLACE), withheld(known, *_PLACE)
    roofs = {one.label: roof for one in placed if (roof := _roof(one))}
    drawn = [one for one in placed if one.label in roofs]
    without = f"{_without([one for one in placed if one.label not in roofs])}{said} "
    if not drawn:
        lacks = "no valid cell ran on a platform whose sheet gives a roofline for its precision"
        return Drawing("", lacks=f"{lacks}. {without}{not_drawn(shown)}")
    caption = (
        "Lines: peak and main-memory bandwidth of the platform's sheet, min(peak, intensity x "
        "bandwidth). Points: FLOP/s of each cell over its operational intensity, bytes by the "
        "compulsory-traffic model (each operand of an operator moved once). "
        f"{without}{not_drawn(shown)}"
    )
    return Drawing(caption, _chart(drawn, roofs))


def _chart(drawn: Sequence[Shown], roofs: Mapping[str, Roof]) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    points = [_point(one) for one in drawn]
    unique = list(dict.fromkeys(roofs.values()))
    ridges = [roof.peak / roof.bandwidth for roof in unique]
    xs = [point["intensity"] for point in points] + ridges
    low, high = min(xs) / _AROUND, max(xs) * _AROUND
    corners = corners_of(unique, low, high)
    x_axis = axis_of([low, high], "operational intensity (FLOP/byte)")
    y_axis = axis_of([row["flops"] for row in (*corners, *points)], "FLOP/s")
    x, y = alt.X("intensity:Q", **x_axis), alt.Y("flops:Q", **y_axis)
    lines = roof_lines(corners, x, y)
    styles = class_styles(EVIDENCE, {one.cell.evidence: one.cell.evidence for one in drawn})
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    marks = base.mark_point(filled=True, size=100, opacity=1).encode(**styles)
    labels = base.mark_text(align="left", dx=9, dy=9, fontSize=11).encode(text="label:N")
    return alt.layer(lines, marks, labels).properties(width=WIDTH, height=320)


def corners_of(roofs: Sequence[Roof], low: float, high: float) -> list[dict[str, Any]]:
    """The points that the lines of roofs lead through.

    Args:
        roofs: Each once.
        low: Intensity at which they begin, FLOP/byte.
        high: Where they end.
    """
    return [
        {"roof": roof.told, "intensity": x, "flops": roof.allows(x)}
        for roof in roofs
        for x in sorted({low, roof.peak / roof.bandwidth, high})
    ]


def roof_lines(corners: Sequence[Mapping[str, Any]], x: Any, y: Any) -> Any:
    """The lines of roofs, each dashed in its own way and named in a legend.

    Args:
        corners: From `corners_of`.
        x: The channel of intensities.
        y: The channel of FLOP/s.
    """
    import altair as alt  # noqa: PLC0415  (an extra)

    names = list(dict.fromkeys(row["roof"] for row in corners))
    dashes = [DASHES[place % len(DASHES)] for place in range(len(names))]
    dash = alt.Scale(domain=names, range=dashes)
    return (
        alt.Chart(alt.Data(values=corners))
        .mark_line(strokeWidth=1.8, color=GREY)
        .encode(x=x, y=y, strokeDash=alt.StrokeDash("roof:N", scale=dash).legend(columns=1))
    )


def _roof(one: Shown) -> Roof | None:
    """The ceilings at the precision of the cell's traces; None if the sheet lacks one."""
    platform = one.platform
    _, seen = next(iter(one.observed()))
    precision = seen.trace.head.precision
    peak = platform.peak.get(precision) if precision else None
    bandwidth = platform.main_bandwidth
    if peak is None or bandwidth is None:
        return None
    measured = ", measured" if peak.kind == "measured" else ""
    return Roof(f"{platform.name}, {precision}{measured}", peak.value, bandwidth.value)


def _without(roofless: Sequence[Shown]) -> str:
    """Which cells have no roof over them and why, as a sentence; empty if all have."""
    reasons: dict[str, list[str]] = {}
    for one in roofless:
        bound = one.cell.measurements.get("roofline.bound")
        reason = bound.reason if bound and bound.reason else "the sheet gives no roofline"
        reasons.setdefault(reason, []).append(one.label)
    told = "; ".join(f"{', '.join(labels)} ({reason})" for reason, labels in reasons.items())
    return f"Left out: {told}. " if told else ""


def _point(one: Shown) -> dict[str, Any]:
    intensity, flops = one.value("intensity"), one.value("flops.achieved")
    assert intensity is not None
    assert flops is not None
    return {
        "label": one.label,
        "kind": one.cell.evidence,
        "intensity": intensity.value,
        "flops": flops.value,
    }
