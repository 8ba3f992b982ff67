"""Throughput of each cell, and what batching gains."""

from collections.abc import Sequence
from typing import Any

from accelbench.harness.metrics.derived import Derived
from accelbench.reports.drawing import (
    EVIDENCE,
    GREY,
    WIDTH,
    Drawing,
    class_styles,
    intervals_panel,
    line_styles,
    point_of,
    stacked,
)
from accelbench.reports.gates import ranking, rejected, withheld
from accelbench.reports.headline import generates
from accelbench.reports.shown import Shown, not_drawn, over_cells, valid
from accelbench.reports.wording import intervals_told

_PANELS = {
    "tp.samples": "samples a second (sample/s)",
    "train.samples_per_s": "samples a second in training steps (sample/s)",
    "tp.decode": "generated tokens a second while decoding (token/s)",
    "tp.system": "generated tokens a second of all requests together (token/s)",
}

_BATCHING, _SWEPT = "batch.efficiency", "tp.samples"


def draw(shown: Sequence[Shown]) -> Drawing:
    """Samples or tokens a second of each cell, measured and simulated told apart by shape."""
    known = [one for one in valid(shown) if one.value(_metric(one))]
    ranked = ranking(known, _PANELS, _metric)
    said, drawn = f"{ranked.said} {not_drawn(shown)}", ranked.cells
    if not drawn:
        return Drawing("", lacks=f"no cell has a throughput that may be shown. {said}")
    styles = class_styles(EVIDENCE, {one.cell.evidence: one.cell.evidence for one in drawn})
    panels = [
        intervals_panel([_row(one, metric) for one in group], title, styles)
        for metric, title in _PANELS.items()
        for group in ranked.groups[metric]
    ]
    found = [measured for one in drawn if (measured := one.value(_metric(one)))]
    caption = (
        "Mean over trials, with the interval where it is wider than the point. Shape and colour "
        f"tell the evidence class. {intervals_told(found)} {said}"
    )
    return Drawing(caption, stacked(panels))


def draw_batching(shown: Sequence[Shown]) -> Drawing:
    """Batching efficiency over the batch size, a line for each sweep."""
    import altair as alt  # noqa: PLC0415  (an extra)

    sweeps = [(cells, item) for cells, item in over_cells(shown) if item.name == _BATCHING]
    said = withheld([one for cells, _ in sweeps for one in cells], _SWEPT)
    rows = [
        row
        for cells, item in sweeps
        if not any(rejected(one, _SWEPT) for one in cells)
        for row in _efficiencies(cells, item)
    ]
    if not rows:
        lacks = "no batch size is swept with a valid cell at batch size 1 that may be shown"
        return Drawing("", lacks=f"{lacks}. {said}")
    x = alt.X("batch:Q", title="batch size (samples)", scale=alt.Scale(type="log", base=2))
    x = x.axis(values=sorted({row["batch"] for row in rows}))
    top = max(1.0, *(row["high"] for row in rows)) * 1.1
    y = alt.Y("value:Q", title="batching efficiency (1 = ideal)", scale=alt.Scale(domain=[0, top]))
    base = alt.Chart(alt.Data(values=rows)).encode(x=x, y=y)
    lines = base.mark_line().encode(**line_styles([row["sweep"] for row in rows], "sweep"))
    spans = base.mark_rule(color=GREY).encode(y="low:Q", y2="high:Q")
    points = base.mark_point(filled=True, size=60, color=GREY, opacity=1)
    text = base.mark_text(align="left", dx=8, dy=-9).encode(text="told:N")
    ideal = alt.Chart(alt.Data(values=[{"value": 1}])).mark_rule(strokeDash=[5, 4]).encode(y=y)
    chart = (ideal + lines + spans + points + text).properties(width=WIDTH, height=220)
    caption = (
        "Throughput at a batch size over that many times the throughput at batch size 1, over "
        f"{'; '.join(dict.fromkeys(row['sweep'] for row in rows))}. A ratio of means over trials. "
        "Dashed: the ideal, a whole batch in the time of one sample. "
        f"{intervals_told(item.measurements[name] for _, item in sweeps for name in item.measurements)}"
        f" {said}"
    )
    return Drawing(caption, chart)


def _metric(one: Shown) -> str:
    if one.cell.scenario == "train_to_target":
        return "train.samples_per_s"
    if generates(one.cell):
        return "tp.decode" if one.value("tp.decode") else "tp.system"
    return "tp.samples"


def _row(one: Shown, metric: str) -> dict[str, Any]:
    found = one.value(metric)
    assert found is not None
    return {"label": one.label, "kind": one.cell.evidence, **point_of(found)}


def _efficiencies(cells: Sequence[Shown], item: Derived) -> list[dict[str, Any]]:
    return [
        {
            "batch": int(name.rpartition(".")[2]),
            **point_of(found),
            "sweep": ", ".join(one.label for one in cells),
        }
        for name, found in item.measurements.items()
        if found.value is not None
    ]
