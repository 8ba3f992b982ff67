"""Training: quality on the test split over the time of training, from the raw traces."""

import math
from collections.abc import Sequence
from typing import Any

from accelbench.harness.schema.trace import Target
from accelbench.harness.units import NS_PER_S, human
from accelbench.reports.drawing import (
    GREY,
    INK,
    WIDTH,
    Drawing,
    axis_of,
    line_styles,
    point_of,
    stacked,
)
from accelbench.reports.gates import admitted, withheld
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told, value_told

_METRIC = "train.time_to_target"


def draw(shown: Sequence[Shown]) -> Drawing:
    """The training curve of each trial with the target.

    Raises:
        BundleError: A trace cannot be read.
    """
    cells = [one for one in shown if one.cell.scenario == "train_to_target"]
    drawn = admitted(valid(cells), _METRIC)
    said = f"{withheld(valid(cells), _METRIC)} {not_drawn(cells)}"
    if not drawn:
        return Drawing("", lacks=f"there is no training cell that may be shown. {said}")
    times = [found for one in drawn if (found := one.value(_METRIC))]
    clocks = {one.cell.clock for one in drawn}
    caption = (
        "Quality on the test split at each evaluation, over "
        f"{' or '.join(f'{clock} time' for clock in sorted(clocks))} since training began "
        "(evaluations included); one line a trial, from the raw traces. Dashed: the target. On it "
        f"the mean time to target with its interval. {intervals_told(times)} {said}"
    )
    return Drawing(caption, stacked([_panel(one) for one in drawn], own_colours=True))


def _panel(one: Shown) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    rows, target = _curves(one)
    found = one.value(_METRIC)
    mark = {**point_of(found), "text": value_told(found)} if found else None
    ends = [row["seconds"] for row in rows] + ([mark["high"]] if mark else [])
    y = alt.Y("quality:Q", title=target.metric, scale=alt.Scale(zero=False, nice=True))
    axis = axis_of(ends, "time since training began", unit="s", ratio=math.inf)
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(strokeWidth=1.6)
        .encode(
            x=alt.X("seconds:Q", **axis),
            y=y,
            **line_styles([row["trial"] for row in rows], "trial"),
        )
    )
    dots = (
        alt.Chart(alt.Data(values=rows))
        .mark_point(filled=True, size=28, color=GREY, opacity=1)
        .encode(x=alt.X("seconds:Q", **axis), y=y)
    )
    level = {"quality": target.value, "text": f"target {human(target.value, '1')}"}
    base = alt.Chart(alt.Data(values=[level])).encode(y=y)
    goal = base.mark_rule(strokeDash=[5, 4])
    goal_text = base.mark_text(align="left", dx=4, dy=-8).encode(x=alt.value(0), text="text:N")
    layers = [lines, dots, goal, goal_text]
    if mark:
        reached = alt.Chart(alt.Data(values=[{**mark, "quality": target.value}])).encode(y=y)
        layers += [
            reached.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", **axis), x2="high:Q"),
            reached.mark_point(filled=True, size=70, color=INK, opacity=1).encode(
                x=alt.X("value:Q", **axis)
            ),
            reached.mark_text(dy=15).encode(x=alt.X("value:Q", **axis), text="text:N"),
        ]
    return alt.layer(*layers).properties(width=WIDTH, height=240, title=one.title)


def _curves(one: Shown) -> tuple[list[dict[str, Any]], Target]:
    rows: list[dict[str, Any]] = []
    scenario = one.bundle.campaign.cells[one.cell.cell].scenario
    assert scenario.kind == "train_to_target"
    target = Target(scenario.metric, "test", scenario.target)
    for trial, seen in one.observed():
        start = seen.trace.head.window_ns[0]
        target = seen.trace.head.target or target
        rows += [
            {"trial": trial, "seconds": (row["at_ns"] - start) / NS_PER_S, "quality": row["value"]}
            for row in seen.trace.table("evals").to_pylist()
            if (row["metric"], row["split"]) == (target.metric, target.split)
        ]
    return rows, target
