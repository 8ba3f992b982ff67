"""The sheet of this machine, from a bundle of microbenchmarks."""

import json
from dataclasses import replace

import pytest

from accelbench.harness.bundle.campaign_file import Campaign
from accelbench.harness.bundle.host_sheet import HOST, HOST_FILE, host_sheet, machine_note
from accelbench.harness.bundle.seal import derived_documents
from accelbench.harness.bundle.summary import Bundle
from accelbench.harness.errors import BundleError
from accelbench.harness.schema.cell import Cell, Choice, Workload
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.measurement import Measurement
from accelbench.harness.schema.plain import pretty
from accelbench.harness.schema.platform import Platform
from accelbench.harness.schema.record import Reason, Record
from accelbench.harness.schema.rules import Limits, Rules
from accelbench.harness.schema.scenario import Offline

SHEET = Platform(HOST, "-", "cpu", {}, (), None, None, (), ("not measured",))
FACTS = {
    "cpu.model": {"value": "A Processor"},
    "cpu.threads": {"value": 8},
    "memory.total_bytes": {"value": 64_000_000_000},
}
UNITS = {
    "flops.achieved": "FLOP/s",
    "bandwidth.achieved": "byte/s",
    "e2e.service.mean": "s",
}


def reached(operator, shape, dtype="fp32", threads=8, status="valid", device="cpu", **values):
    """A cell and its two trials, with these measurements, one a little better than the other."""
    name = f"{operator}-{'-'.join(map(str, shape))}-{dtype}-{threads}"
    options = {"operator": operator, "shape": list(shape)}
    cell = Cell(
        name=name,
        workload=Workload(f"kernel_{operator}", "kernels", "kernel", "-", options),
        scenario=Offline("offline", 1, 8),
        rules=Rules("quick", "two trials", 2, 0, "shared", 60.0, 7, Limits(), (), ()),
        adapter=Choice("torch", {"dtype": dtype}),
        platform=SHEET,
        probe=Choice("none"),
        tracker=Choice("none"),
        executor=Choice("local"),
    )
    arithmetic = "int8" if operator == "gemm_int8" else dtype
    engine = {"device": device, "threads": threads, "dtype": dtype, "arithmetic": arithmetic}
    records = [
        Record(
            schema="accelbench.record/1", cell=name, cell_hash=cell.hash, repeat=repeat,
            round=repeat, session="s", workload=cell.workload.name, scenario="offline",
            adapter="torch", platform=HOST, evidence="measured", clock="wall", status=status,
            reasons=(),
            measurements={
                (full := key.replace("__", ".")): Measurement(value * change, UNITS[full], 9)
                for key, value in values.items()
            },
            engine=engine, started_utc="", finished_utc="",
        )
        for repeat, change in enumerate((0.99, 1.01))
    ]  # fmt: skip
    return cell, records


GEMM = reached("gemm", (64, 64, 64), flops__achieved=100e9)
TRIAD = reached("triad", (1000,), bandwidth__achieved=20e9)


@pytest.fixture
def bundle(tmp_path):
    """A bundle of these cells on a machine with eight processors."""
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "before.json").write_bytes(pretty({"facts": FACTS}))

    def made(*cells):
        campaign = Campaign(
            schema="accelbench.campaign/1", id="c0ffee", suite="peaks", overrides=(), argv=(),
            cells={cell.name: cell for cell, _ in cells},
            cell_names=tuple(cell.name for cell, _ in cells), cell_hashes={},
            harness_version="0", code_sha256="", git={}, machine="m",
            started_utc="2026-01-02T03:04:05+00:00",
        )  # fmt: skip
        records = tuple(record for _, trials in cells for record in trials)
        return Bundle(tmp_path, None, campaign, records)

    return made


def test_a_peak_is_the_best_product_at_its_precision(bundle):
    """Of all shapes and thread counts; where it comes from stands beside it."""
    sheet = host_sheet(
        bundle(
            GEMM,
            reached("gemm", (128, 128, 128), flops__achieved=150e9),
            reached("gemm", (128, 128, 128), threads=1, flops__achieved=80e9),
            reached("gemm", (64, 64, 64), "bf16", flops__achieved=300e9),
            reached("gemm_int8", (64, 64, 64), flops__achieved=900e9),
            TRIAD,
        )
    )
    assert {name: figure.value for name, figure in sheet.peak.items()} == pytest.approx(
        {"fp32": 150e9, "bf16": 300e9, "int8": 900e9}
    )
    source = sheet.peak["fp32"].source
    for told in (
        "128 x 128 x 128",
        "8 threads",
        "2026-01-02",
        "95% interval",
        "one thread",
        "8e+10",
    ):
        assert told in source
    assert {figure.kind for figure in sheet.peak.values()} == {"measured"}


def test_a_figure_tells_what_its_trials_were_warned_of(bundle):
    """A peak that was measured beside other work says so."""
    cell, records = GEMM
    warned = [replace(one, reasons=(Reason("foreign_load", "x", "warning"),)) for one in records]
    peak = host_sheet(bundle((cell, warned), TRIAD)).peak["fp32"]
    assert peak.source.endswith("warned of foreign_load")
    assert "warned" not in host_sheet(bundle(GEMM, TRIAD)).peak["fp32"].source


def test_memory_is_the_triad_and_what_the_system_tells(bundle):
    """Bandwidth from far beyond the caches, capacity as the kernel counts it."""
    sheet = host_sheet(bundle(GEMM, TRIAD))
    level = sheet.memory[0]
    assert level.bandwidth.value == pytest.approx(20e9)
    assert level.capacity.value == 64e9
    assert (level.bandwidth.kind, sheet.power) == ("measured", None)


def test_it_names_its_machine_and_the_campaign(bundle):
    """So that another machine does not take it for its own."""
    sheet = host_sheet(bundle(GEMM, TRIAD))
    values = {name: fact["value"] for name, fact in FACTS.items()}
    assert machine_note(values) in sheet.notes
    assert "A Processor" in machine_note(values)
    assert sheet.name == HOST
    assert "peaks" in sheet.sources[0]
    assert "c0ffee" in sheet.sources[0]


def test_what_is_no_peak_is_a_note(bundle):
    """A launch's share of a chain, a copy, attention and convolution."""
    notes = host_sheet(
        bundle(
            GEMM,
            TRIAD,
            reached("launch", (1000,), threads=1, e2e__service__mean=2e-3),
            reached("copy", (1000,), bandwidth__achieved=18e9),
            reached("attention", (2, 8, 4), flops__achieved=50e9),
        )
    ).notes
    assert any("2000 ns a kernel" in note and "one thread" in note for note in notes)
    assert any(note.startswith("copy: 1.8e+10 byte/s") for note in notes)
    assert any(note.startswith("attention: 5e+10 FLOP/s at fp32") for note in notes)


@pytest.mark.parametrize(
    "lacking",
    [
        [GEMM],
        [TRIAD],
        [reached("gemm", (64, 64, 64), status="invalid", flops__achieved=1e9), TRIAD],
        [reached("gemm", (64, 64, 64), device="a GPU", flops__achieved=1e9), TRIAD],
    ],
)
def test_without_a_valid_product_and_triad_on_the_processor_there_is_none(bundle, lacking):
    """Nothing stands in for a measurement."""
    assert host_sheet(bundle(*lacking)) is None
    assert HOST_FILE not in derived_documents(bundle(*lacking))


GPU = "A GPU 80GB"


def on_gpu(operator, shape, dtype="fp32", rounding="highest", **values):
    """A cell of a GPU, with what its engine tells there."""
    cell, records = reached(operator, shape, dtype, device=GPU, **values)
    told = {
        "accelerator": {"memory_bytes": 80_000_000_000},
        "float32_matmul_precision": rounding,
        "precision_map": {"accumulators": "float32"},
        "runtime": {"convolutions_in_tf32": True},
    }
    return cell, [replace(one, engine={**one.engine, **told}) for one in records]


GPU_GEMM = on_gpu("gemm", (8192, 8192, 8192), "bf16", flops__achieved=700e12)
GPU_TRIAD = on_gpu("triad", (2**28,), bandwidth__achieved=3e12)


def test_a_gpu_has_a_sheet_of_its_figures_and_its_memory(bundle):
    """It says which device they are of, and nothing of the host's memory."""
    sheet = host_sheet(bundle(GPU_GEMM, GPU_TRIAD))
    assert (sheet.family, sheet.name) == ("gpu", HOST)
    assert GPU in sheet.summary
    assert sheet.peak["bf16"].value == pytest.approx(700e12)
    assert f"on {GPU}" in sheet.peak["bf16"].source
    assert "thread" not in sheet.peak["bf16"].source
    level = sheet.memory[0]
    assert (level.name, level.capacity.value) == ("device memory", 80e9)
    assert level.bandwidth.value == pytest.approx(3e12)
    assert any(note.startswith(f"device: {GPU}") for note in sheet.notes)
    assert any("bf16: operands in bf16" in note and "sums: float32" in note for note in sheet.notes)


@pytest.mark.parametrize(
    ("rounding", "format_", "told"),
    [
        ("highest", "fp32", "not rounded to TF32"),
        ("high", "tf32", "may round to TF32"),
        ("medium", "tf32", "may round to TF32"),
    ],
)
def test_products_that_may_round_to_tf32_are_no_peak_of_fp32(bundle, rounding, format_, told):
    """Matrix units that take fewer bits are told by their format."""
    gemm = on_gpu("gemm", (64, 64, 64), rounding=rounding, flops__achieved=60e12)
    sheet = host_sheet(bundle(gemm, GPU_TRIAD))
    assert set(sheet.peak) == {format_}
    assert any(note.startswith(f"{format_}: ") and told in note for note in sheet.notes)


def test_a_convolution_that_may_round_to_tf32_says_so(bundle):
    """PyTorch lets cuDNN do it, whatever it is told of products."""
    convolution = on_gpu("convolution", (64, 64, 56, 3), flops__achieved=40e12)
    notes = host_sheet(bundle(GPU_GEMM, GPU_TRIAD, convolution)).notes
    assert any(note.startswith("convolution: 4e+13 FLOP/s at tf32") for note in notes)


def test_figures_of_two_devices_are_never_on_one_sheet(bundle):
    """Where the processor was measured too the sheet is its own."""
    sheet = host_sheet(bundle(GPU_GEMM, GPU_TRIAD, GEMM, TRIAD))
    assert sheet.family == "cpu"
    assert set(sheet.peak) == {"fp32"}
    assert not any(GPU in note for note in sheet.notes)
    assert host_sheet(bundle(GPU_GEMM, TRIAD)) is None


def test_cells_on_another_sheet_do_not_count(bundle):
    """They were run for a machine that is somewhere else."""
    cell, records = GEMM
    elsewhere = replace(cell, platform=replace(SHEET, name="server"))
    assert host_sheet(bundle((elsewhere, records), TRIAD)) is None


def test_the_file_in_the_bundle_is_the_sheet_as_a_preset(bundle):
    """Large figures are whole numbers, which every reader of YAML takes for numbers."""
    import yaml

    made = pretty(derived_documents(bundle(GEMM, TRIAD))[HOST_FILE])
    assert json.loads(made) == yaml.safe_load(made)
    assert decode(Platform, yaml.safe_load(made)).peak["fp32"].value == 100_000_000_000


def test_a_bundle_that_does_not_tell_its_machine_cannot_be_read(bundle):
    """One line names the file."""
    made = bundle(GEMM, TRIAD)
    (made.path / "environment" / "before.json").write_text("{}")
    with pytest.raises(BundleError, match="machine"):
        host_sheet(made)
