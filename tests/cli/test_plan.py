"""`accelbench plan BUNDLE`: what a wanted precision takes."""

from pathlib import Path


def test_every_cell_has_a_plan_or_a_reason(accelbench_here, rehearsal: Path) -> None:
    """The main metric of each cell, or the one that was named."""
    ended = accelbench_here("plan", str(rehearsal), "--precision", "0.001", "--json")
    assert ended.code == 0
    cells = {cell["cell"]: cell for cell in ended.document()["cells"]}
    assert cells["offline-batch_size=8"]["metric"] == "tp.samples"
    assert all(cell["trials"] or cell["reason"] for cell in cells.values())
    named = accelbench_here("plan", str(rehearsal), "--metric", "e2e.service.mean")
    assert "stream: e2e.service.mean to ±0.02:" in named.out
    assert "no plan: a pilot needs 2 valid trials" in named.out


def test_a_precision_outside_0_to_1_is_a_wrong_request(accelbench_here, rehearsal: Path) -> None:
    """It is a share of the mean."""
    ended = accelbench_here("plan", str(rehearsal), "--precision", "2")
    assert ended.code == 2
    assert "between 0 and 1" in ended.complaint()
