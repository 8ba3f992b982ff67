"""Every quantity of the survey has a metric, or a function where it is no number of one trial."""

from collections.abc import Callable
from typing import Any

import pytest

from accelbench.harness.metrics import curve, fronts, sheet
from accelbench.harness.metrics.catalogue import catalogue

METRICS: dict[str, tuple[str, ...]] = {
    "E-01": ("total.paper.mean", "e2e.response.mean"),
    "E-02": ("e2e.response.p50", "e2e.response.p95", "e2e.response.p99", "e2e.response.mlperf.p99"),
    "E-03": ("ttft.response.mean", "queue.time.mean", "ttft.residual.mean"),
    "E-04": ("itl.mean_paper", "tpot.mean", "itl.gap.p99", "itl.request.p99"),
    "E-05": ("tp.prefill", "tp.prefill.computed", "tp.decode"),
    "E-06": ("goodput.tokens", "goodput.requests", "goodput.tokens_paper"),
    "E-07": ("batch.efficiency.<B>",),
    "E-08": ("overhead.ratio", "overhead.ratio.worst", "overhead.ratio_paper"),
    "E-09": ("energy.total", "power.avg", "energy.net"),
    "E-10": ("energy.per_token",),
    "E-11": ("edp", "ed2p"),
    "E-12": ("tokens_per_joule",),
    "E-13": ("flops.total", "flops.achieved", "flops.utilization", "flops.hardware"),
    "E-14": ("intensity", "roofline.bound", "roofline.position"),
    "E-15": ("kv.bytes_per_sequence", "kv.bytes_per_sequence_paper", "kv.bytes_per_token"),
    "E-16": ("speedup.<n>", "parallel_efficiency.<n>", "weak_speedup.<n>"),
    "U-01": ("tp.system",),
    "U-02": ("bandwidth.achieved", "bandwidth.utilization"),
    "U-03": ("area.tops_per_mm2", "sheet.tops_per_mm2.<precision>"),
    "U-04": ("area.w_per_mm2", "sheet.w_per_mm2"),
    "U-05": ("e2e.response.mean", "e2e.service.mean"),
    "U-06": ("sheet.tops_per_w.<precision>",),
    "U-07": ("memory.adam_low", "memory.adam_high"),
    "U-08": ("kv.bytes_total", "kv.sequences"),
    "U-09": ("sheet.ridge.<precision>",),
    "D-01": ("tpot.mean",),
    "D-02": ("sustainable.load", "sustainable.tokens"),
    "D-04": ("slo.attainment",),
    "D-05": ("padding.waste",),
    "D-06": ("compile.share", "compile.time", "window.cold.service", "tp.requests.inclusive"),
    "D-07": ("throughput.drift", "throughput.drift.deciles"),
    "D-08": ("coverage.operators", "coverage.flops", "coverage.time"),
    "D-09": ("fallback.share", "fallback.energy_share"),
    "D-10": ("transfer.share", "transfer.time"),
    "D-11": ("energy.per_output_token", "energy.prefill", "energy.decode"),
    "D-12": ("energy.per_inference",),
    "D-13": ("iso_accuracy.energy.<cell>",),
    "D-14": ("effective_throughput.<cell>",),
    "D-15": ("accuracy_front.<cell>",),
    "D-17": ("mapped.weights", "mapped.flops", "mapped.time"),
    "D-18": ("speedup.bound",),
    "D-19": ("crossbar.occupancy",),
    "D-20": ("converter.share", "converter.time_share"),
    "D-21": (
        "remap.writes_per_inference",
        "remap.energy_per_inference",
        "remap.time_per_inference",
    ),
    "D-22": ("activity", "activity.sparsity"),
    "D-23": ("events.rate", "events.drop_rate"),
    "D-24": ("energy.per_synaptic_op",),
    "D-25": ("utilization.temporal",),
    "D-26": ("experts.balance", "experts.cv", "experts.drop_rate"),
    "D-27": ("kv.waste", "kv.waste.rounding"),
    "D-28": ("cache.hit_rate",),
    "D-29": ("speculation.acceptance",),
    "D-30": ("bytes.per_token",),
    "D-31": ("pipeline.bubble", "pipeline.idle_share"),
    "D-32": ("communication.overlap", "communication.share"),
    "D-33": ("train.time_to_target",),
    "D-34": ("peak.usable",),
    "D-35": ("cost.throughput_per_price", "cost.per_inference"),
    "D-36": ("capacity.devices",),
}
"""The metrics of each quantity, by its id in the list of the survey's equations."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "D-03": curve.curve,
    "D-15": fronts.non_dominated,
    "D-16": sheet.area_front,
}
"""What is a curve or a front."""

IDS = [
    *(f"E-{n:02}" for n in range(1, 17)),
    *(f"U-{n:02}" for n in range(1, 10)),
    *(f"D-{n:02}" for n in range(1, 37)),
]


@pytest.mark.parametrize("ident", IDS)
def test_each_quantity_is_in_the_catalogue(ident: str) -> None:
    """With a unit, a formula, a source in the survey, a direction and a version."""
    known = {item.name: item for item in catalogue()}
    names = METRICS.get(ident, ())
    assert names or ident in FUNCTIONS
    for name in names:
        found = known[name]
        assert found.unit
        assert found.formula
        assert any(word in found.source for word in ("eq.", "section", "Table", "TP_sys"))
        assert found.better in ("lower", "higher", "neither")
        assert found.version >= 1
