"""The suite scaling: what is set against what."""

from accelbench.cli.compose import compose_suite
from accelbench.harness.run.planner import resolve


def test_strong_scaling_keeps_the_batch_and_weak_scaling_the_share_of_a_device():
    """One device and two with the same batch; and one with half of it."""
    cells = resolve(compose_suite("scaling", ["tracker=none"]))
    batch = {
        name: (cell.adapter.options["devices"], cell.scenario.batch_size)
        for name, cell in cells.items()
    }
    assert batch["strong-devices=1"] == (1, 64)
    assert batch["strong-devices=2"] == (2, 64)
    assert batch["weak"] == (1, 32)


def test_every_way_to_share_the_work_is_there():
    """With and without overlap, with a shared optimiser, sharded, and in stages."""
    cells = resolve(compose_suite("scaling", ["tracker=none"])).values()
    ways = {
        (cell.adapter.options["strategy"], cell.adapter.options["zero_stage"]) for cell in cells
    }
    assert ways == {("ddp", None), ("ddp", 1), ("fsdp", None), ("pipeline", None)}
    assert {cell.adapter.options["overlap"] for cell in cells} == {True, False}
