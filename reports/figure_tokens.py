"""Tokens over time: prefill and decode of each generating cell, from the raw traces."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from accelbench.harness.metrics.observation import Observation
from accelbench.harness.units import NS_PER_S
from accelbench.reports.drawing import BLUE, VERMILION, WIDTH, Drawing, axis_of, stacked
from accelbench.reports.gates import admitted, withheld
from accelbench.reports.headline import generates
from accelbench.reports.shown import Shown, not_drawn, valid
from accelbench.reports.wording import intervals_told, value_told

_MOST_REQUESTS = 40
_FIRST, _EACH = "ttft.response.p50", "tpot.p50"


def draw(shown: Sequence[Shown]) -> Drawing:
    """When the tokens of single requests arrived, with time to first token and time per token.

    Raises:
        BundleError: A trace cannot be read.
    """
    cells = [one for one in shown if generates(one.cell) or not one.cell.measurements]
    known = [one for one in valid(cells) if one.value(_FIRST) and one.value(_EACH)]
    drawn, said = admitted(known, _FIRST, _EACH), withheld(known, _FIRST, _EACH)
    if not drawn:
        lacks = "there is no cell whose tokens arrived one by one that may be shown"
        return Drawing("", lacks=f"{lacks}. {said} {not_drawn(cells)}")
    found = [one.value(name) for one in drawn for name in (_FIRST, _EACH)]
    caption = (
        "Tokens received after the instant a request was due; thin lines are single requests of "
        f"the first trial (at most {_MOST_REQUESTS}), from the raw trace. Shaded: prefill, up to "
        "the first token (TTFT p50). Thick line: decode at the time per output token (TPOT p50). "
        f"Both are means over trials. {intervals_told(one for one in found if one)} "
        f"{said} {not_drawn(cells)}"
    )
    return Drawing(caption, stacked([_panel(one) for one in drawn]))


def _panel(one: Shown) -> Any:
    import altair as alt  # noqa: PLC0415  (an extra)

    first, each = one.value(_FIRST), one.value(_EACH)
    assert first is not None
    assert first.value is not None
    assert each is not None
    assert each.value is not None
    _, seen = next(iter(one.observed()))
    rows = _arrivals(seen)
    most = max((row["tokens"] for row in rows), default=1)
    typical = [
        {"seconds": first.value + each.value * (token - 1), "tokens": token} for token in (1, most)
    ]
    ends = [row["seconds"] for row in (*rows, *typical)]
    axis = axis_of(ends, "time since the request was due", unit="s", ratio=math.inf)
    x = alt.X("seconds:Q", **axis)
    y = alt.Y("tokens:Q", title="tokens received", scale=alt.Scale(domain=[0, most * 1.3]))
    band = alt.Chart(alt.Data(values=[{"from": 0, "to": first.value}]))
    prefill = band.mark_rect(color=VERMILION, opacity=0.22).encode(
        x=alt.X("from:Q", **axis), x2="to:Q"
    )
    lines = (
        alt.Chart(alt.Data(values=rows))
        .mark_line(interpolate="step-after", strokeWidth=0.7, opacity=0.35, color=BLUE)
        .encode(x=x, y=y, detail="request:N")
    )
    base = alt.Chart(alt.Data(values=typical)).encode(x=x, y=y)
    decode = base.mark_line(strokeWidth=2.5, color=BLUE)
    points = base.mark_point(filled=True, size=50, color=BLUE, opacity=1)
    texts = [
        f"prefill: first token after {value_told(first)}",
        f"decode: {value_told(each)} a token",
    ]
    said = [
        alt.Chart(alt.Data(values=[{"text": text}]))
        .mark_text(align="left", baseline="top")
        .encode(x=alt.value(6), y=alt.value(4 + 17 * line), text="text:N")
        for line, text in enumerate(texts)
    ]
    return alt.layer(prefill, lines, decode, points, *said).properties(
        width=WIDTH, height=240, title=one.title
    )


def _arrivals(seen: Observation) -> list[dict[str, float]]:
    """Time since due and count of tokens at each arrival, of the window's first requests."""
    inside = seen.requests.due_inside
    shown = seen.column("requests", "id").filter(pa.array(inside)).slice(0, _MOST_REQUESTS)
    due = dict(zip(shown.to_pylist(), seen.requests.due[inside], strict=False))
    start = seen.trace.head.window_ns[0]
    rows: list[dict[str, float]] = []
    tokens: Counter[str] = Counter()
    for part in seen.trace.parts("tokens", ("id", "at_ns", "count")):
        taken = part.filter(pc.is_in(part.column("id").cast(pa.string()), value_set=shown))
        for row in taken.to_pylist():
            ident = row["id"]
            for _ in range(1 if row["count"] is None else row["count"]):
                tokens[ident] += 1
                since = (row["at_ns"] - start - due[ident]) / NS_PER_S
                request = list(due).index(ident)
                rows.append({"request": request, "seconds": since, "tokens": tokens[ident]})
    return sorted(rows, key=lambda row: (row["request"], row["tokens"]))
