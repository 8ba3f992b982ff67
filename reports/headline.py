"""The few numbers of a cell that a reader looks for first."""

from collections.abc import Mapping, Sequence

from accelbench.harness.bundle.summary import CellSummary
from accelbench.harness.schema.measurement import Measurement

_BY_SCENARIO: Mapping[str, Sequence[str]] = {
    "train_to_target": ("train.time_to_target", "train.samples_per_s", "quality.accuracy"),
    "offline": ("tp.samples", "quality.accuracy", "energy.per_inference"),
    "single_stream": (
        "e2e.service.p50",
        "e2e.service.p99",
        "quality.accuracy",
        "energy.per_inference",
    ),
}
_GENERATING = ("ttft.response.p50", "tpot.p50", "tp.decode", "energy.per_output_token")


def headline(cell: CellSummary) -> dict[str, Measurement]:
    """The main measurements of a cell that it has, at most four, the most telling first.

    Those without a value are left out, but for time to target, whose absence is the news.
    """
    generates = "tp.decode" in cell.measurements
    names = _GENERATING if generates else _BY_SCENARIO.get(cell.scenario, ())
    found = {name: cell.measurements[name] for name in names if name in cell.measurements}
    return {
        name: measurement
        for name, measurement in found.items()
        if measurement.value is not None or name == "train.time_to_target"
    }
