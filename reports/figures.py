"""All figures of a report."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from accelbench.harness.errors import BundleError
from accelbench.reports import (
    figure_energy,
    figure_latency,
    figure_over_time,
    figure_roofline,
    figure_throughput,
    figure_tokens,
    figure_training,
)
from accelbench.reports.drawing import Drawing
from accelbench.reports.shown import Shown

FIGURES: Mapping[str, str] = MappingProxyType(
    {
        "throughput": "Throughput of each cell",
        "batching": "Batching efficiency over the batch size",
        "latency": "Distribution of service times in a single stream",
        "tokens": "Tokens over time: prefill and decode",
        "over_time": "Throughput, memory, and use of keys and values over a long trial",
        "training": "Quality over the time of training",
        "energy": "Energy per inference or token, by how it is known",
        "roofline": "Rooflines of the platforms and the cells under them",
    }
)
"""Name of each figure, and what it shows; in the order of the page."""

_DRAW: Mapping[str, Callable[[Sequence[Shown]], Drawing]] = {
    "throughput": figure_throughput.draw,
    "batching": figure_throughput.draw_batching,
    "latency": figure_latency.draw,
    "tokens": figure_tokens.draw,
    "over_time": figure_over_time.draw,
    "training": figure_training.draw,
    "energy": figure_energy.draw,
    "roofline": figure_roofline.draw,
}


def drawing(name: str, shown: Sequence[Shown]) -> Drawing:
    """A figure of these cells, or why there is none.

    Args:
        name: A key of `FIGURES`.
        shown: All cells of the report.
    """
    try:
        return _DRAW[name](shown)
    except BundleError as error:
        return Drawing("", lacks=f"a raw trace cannot be read: {error}")
