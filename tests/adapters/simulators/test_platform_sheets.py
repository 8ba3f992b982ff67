"""The spec sheets of the distribution against the survey's Table 1."""

import importlib.resources

import pytest
import yaml

from accelbench.harness.schema.decode import decode
from accelbench.harness.schema.platform import Figure, Platform

FOLDER = importlib.resources.files("accelbench.conf") / "platform"
FILES = {file.name: file for file in FOLDER.iterdir() if file.name.endswith(".yaml")}
PAPER = (
    "b200_paper",
    "tpu_v5p_paper",
    "groqchip1_paper",
    "mi300x_paper",
    "alveo_v80_paper",
    "ai100_ultra_paper",
    "hbm_pim_paper",
    "loihi2_paper",
    "fig3_reference",
)


def sheet(name: str) -> Platform:
    """A sheet by name."""
    return decode(Platform, yaml.safe_load(FILES[f"{name}.yaml"].read_text()), name)


def figures(platform: Platform) -> list[Figure]:
    """All figures of a sheet."""
    levels = [f for level in platform.memory for f in (level.bandwidth, level.capacity)]
    return [f for f in [*platform.peak.values(), *levels, platform.power] if f is not None]


@pytest.mark.parametrize("file", sorted(FILES))
def test_a_sheet_decodes_strictly_and_is_named_as_its_file(file: str) -> None:
    """No key too many, none too few, every figure a number with its source."""
    name = file.removesuffix(".yaml")
    assert sheet(name).name == name
    assert sheet(name).summary


def test_every_row_of_table_1_and_figure_3_has_a_sheet() -> None:
    """Nine sheets of the survey, and this machine's own."""
    assert {f"{name}.yaml" for name in (*PAPER, "this_host")} <= set(FILES)


@pytest.mark.parametrize("name", PAPER)
def test_a_paper_sheet_holds_printed_figures_alone(name: str) -> None:
    """Figures of the survey are never mixed with a vendor's, and each says where it stands."""
    assert {(figure.kind, figure.source.split(",")[0]) for figure in figures(sheet(name))} == {
        ("paper", "survey")
    }


@pytest.mark.parametrize(
    ("name", "precision", "ridge", "tera_per_watt", "pj_per_op"),
    [
        ("b200_paper", "fp4", 562.5, 4.5, 0.222222222222),
        ("b200_paper", "fp8", 275, 2.2, 0.454545454545),
        ("tpu_v5p_paper", "bf16", 166.304347826, 1.836, 0.544662309368),
        ("groqchip1_paper", "int8", 9.375, 2.5, 0.4),
        ("mi300x_paper", "fp16", 245.283018868, 1.73333333333, 0.576923076923),
        ("ai100_ultra_paper", "int8", 1587.59124088, 5.8, 0.172413793103),
        ("hbm_pim_paper", "fp16", 3.90625, 0.24, 4.16666666667),
        ("loihi2_paper", "sop", 0.0235714285714, 0.14347826087, 6.9696969697),
    ],
)
def test_the_derived_columns_of_table_1(
    name: str, precision: str, ridge: float, tera_per_watt: float, pj_per_op: float
) -> None:
    """Ridge, efficiency and energy an operation follow from the figures (ORC-024)."""
    platform = sheet(name)
    assert platform.main_bandwidth is not None
    assert platform.power is not None
    peak, power_w = platform.peak[precision].value, platform.power.value
    assert peak / platform.main_bandwidth.value == pytest.approx(ridge, rel=1e-6)
    assert peak / power_w / 1e12 == pytest.approx(tera_per_watt, rel=1e-6)
    assert power_w / peak * 1e12 == pytest.approx(pj_per_op, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "capacity", "sweep_s"),
    [
        ("b200_paper", 192e9, 24.0e-3),
        ("tpu_v5p_paper", 95e9, 34.4e-3),
        ("groqchip1_paper", 230e6, 2.88e-6),
        ("mi300x_paper", 192e9, 36.2e-3),
        ("alveo_v80_paper", 32e9, 39.0e-3),
        ("ai100_ultra_paper", 128e9, 233.6e-3),
        ("hbm_pim_paper", 4e9, 13.0e-3),
        ("loihi2_paper", 25e6, 1.79e-6),
    ],
)
def test_the_time_to_read_all_of_memory(name: str, capacity: float, sweep_s: float) -> None:
    """Capacity over bandwidth gives the survey's sweep times to three digits."""
    level = sheet(name).memory[0]
    assert level.capacity is not None
    assert level.bandwidth is not None
    assert level.capacity.value == capacity
    assert level.capacity.value / level.bandwidth.value == pytest.approx(sweep_s, rel=5e-3)


def test_the_reference_machine_has_its_ridge_at_333() -> None:
    """1000 TFLOP/s over 3 TB/s (ORC-023), whatever the precision."""
    platform = sheet("fig3_reference")
    assert platform.main_bandwidth is not None
    assert platform.peak["any"].value / platform.main_bandwidth.value == pytest.approx(1000 / 3)


def test_what_table_1_does_not_print_is_absent() -> None:
    """The V80 has no peak, Figure 3's machine no power, this host nothing yet."""
    assert sheet("alveo_v80_paper").peak == {}
    assert sheet("fig3_reference").power is None
    assert figures(sheet("this_host")) == []
    assert sheet("this_host").sources == ("not measured: accelbench run peaks",)


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("b200_paper", ("X-05", "X-25", "X-28")),
        ("tpu_v5p_paper", ("X-38",)),
        ("groqchip1_paper", ("X-14",)),
        ("mi300x_paper", ("X-27",)),
        ("alveo_v80_paper", ("X-10",)),
        ("hbm_pim_paper", ("X-09", "X-29")),
        ("loihi2_paper", ("X-04", "X-30")),
    ],
)
def test_known_doubts_stand_in_the_notes(name: str, flags: tuple[str, ...]) -> None:
    """A figure that is doubted says so on its sheet."""
    notes = " ".join(sheet(name).notes)
    assert [flag for flag in flags if flag not in notes] == []
