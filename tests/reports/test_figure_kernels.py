"""Time by kernel over the length of a sequence."""

import pytest

pytest.importorskip("altair")

from accelbench.harness.simulation.classes import CLASSES, ClassCost
from accelbench.reports.drawing import rendered
from accelbench.reports.figure_kernels import _COLOURS, _DASHES, Costs, draw


def costs(phase, length):
    """A step in which attention grows and the MLP stays."""
    attention = ClassCost("attention", 1, 1, 1.0, {"HBM": length / 100})
    mlp = ClassCost("mlp", 1, 1, 1.0, {"compute": 2.0, "HBM": 1.0})
    return Costs(phase, length, (attention, mlp))


@pytest.fixture(scope="module")
def chart():
    """Two phases, two lengths."""
    return draw([costs(phase, n) for phase in ("prefill", "decode") for n in (100, 300)]).chart


def rows(panel):
    """The data of a panel."""
    return panel["data"]["values"]


def test_phases_stand_apart_and_shares_add_up(chart):
    """Two panels each; kinds follow one another from 0 to 1."""
    panels = chart.to_dict()["vconcat"]
    assert len(panels) == 4
    for panel in panels[::2]:
        for length in ("100", "300"):
            own = [row for row in rows(panel) if row["length"] == length]
            assert own[0]["begin"] == 0
            assert own[0]["end"] == own[1]["begin"]
            assert own[1]["end"] == pytest.approx(1)
    assert rows(panels[0])[0]["end"] == pytest.approx(1 / 4)


def test_the_shape_of_a_point_tells_the_bound_of_most_of_its_time(chart):
    """The MLP has more time under compute, attention none."""
    points = rows(chart.to_dict()["vconcat"][1])
    assert {(row["class"], row["bound"]) for row in points} == {
        ("attention", "memory"),
        ("mlp", "compute"),
    }
    assert {row["seconds"] for row in points if row["class"] == "mlp"} == {3.0}


def test_kinds_differ_in_dash_as_well_as_in_colour():
    """Each kind has its own of both."""
    assert list(_COLOURS) == list(_DASHES) == list(CLASSES)
    assert (
        len(set(_COLOURS.values()))
        == len({tuple(dash) for dash in _DASHES.values()})
        == len(CLASSES)
    )


def test_one_length_can_be_drawn():
    """The axis does without a span."""
    svg = rendered(draw([costs("decode", 128)]).chart, "x")["svg"].decode()
    assert "tokens of the context" in svg
    assert "NaN" not in svg
