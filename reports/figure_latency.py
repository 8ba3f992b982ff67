"""Latency: how service times of single requests are distributed, from the raw traces."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from accelbench.harness.metrics.latency import e2e_service
from accelbench.harness.metrics.observation import Numbers
from accelbench.reports.drawing import INK, WIDTH, Drawing, axis_of, line_styles, point_of, stacked
from accelbench.reports.gates import admitted, withheld
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told

_MIDDLE, _TAIL = 150, 60
_PERCENTILES = {"e2e.service.p50": ("p50", 0.5), "e2e.service.p99": ("p99", 0.99)}
_LOG_FROM = 5.0


def draw(shown: Sequence[Shown]) -> Drawing:
    """The cumulative shares of each single-stream cell, one line a trial.

    Raises:
        BundleError: A trace cannot be read.
    """
    streams = [one for one in shown if one.cell.scenario == "single_stream"]
    drawn = admitted(valid(streams), *_PERCENTILES)
    said = f"{withheld(valid(streams), *_PERCENTILES)} {not_drawn(streams)}"
    if not drawn:
        return Drawing("", lacks=f"there is no single-stream cell that may be shown. {said}")
    marked = [one.value(name) for one in drawn for name in _PERCENTILES]
    caption = (
        "Share of completed requests that took at most so long, from their send to their end; "
        "one line a trial, from the raw traces. Points: p50 and p99 as the mean over trials, with "
        f"the interval. {intervals_told(found for found in marked if found)} {said}"
    )
    return Drawing(caption, stacked([_panel(one) for one in drawn], own_colours=True))


def _panel(one: Shown) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    rows: list[dict[str, Any]] = [
        {"trial": trial, "seconds": float(seconds), "share": float(share)}
        for trial, seen in one.observed()
        for seconds, share in zip(*_steps(e2e_service(seen)[seen.requests.completed]), strict=True)
    ]
    marks = [
        {**point_of(found), "name": name, "share": share}
        for metric, (name, share) in _PERCENTILES.items()
        if (found := one.value(metric))
    ]
    ends = [row["seconds"] for row in rows] + [mark["value"] for mark in marks]
    axis = axis_of(ends, "service time", unit="s", ratio=_LOG_FROM)
    y = alt.Y("share:Q", title="share of requests", axis=alt.Axis(format="%"))
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="step-after", strokeWidth=1.6, clip=True)
        .encode(
            x=alt.X("seconds:Q", **axis),
            y=y,
            **line_styles([row["trial"] for row in rows], "trial"),
        )
    )
    base = alt.Chart(alt.Data(values=marks)).encode(y=y)
    bars = base.mark_rule(strokeWidth=2.5, clip=True).encode(
        x=alt.X("low:Q", **axis), x2=alt.X2("high:Q")
    )
    points = base.mark_point(filled=True, size=60, color=INK, opacity=1).encode(
        x=alt.X("value:Q", **axis)
    )
    text = base.transform_calculate(label="datum.name + ' ' + datum.told").mark_text(
        align="left", dx=9, dy=12
    )
    text = text.encode(x=alt.X("value:Q", **axis), text="label:N")
    return (lines + bars + points + text).properties(width=WIDTH, height=220, title=one.title)


def _steps(values: Numbers) -> tuple[Numbers, Numbers]:
    """Points of the cumulative share: some all along, and every one of the slowest."""
    ordered = np.sort(values[~np.isnan(values)])
    size = ordered.size
    ranks = np.concatenate(
        [np.linspace(0, size - 1, min(size, _MIDDLE)), np.arange(max(0, size - _TAIL), size)]
    )
    chosen = np.unique(ranks.astype(np.int64))
    return ordered[chosen], (chosen + 1) / size
