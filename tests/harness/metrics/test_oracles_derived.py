"""The numbered oracles that rest on a sheet, on several records, or on closed forms."""

import importlib.resources
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from accelbench.harness.metrics.plausibility import (
    implied_clock_hz,
    iso_power_w,
    neuromorphic_counts,
    orders_of_magnitude,
    per_part,
    system_over_chip,
    usable_units,
)
from accelbench.harness.metrics.registry import Absent, Outcome, Value
from accelbench.harness.metrics.roofline import gemm_intensity
from accelbench.harness.metrics.scaling import scaling
from accelbench.harness.metrics.sheet import DENSE_W_PER_MM2, sheet_figures
from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform

LINES = (Path(__file__).parents[2] / "data" / "oracles.jsonl").read_text().splitlines()
ORACLES: dict[str, dict[str, Any]] = {item["id"]: item for item in map(json.loads, LINES)}

COVERED = {
    "023", "024", "025", "026", "038", "039", "040", "041", "042", "046", "051", "052", "053",
    "054",
}  # fmt: skip
"""Oracles held here."""

SHEETS = {
    "b200_fp4": "b200_paper",
    "b200_fp8": "b200_paper",
    "tpu_v5p_bf16": "tpu_v5p_paper",
    "groq_int8": "groqchip1_paper",
    "mi300x_fp16": "mi300x_paper",
    "ai100ultra_int8": "ai100_ultra_paper",
    "hbm_pim_fp16": "hbm_pim_paper",
    "loihi2_sop": "loihi2_paper",
}


def oracle(number: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs and expected values of one oracle."""
    assert number in COVERED
    item = ORACLES[f"ORC-{number}"]
    return item["inputs"], item["expected"]


def sheet(name: str) -> Platform:
    """A sheet of the distribution."""
    file = importlib.resources.files("accelbench.conf") / "platform" / f"{name}.yaml"
    return decode(Platform, yaml.safe_load(file.read_text()), name)


def figures(name: str) -> tuple[dict[str, float | None], str]:
    """What follows from a sheet of ORC-024, and the precision meant there."""
    found = {key: item.value for key, item in sheet_figures(sheet(SHEETS[name])).items()}
    return found, name.rsplit("_", 1)[1]


def value(outcome: Outcome) -> float:
    """The value of an outcome that has one."""
    assert isinstance(outcome, Value)
    return outcome.value


def test_every_covered_oracle_of_sheets_and_records_is_in_the_file() -> None:
    """The list of covered oracles names lines of the oracle file."""
    assert {f"ORC-{number}" for number in COVERED} <= set(ORACLES)


def test_the_ridge_of_the_reference_machine() -> None:
    """ORC-023: its sheet gives the ridge of Figure 3."""
    _, expected = oracle("023")
    found = sheet_figures(sheet("fig3_reference"))["sheet.ridge.any"]
    assert found.value == pytest.approx(expected["ridge"])
    assert found.unit == "op/byte"


def test_table_1_follows_from_its_sheets() -> None:
    """ORC-024: ridge, peak operations a watt, energy an operation."""
    given, expected = oracle("024")
    assert set(given) == set(SHEETS)
    for name, row in expected.items():
        found, precision = figures(name)
        assert found[f"sheet.ridge.{precision}"] == pytest.approx(row["ridge"], rel=1e-6)
        assert found[f"sheet.tops_per_w.{precision}"] == pytest.approx(row["t_ops_per_w"])
        energy = found[f"sheet.j_per_op.{precision}"]
        assert energy == pytest.approx(row["pj_per_op"] * 1e-12)


def test_decoding_at_batch_one_is_bound_by_the_sheet() -> None:
    """ORC-025: the largest share of the peak at two operations a weight."""
    _, expected = oracle("025")
    for name, share in expected.items():
        found, precision = figures(name)
        assert found[f"sheet.decode_bound.{precision}"] == pytest.approx(share, rel=1e-6)


def test_intensity_of_a_product_of_matrices() -> None:
    """ORC-026: it grows with the rows and passes the ridge of Figure 3 at 399 of them."""
    given, expected = oracle("026")
    n, k, size = given["n"], given["k"], given["s"]
    for m in given["m"]:
        assert gemm_intensity(m, k, n, size) == pytest.approx(expected[str(m)])
    ridge = ORACLES["ORC-023"]["expected"]["ridge"]
    assert gemm_intensity(398, k, n, size) < ridge <= gemm_intensity(399, k, n, size)


def test_speedup_and_efficiency() -> None:
    """ORC-038: eq. 16 against one device."""
    given, expected = oracle("038")
    found = scaling({int(n): (time,) for n, time in given["t"].items()}, "time", 1)
    for n in (4, 8):
        assert value(found.speedup[n]) == pytest.approx(expected["s"][str(n)])
        assert value(found.efficiency[n]) == pytest.approx(expected["e"][str(n)])


def test_a_base_that_does_not_fit_is_replaced_by_the_smallest_that_does() -> None:
    """ORC-039: against one device the figures are absent, against four they are there."""
    given, expected = oracle("039")
    points = {
        int(n): Absent("does not fit") if time is None else (time,)
        for n, time in given["t"].items()
    }
    absolute, relative = scaling(points, "time", 1), scaling(points, "time")
    assert expected["e_absolute"] is None
    assert absolute.efficiency[8] == absolute.speedup[8] == Absent("does not fit")
    assert relative.base == 4
    assert value(relative.speedup[8]) == pytest.approx(expected["s_rel_to_4"]["8"])
    assert value(relative.efficiency[8]) == pytest.approx(expected["e_rel_to_4"]["8"])


def test_density_of_the_largest_machine() -> None:
    """ORC-040: 814 mm2 as the survey prints it, flagged as dense; two such dies have half."""
    given, expected = oracle("040")
    platform = sheet("b200_paper")
    assert platform.die_area is not None
    assert platform.die_area.value == pytest.approx(given["die_mm2"] * 1e-6)
    found = sheet_figures(platform)
    assert found["sheet.tops_per_mm2.fp4"].value == pytest.approx(expected["tops_mm2_fp4"])
    assert found["sheet.tops_per_mm2.fp8"].value == pytest.approx(expected["tops_mm2_fp8"])
    density = found["sheet.w_per_mm2"]
    assert density.value == pytest.approx(expected["w_per_mm2"])
    assert expected["w_per_mm2"] > DENSE_W_PER_MM2 > expected["w_per_mm2_two_dies"]
    assert density.reason == "above about 1 W/mm^2: it needs advanced cooling"
    two = Platform(**{**vars(platform), "die_area": Figure(2 * 814e-6, "a test", "estimate")})
    half = sheet_figures(two)["sheet.w_per_mm2"]
    assert half.value == pytest.approx(expected["w_per_mm2_two_dies"])
    assert half.reason is None


def test_the_spread_of_peaks_is_four_orders() -> None:
    """ORC-041: from the sheets, not the eight of the text."""
    given, expected = oracle("041")
    peaks = [figure.value for name in SHEETS.values() for figure in sheet(name).peak.values()]
    assert max(peaks) / min(peaks) == pytest.approx(expected["ratio"])
    assert (max(peaks), min(peaks)) == (given["max"], given["min"])
    assert orders_of_magnitude(peaks) == pytest.approx(expected["orders"])


def test_the_spread_of_efficiencies_is_below_two_orders() -> None:
    """ORC-042: in one unit, not the three orders of the text."""
    given, expected = oracle("042")
    efficiencies = [
        found[f"sheet.tops_per_w.{precision}"] for found, precision in map(figures, SHEETS)
    ]
    known = [one for one in efficiencies if one is not None]
    spiking, design = given["loihi_tops_w"], given["v80_tops_w"]
    assert max(known) == pytest.approx(given["best_tops_w"])
    assert min(known) == pytest.approx(spiking)
    assert spiking / design == pytest.approx(expected["loihi_over_v80"])
    narrow = orders_of_magnitude([design, spiking])
    assert narrow == pytest.approx(expected["orders_v80_to_loihi"])
    assert orders_of_magnitude([design, *known]) == pytest.approx(expected["orders_all"])


def test_a_system_needs_more_than_its_chip() -> None:
    """ORC-046: by the share of external memory."""
    given, expected = oracle("046")
    found = [system_over_chip(share) for share in given["dram_share"]]
    assert found == pytest.approx(expected["system_over_chip"])


def test_what_a_claimed_rate_asks_of_the_slices() -> None:
    """ORC-051: the clock behind 0.1 TOPS/W with one and with three multiply-adds a slice."""
    given, expected = oracle("051")
    usable = [usable_units(given["dsp"], ceiling) for ceiling in given["ceiling"]]
    assert usable == pytest.approx(expected["usable_dsp"])
    for multiply_adds, key in ((1, "mhz_1mac"), (3, "mhz_3mac")):
        clock = implied_clock_hz(given["tops_at_0p1"], given["dsp"], 2 * multiply_adds)
        assert clock == pytest.approx(expected[key] * 1e6)


def test_a_point_of_the_efficiency_chart_returns_its_power() -> None:
    """ORC-052: peak over efficiency is the design power, from the figures and the sheets."""
    given, expected = oracle("052")
    for name, point in given.items():
        power = iso_power_w(point["x_tops"], point["y_tops_w"])
        assert power == pytest.approx(expected[name])
        platform, (found, precision) = sheet(SHEETS[name]), figures(name)
        efficiency = found[f"sheet.tops_per_w.{precision}"]
        assert efficiency is not None
        own = iso_power_w(platform.peak[precision].value / 1e12, efficiency)
        assert own == pytest.approx(expected[name])


def test_counts_of_a_chip_of_equal_cores() -> None:
    """ORC-053: binary thousands of neurons and of synapses."""
    given, expected = oracle("053")
    rows, columns = given["crossbar"]
    found = neuromorphic_counts(given["cores"], given["neurons"], (rows, columns))
    assert found._asdict() == expected


def test_a_chips_share_of_a_system() -> None:
    """ORC-054: each figure over the chips, labelled as derived, agrees with the sheet's row."""
    given, expected = oracle("054")
    system = given["hala_point"]
    share = {
        key: per_part(Figure(system[key], "a vendor's sheet", "vendor"), system["chips"], "chips")
        for key in ("sops", "watts", "bw")
    }
    assert share["sops"].value == pytest.approx(expected["sops_per_chip"])
    assert share["watts"].value == pytest.approx(expected["w_per_chip"])
    assert share["bw"].value == pytest.approx(expected["bw_per_chip"])
    assert share["bw"].kind == "derived"
    assert share["bw"].source == "a vendor's sheet, over 1152 chips"
    printed = sheet("loihi2_paper")
    level: MemoryLevel = printed.memory[0]
    assert printed.peak["sop"].value == pytest.approx(share["sops"].value, rel=0.01)
    assert level.bandwidth is not None
    assert level.bandwidth.value == pytest.approx(share["bw"].value, rel=0.01)
