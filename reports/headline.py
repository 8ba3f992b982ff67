"""The few numbers of a cell that a reader looks for first."""

from collections.abc import Mapping, Sequence

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.schema.measurement import Measurement

_QUALITY = "quality.*"

_BY_SCENARIO: Mapping[str, Sequence[str]] = {
    "train_to_target": ("train.time_to_target", _QUALITY),
    "offline": ("tp.samples", _QUALITY, "energy.per_inference"),
    "single_stream": ("e2e.service.p50", "e2e.service.p99", _QUALITY, "energy.per_inference"),
}
_GENERATING = ("ttft.response.p50", "tpot.p50", "tp.decode", "energy.per_output_token")


def headline(cell: CellSummary) -> dict[str, Measurement]:
    """The main measurements of a cell, at most four, the most telling first.

    Those without a value are left out, but for the first: its absence is the news.
    """
    names = _GENERATING if generates(cell) else _BY_SCENARIO.get(cell.scenario, ())
    found = {
        name: cell.measurements[name]
        for pattern in names
        for name in _matching(pattern, cell.measurements)
    }
    first = names[0] if names else None
    return {
        name: measurement
        for name, measurement in found.items()
        if measurement.value is not None or name == first
    }


def generates(cell: CellSummary) -> bool:
    """Whether the cell generates tokens."""
    return "tp.decode" in cell.measurements


def _matching(pattern: str, measurements: Mapping[str, Measurement]) -> list[str]:
    """The name itself, or the first one that a pattern ending in `*` fits."""
    if not pattern.endswith("*"):
        return [pattern] if pattern in measurements else []
    return [name for name in sorted(measurements) if name.startswith(pattern[:-1])][:1]
