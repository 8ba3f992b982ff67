"""A long trial over time: throughput, and beneath it resident memory and use of keys and values."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from accelbench.harness.metrics.drift import SHORTEST_S, done_in_parts
from accelbench.harness.metrics.memory_growth import resident
from accelbench.harness.metrics.observation import Observation
from accelbench.harness.units import NS_PER_S
from accelbench.reports.drawing import BLUE, GREEN, VERMILION, WIDTH, Drawing, axis_of, stacked
from accelbench.reports.gates import admitted, withheld
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told, value_told

_MOST_PARTS = 60
_EACH = 10
"""Completions that a part should hold, lest its rate be mostly chance."""

_RATES = ("tp.samples", "tp.system", "tp.requests")
_DRIFT, _GROWTH = "throughput.drift", "memory.growth"

Row = dict[str, Any]


def draw(shown: Sequence[Shown]) -> Drawing:
    """What was done and held in the window of the first trial of each long cell.

    Raises:
        BundleError: A trace cannot be read.
    """
    known = [one for one in valid(shown) if one.value(_GROWTH) and one.value(_DRIFT)]
    drawn, said = admitted(known, *_RATES, _GROWTH), withheld(known, *_RATES, _GROWTH)
    if not drawn:
        lacks = f"no valid cell was watched in a window of {SHORTEST_S:g} s or longer"
        return Drawing("", lacks=f"{lacks} that may be shown. {said} {not_drawn(shown)}")
    found = [one.value(name) for one in drawn for name in (_DRIFT, _GROWTH)]
    caption = (
        "Time since the window opened, of the first trial, from the raw trace. Throughput: what was "
        f"done in each of up to {_MOST_PARTS} equal parts of the window. Resident memory: of the "
        "engine's processes, read once a second; pages that they share count in each. Keys and "
        "values: the largest share in use that was read in each part, where the engine tells it. "
        f"Drift and growth are means over trials. {intervals_told(one for one in found if one)} "
        f"{said} {not_drawn(shown)}"
    )
    return Drawing(caption, stacked([panel for one in drawn for panel in _panels(one)]))


def _panels(one: Shown) -> list[Any]:
    """Throughput, memory and, if it is told, use of keys and values of a cell."""
    _, seen = next(iter(one.observed()))
    rates, counted = _rates(seen)
    drift, growth = one.value(_DRIFT), one.value(_GROWTH)
    assert drift is not None
    assert growth is not None
    axis = axis_of([seen.length_s], "time since the window opened", unit="s", ratio=float("inf"))
    panels = [
        _panel(rates, f"{counted}s a second", VERMILION, axis, f"drift {value_told(drift)}"),
        _panel(_memory(seen), "memory (Mbyte)", BLUE, axis, f"growth {value_told(growth)}"),
    ]
    usage = _usage(seen)
    if usage:
        panels.append(_panel(usage, "keys and values (share)", GREEN, axis, ""))
    panels[0] = panels[0].properties(title=one.title)
    return panels


def _panel(rows: Sequence[Row], title: str, colour: str, axis: Any, text: str) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    top = max(row["value"] for row in rows) * 1.25 or 1.0
    y = alt.Y("value:Q", title=title, scale=alt.Scale(domain=[0, top], nice=False))
    y = y.axis(tickCount=4)
    line = (
        alt.Chart(alt.Data(values=list(rows)))
        .mark_line(interpolate="step-after", strokeWidth=1.6, color=colour)
        .encode(x=alt.X("seconds:Q", **axis), y=y)
    )
    said = (
        alt.Chart(alt.Data(values=[{"text": text}]))
        .mark_text(align="left", baseline="top")
        .encode(x=alt.value(6), y=alt.value(4), text="text:N")
    )
    return alt.layer(line, said).properties(width=WIDTH, height=110)


def _rates(seen: Observation) -> tuple[list[Row], str]:
    """What was done a second in each part, and of what."""
    parts = max(2, min(_MOST_PARTS, int(seen.requests.finished.sum()) // _EACH))
    amounts, counted = done_in_parts(seen, parts)
    part_s = seen.length_s / parts
    rates = [float(amount) / part_s for amount in amounts]
    return _steps([*rates, rates[-1]], part_s), counted


def _memory(seen: Observation) -> list[Row]:
    at, value = resident(seen)
    return [
        {"seconds": when / NS_PER_S, "value": held / 1e6}
        for when, held in zip(at.tolist(), value.tolist(), strict=True)
    ]


def _usage(seen: Observation) -> list[Row]:
    """The largest reading in each part; parts without one are left out."""
    at, value = seen.times("counters", "at_ns"), seen.numbers("counters", "value")
    rows = seen.among("counters", "name", ("kv.usage",)) & seen.inside(at) & ~np.isnan(value)
    part = np.minimum(at[rows] * _MOST_PARTS // seen.length_ns, _MOST_PARTS - 1)
    part_s = seen.length_s / _MOST_PARTS
    return [
        {"seconds": float(number) * part_s, "value": float(value[rows][part == number].max())}
        for number in np.unique(part)
    ]


def _steps(values: Sequence[float], part_s: float) -> list[Row]:
    return [{"seconds": k * part_s, "value": value} for k, value in enumerate(values)]
