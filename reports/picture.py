"""One figure as a file: SVG, PNG, PDF, or a page of its own."""

import textwrap
from pathlib import Path
from typing import Any

from accelbench.harness.bundle.storage import write_file
from accelbench.harness.foreign import foreign
from accelbench.reports.drawing import INK, Drawing, demand_extra, inlined, rendered
from accelbench.reports.template import filled

ENDINGS = ("html", "pdf", "png", "svg")
"""Endings of the files that can be written."""

_TITLE, _CAPTION = 60, 90


def write_picture(drawn: Drawing, title: str, out: Path) -> None:
    """Writes a figure in the format that the ending names, with its title and caption.

    Args:
        drawn: Has a chart.
        title: What the figure shows; holds no markup.
        out: Its ending is one of `ENDINGS`.

    Raises:
        MissingPart: The extra `report` is not installed.
        ForeignError: The drawing library refused the chart.
        StorageError: The disk refused.
    """
    demand_extra("a figure")
    ending = out.suffix.removeprefix(".")
    if ending == "html":
        content = _page(drawn, title, rendered(drawn.chart, title)["svg"])
    else:
        content = rendered(_titled(drawn, title), title)[ending]
    write_file(out, content)


def _titled(drawn: Drawing, title: str) -> Any:
    """The chart with its words above it, for a file that stands alone."""
    import altair as alt  # noqa: PLC0415  (an extra)

    words = alt.Title(
        textwrap.wrap(title, _TITLE),
        subtitle=textwrap.wrap(drawn.caption, _CAPTION),
        subtitleColor=INK,
        subtitleFontSize=11,
        subtitlePadding=6,
        offset=14,
    )
    return drawn.chart.properties(title=words)


def _page(drawn: Drawing, title: str, svg: bytes) -> bytes:
    inside = inlined(svg.decode(), "figure", title)
    with foreign("writing the page"):
        page = filled("figure.html.j2", title=title, svg=inside, caption=drawn.caption)
    return page.encode()
