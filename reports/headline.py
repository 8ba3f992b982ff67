"""The few numbers of a cell that a reader looks for first."""

from collections.abc import Mapping, Sequence

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.schema.measurement import Measurement

_QUALITY = "quality.*"

_ENERGY = "energy.per_output_token"

_BY_SCENARIO: Mapping[str, Sequence[str]] = {
    "train_to_target": ("train.time_to_target", _QUALITY),
    "offline": ("tp.samples", _QUALITY, "energy.per_inference"),
    "single_stream": ("e2e.service.p50", "e2e.service.p99", _QUALITY, "energy.per_inference"),
    "multi_stream": ("query.response.p99", "query.response.p50", _QUALITY, "energy.per_inference"),
    "closed_loop": ("load.in_flight.mean", "tp.requests", "e2e.response.p50", "e2e.response.p99"),
    "open_loop": ("load.offered", "tp.requests", "e2e.response.p50", "e2e.response.p99"),
    "sustainable": ("sustainable.load", "tp.requests", "e2e.response.p50", "e2e.response.p99"),
}
_KERNEL = ("tp.samples", "flops.achieved", "bandwidth.achieved")
_OF_CLASSES = (".ttft.response.p99", ".tpot.mean", ".tp.system")
"""What is shown of each class of a mix."""
_TOKENS = ("ttft.response.p50", "ttft.response.p99", "tpot.p50", "itl.gap.p99")
_SERVED = (*_TOKENS, "e2e.response.p99", "tp.system", "goodput.requests", "slo.attainment", _ENERGY)
_GENERATING: Mapping[str, Sequence[str]] = {
    "offline": ("tp.system", "tp.requests", "ttft.response.p99", "tpot.p50", _ENERGY),
    "single_stream": ("ttft.response.p50", "tpot.p50", "tp.decode", _ENERGY),
    "multi_stream": ("query.response.p99", *_TOKENS, "tp.system", "slo.attainment", _ENERGY),
    "closed_loop": ("load.in_flight.mean", *_SERVED),
    "open_loop": ("load.offered", *_SERVED),
    "sustainable": ("sustainable.load", *_SERVED),
}


def headline(cell: CellSummary) -> dict[str, Measurement]:
    """The main measurements of a cell, the most telling first.

    A serving load has one line for each thing that a reader must not take alone: the load, both
    ends of the wait for a first token, the time per token and its stalls, the whole, throughput,
    and where there is a service level how much of it met that. Other cells have at most four.
    A mix has three more for each of its classes, and what a change of class costs where that shows.
    Those without a value are left out, but for the first: its absence is the news.
    """
    names = _names(cell)
    found = {
        name: cell.measurements[name]
        for pattern in names
        for name in _matching(pattern, cell.measurements)
    }
    found |= {
        name: measurement
        for name, measurement in cell.measurements.items()
        if name == "class.switch.ttft" or (name.startswith("class.") and name.endswith(_OF_CLASSES))
    }
    first = names[0] if names else None
    return {
        name: measurement
        for name, measurement in found.items()
        if measurement.value is not None or name == first
    }


def _names(cell: CellSummary) -> Sequence[str]:
    if cell.family == "kernel" and cell.scenario == "offline":
        return _KERNEL
    return (_GENERATING if generates(cell) else _BY_SCENARIO).get(cell.scenario, ())


def generates(cell: CellSummary) -> bool:
    """Whether the cell generates tokens: it decodes, or its tokens arrived one by one."""
    return any(name in cell.measurements for name in ("tp.decode", "tpot.p50"))


def _matching(pattern: str, measurements: Mapping[str, Measurement]) -> list[str]:
    """The name itself, or the first one that a pattern ending in `*` fits."""
    if not pattern.endswith("*"):
        return [pattern] if pattern in measurements else []
    return [name for name in sorted(measurements) if name.startswith(pattern[:-1])][:1]
