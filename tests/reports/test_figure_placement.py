"""The roofline on which workloads are placed."""

import pytest

pytest.importorskip("altair")

from accelbench.reports.drawing import rendered
from accelbench.reports.figure_placement import Placed, _offsets, draw, figure
from accelbench.reports.figure_roofline import Roof

ROOF = Roof("a sheet", 1e15, 3e12)


def placed(*intensities):
    """Workloads of these intensities."""
    return [Placed(f"w{x}", "a preset", x, ROOF, "survey: somewhere") for x in intensities]


def points(chart):
    """Rows of the chart's marks."""
    rows = chart["vconcat"][0]["layer"][1]["data"]["values"]
    return {row["intensity"]: row for row in rows}


def test_a_point_lies_on_the_roof():
    """Below the ridge on the slope, from it on at the peak."""
    found = points(draw(placed(2.0, 500.0)).chart.to_dict())
    assert found[2.0]["flops"] == pytest.approx(6e12)
    assert found[500.0]["flops"] == 1e15
    assert (found[2.0]["kind"], found[500.0]["kind"]) == ("bound by memory", "bound by compute")


def test_every_point_is_told_by_its_number():
    """Name, intensity, what it is, what the survey says."""
    drawn = draw(placed(2.0, 1174.6), ["A note."])
    svg = rendered(drawn.chart, "x")["svg"].decode()
    for words in ("w2.0: 2 FLOP/byte", "1,175 FLOP/byte", "a preset", "survey: somewhere"):
        assert words in svg
    assert drawn.caption.endswith("A note.")


def test_labels_of_points_that_lie_together_do_not_hide_one_another():
    """Below, above, further off: never at the same place; alone it stands above."""
    together = _offsets([10, 10.1, 10.2, 10.3, 900], 1, 1000)
    assert len(set(together[:4])) == 4
    assert together[4] < 0
    assert min(abs(a - b) for a in together[:4] for b in together[:4] if a != b) >= 14


def test_small_and_large_intensities_have_three_digits():
    """No power of ten."""
    assert [figure(x) for x in (1.998, 38.42, 1174.9)] == ["2", "38.4", "1,175"]
