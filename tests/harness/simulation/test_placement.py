"""What a phase asks, and where it falls under a roofline."""

import pytest

from accelbench.harness.errors import ConfigError
from accelbench.harness.schema.opgraph import Operator, OpGraph
from accelbench.harness.schema.platform import Figure, MemoryLevel, Platform
from accelbench.harness.simulation.placement import asked_by, place, roof_of


def gemm(m, k=1000, n=1000, count=1):
    """An (m x k) by (k x n) product, so many times."""
    op = Operator(
        "mm", count, ((m, k), (k, n)), ((m, n),), "x", 2 * m * k * n, m * k + k * n, m * n
    )
    return OpGraph("gemm", "forward", m, 1, 0, (op,), (), k * n)


def sheet(**change):
    """A machine of 100 TFLOP/s and 1 TB/s."""
    peak = Figure(100e12, "test", "measured")
    memory = (MemoryLevel("HBM", Figure(1e12, "test", "measured"), None),)
    told = {"peak": {"bf16": peak}, "memory": memory, "sources": ("test",)} | change
    return Platform("x", "a machine", "gpu", power=None, power_scope=None, notes=(), **told)


def test_flops_and_bytes_are_summed_over_all_occurrences():
    """Twice the operator is twice the work, at the width of the precision."""
    once, twice = asked_by(gemm(8), "bf16"), asked_by(gemm(8, count=2), "fp32")
    assert (once.flops, twice.flops) == (16_000_000, 32_000_000)
    assert once.moved == 2 * (8_000 + 1_000_000 + 8_000)
    assert twice.moved == 4 * once.moved
    assert (once.operators, twice.calls) == (1, 2)


def test_few_rows_are_bound_by_memory_and_take_what_reading_takes():
    """At 8 rows a product has some 8 FLOPs a byte, of 100 that the peak needs."""
    asked = asked_by(gemm(8), "bf16")
    found = place(asked, roof_of(sheet(), "bf16"))
    assert found.ridge == 100
    assert found.bound == "HBM"
    assert found.share == pytest.approx(asked.intensity / 100)
    assert found.seconds == pytest.approx(asked.moved / 1e12)


def test_many_rows_are_bound_by_compute():
    """From the ridge on the peak can be reached."""
    asked = asked_by(gemm(10_000), "bf16")
    found = place(asked, roof_of(sheet(), "bf16"))
    assert (found.bound, found.share) == ("compute", 1.0)
    assert found.seconds == pytest.approx(asked.flops / 100e12)


def test_a_sheet_without_the_peak_or_a_bandwidth_has_no_roofline():
    """The error names what it has."""
    with pytest.raises(ConfigError, match=r"no peak for 'fp8'.*bf16"):
        roof_of(sheet(), "fp8")
    with pytest.raises(ConfigError, match="no bandwidth"):
        roof_of(sheet(memory=()), "bf16")


def test_a_reference_sheet_has_one_peak_for_any_precision():
    """As the survey's Figure 3 has."""
    assert roof_of(sheet(peak={"any": Figure(1e15, "test", "paper")}), "fp8").peak == 1e15
